//! A superstep in which every vertex gets ten messages.

use serde_json::json;
use superstep_engine::{Payload, ProgramResult, View};
use superstep_graph::{CustomProgram, EdgeSpec, GraphSpec, VertexName, VertexSpec, validate};

use super::{Vertex, Work, on_port};

const EACH: usize = 10;
/// Far apart, so that messages are not delivered in the order in which they were sent.
const STRIDE: usize = 7_919;

pub(super) fn work(n: usize) -> Work {
    let names: Vec<VertexName> = (0..n).map(|at| VertexName::from(format!("v{at:07}"))).collect();
    let program = || Some(CustomProgram { name: "send".to_owned(), parameters: serde_json::Value::Null });
    let mut spec = GraphSpec {
        entry: names.clone(),
        vertices: names
            .iter()
            .map(|name| VertexSpec { name: name.clone(), custom: program(), ..VertexSpec::default() })
            .collect(),
        edges: (0..n * EACH)
            .map(|edge| {
                let (from, to) = (edge / EACH, (edge / EACH + (edge % EACH + 1) * STRIDE) % n);
                EdgeSpec { from: names[from].clone(), to: names[to].clone(), ..edge_like() }
            })
            .collect(),
        ..GraphSpec::default()
    };
    spec.limits.activations = u64::MAX;
    spec.limits.fan_out = u64::MAX;
    let graph = validate(&spec).expect("it is valid");
    let work = Work { growth_matters: true, ..Work::new(graph, 2, 2 * n) };
    work.with(|programs| programs.register("send", std::sync::Arc::new(Vertex(send))))
}

fn edge_like() -> EdgeSpec {
    serde_json::from_value(json!({"from": "a", "to": "b"})).expect("it is an edge")
}

/// All send once.
fn send(view: &View) -> ProgramResult {
    let payload = Payload::from(json!(view.superstep));
    if view.superstep == 0 { ProgramResult::output(payload) } else { on_port("end", payload) }
}
