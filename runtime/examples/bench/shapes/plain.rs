//! Vertices that do nothing.

use serde_json::{Value, json};
use superstep_engine::{Payload, ProgramResult};
use superstep_graph::ValidatedGraph;
use superstep_runtime::Programs;

use super::{Vertex, WIDTH, Work, custom, edges, graph, on_port};

fn nothing(programs: &mut Programs) {
    programs.register_fn("nothing", |_| Ok(Payload::from(json!({"x": 1}))));
}

pub(super) fn chain(n: usize) -> Work {
    Work::new(line(n), n, n).with(nothing)
}

pub(super) fn concurrent(n: usize) -> Work {
    Work { width: WIDTH, ..Work::new(line(n), n * WIDTH, n * WIDTH).with(nothing) }
}

fn line(n: usize) -> ValidatedGraph {
    let vertices: Vec<Value> = (0..n).map(|at| custom(&format!("n{at}"), "nothing")).collect();
    let edges: Vec<Value> =
        (1..n).map(|at| json!({"from": format!("n{}", at - 1), "to": format!("n{at}")})).collect();
    graph(document(vertices, edges))
}

/// The document of a graph that begins at its first vertex. It takes what it is made of: a copy of a thousand vertices
/// would be in memory until the graph is made, and be counted as the graph's.
fn document(vertices: Vec<Value>, edges: Vec<Value>) -> Value {
    let mut document = json!({"entry": ["n0"]});
    document["vertices"] = Value::Array(vertices);
    document["edges"] = Value::Array(edges);
    document
}

/// `size` vertices, two of which send to each other.
pub(super) fn round(n: usize, size: usize) -> Work {
    let mut vertices = vec![custom("n0", "step"), custom("n1", "step")];
    vertices.extend((2..size).map(|at| custom(&format!("n{at}"), "step")));
    let mut edges = vec![json!({"from": "n0", "to": "n1"}), json!({"from": "n1", "to": "n0"})];
    edges.extend((2..size).map(|at| json!({"from": format!("n{at}"), "to": format!("n{}", at - 1)})));
    let blob = "x".repeat(1_016);
    let step = move |view: &superstep_engine::View| {
        let count = view.superstep + 1;
        let payload = Payload::from(json!({"i": count, "blob": format!("{blob}{count:08}")}));
        // The last step sends on a port to which no edge listens.
        if count >= n as u64 { on_port("end", payload) } else { ProgramResult::output(payload) }
    };
    let step = std::sync::Arc::new(Vertex(step));
    Work::new(graph(document(vertices, edges)), n, n)
        .with(move |programs| programs.register("step", step.clone()))
}

pub(super) fn fanout(n: usize) -> Work {
    let mut element = custom("element", "element");
    element["forEach"] = json!({});
    let graph = graph(json!({
        "entry": ["source"],
        "vertices": [custom("source", "source"), element, custom("sink", "nothing")],
        "edges": edges(&[("source", "element"), ("element", "sink")]),
    }));
    Work::new(graph, 3, n + 2).with(move |programs| {
        nothing(programs);
        programs.register_fn("source", move |_| Ok(Payload::from((0..n).collect::<Value>())));
        programs.register_fn("element", |view| Ok(view.element.clone().unwrap_or_else(Payload::null)));
    })
}
