//! Graphs that everybody builds.

use superstep_graph::{
    BarrierMode, BarrierSpec, EdgeSpec, ForEachSpec, GraphProgram, GraphSpec, JoinMode, JoinSpec, Mutation,
    MutationKind, OnSatisfied, Port, ProgramRef, VertexSpec,
};

use crate::behaviour::Behaviour;
use crate::scenario::{Scenario, vertex};

/// The names of the shapes.
pub const NAMES: [&str; 9] =
    ["chain", "diamond", "fan_out", "cycle", "quorum", "for_each", "sub_graph", "mutating", "suspension"];

/// The shape of a name.
pub fn shape(name: &str) -> Option<Scenario> {
    Some(match name {
        "chain" => Scenario::of(graph(vec![calls("a"), calls("b"), calls("c")], &["a>b", "b>c"])),
        "diamond" => Scenario::of(diamond()),
        "fan_out" => Scenario::of(fan_out(100)),
        "cycle" => Scenario::of(cycle()),
        "quorum" => Scenario::of(quorum()),
        "for_each" => Scenario::of(for_each()),
        "sub_graph" => sub_graph(),
        "mutating" => Scenario::of(mutating()),
        "suspension" => Scenario::of(suspension()),
        _ => return None,
    })
}

fn plain(name: &str) -> VertexSpec {
    vertex(name, &Behaviour::default())
}

fn calls(name: &str) -> VertexSpec {
    vertex(name, &Behaviour { calls: 1, ..Behaviour::default() })
}

fn joining(mut vertex: VertexSpec, join: JoinSpec) -> VertexSpec {
    vertex.join = join;
    vertex
}

fn all() -> JoinSpec {
    JoinSpec { mode: JoinMode::All, ..JoinSpec::default() }
}

/// Edges are written as `from>to` or `from.port>to`; the first vertex is the entry.
fn graph(vertices: Vec<VertexSpec>, edges: &[&str]) -> GraphSpec {
    let entry = vertices.first().map(|vertex| vertex.name.clone()).into_iter().collect();
    let edges =
        edges.iter().filter_map(|text| text.split_once('>')).map(|(from, to)| edge(from, to)).collect();
    GraphSpec { entry, vertices, edges, ..GraphSpec::default() }
}

fn edge(from: &str, to: &str) -> EdgeSpec {
    let (from, port) =
        from.split_once('.').map_or((from, Port::default()), |(from, port)| (from, port.into()));
    EdgeSpec {
        from: from.into(),
        to: to.into(),
        port,
        delivery: superstep_graph::Delivery::Active,
        retain: false,
        cost: None,
        when: None,
        transform: None,
    }
}

/// A router takes one of two branches, and the join goes on without the other.
fn diamond() -> GraphSpec {
    let ports = vec!["left".to_owned(), "right".to_owned()];
    let router = vertex("router", &Behaviour { ports, ..Behaviour::default() });
    let end = joining(plain("end"), all());
    graph(vec![router, calls("l"), calls("r"), end], &["router.left>l", "router.right>r", "l>end", "r>end"])
}

fn fan_out(width: usize) -> GraphSpec {
    let names: Vec<String> = (0..width).map(|number| format!("w{number}")).collect();
    let mut spec = graph(vec![plain("start")], &[]);
    for (position, name) in names.iter().enumerate() {
        spec.vertices.push(if position % 10 == 0 { calls(name) } else { plain(name) });
        spec.edges.extend([edge("start", name), edge(name, "end")]);
    }
    spec.vertices.push(joining(plain("end"), all()));
    spec
}

/// A cycle inside a cycle, each bounded.
fn cycle() -> GraphSpec {
    let mut spec = graph(vec![plain("a"), calls("b"), plain("c")], &["a>b", "b.again>b", "b>c", "c>a"]);
    for edge in &mut spec.edges {
        let bound = if edge.from.as_str() == "b" && edge.to.as_str() == "b" { 6 } else { 9 };
        if edge.from >= edge.to || edge.port.as_str() == "again" {
            edge.when = Some(format!("superstep < {bound}"));
        }
    }
    if let Some(custom) = &mut spec.vertices[1].custom {
        let behaviour =
            Behaviour { calls: 1, ports: vec!["again".to_owned(), "out".to_owned()], ..Behaviour::default() };
        custom.parameters = serde_json::to_value(behaviour).unwrap_or_default();
    }
    spec
}

/// Whoever answers first wins, and the others are cancelled.
fn quorum() -> GraphSpec {
    let first = JoinSpec {
        mode: JoinMode::Quorum,
        count: Some(1),
        on_satisfied: OnSatisfied::CancelRest,
        ..JoinSpec::default()
    };
    let mut spec = graph(
        vec![plain("start"), calls("x"), calls("y"), calls("z"), joining(plain("end"), first)],
        &["start>x", "start>y", "start>z", "x>end", "y>end", "z>end"],
    );
    spec.barrier = BarrierSpec { mode: BarrierMode::Any, count: None };
    spec
}

fn for_each() -> GraphSpec {
    let list = vertex("list", &Behaviour { list: Some(5), ..Behaviour::default() });
    let mut each = calls("each");
    each.for_each = Some(ForEachSpec {});
    graph(vec![list, each, plain("end")], &["list>each", "each>end"])
}

fn sub_graph() -> Scenario {
    let list = vertex("list", &Behaviour { list: Some(3), ..Behaviour::default() });
    let mut inside = plain("inside");
    inside.custom = None;
    inside.graph = Some(GraphProgram {
        reference: ProgramRef { name: "inner".to_owned() },
        parameters: serde_json::Value::Null,
    });
    inside.for_each = Some(ForEachSpec {});
    let mut scenario = Scenario::of(graph(vec![list, inside, plain("end")], &["list>inside", "inside>end"]));
    let inner = graph(vec![plain("a"), calls("b"), calls("c")], &["a>b", "a>c"]);
    scenario.library.insert("inner".to_owned(), inner);
    scenario
}

/// A vertex adds another, which the rest of the run goes through.
fn mutating() -> GraphSpec {
    let mutations = vec![
        Mutation::AddVertex(Box::new(calls("late"))),
        Mutation::AddEdge(edge("work", "late")),
        Mutation::AddEdge(edge("late", "end")),
    ];
    let planner = vertex("plan", &Behaviour { calls: 1, mutations, until: 3, ..Behaviour::default() });
    let mut spec = graph(vec![planner, calls("work"), plain("end")], &["plan>work", "work>end"]);
    spec.vertices[0].effects.mutations = Some("they".to_owned());
    spec.mutations.allow = vec![MutationKind::AddVertex, MutationKind::AddEdge];
    spec
}

fn suspension() -> GraphSpec {
    let person = vertex("person", &Behaviour { calls: 1, asks: 2, ..Behaviour::default() });
    let approval = vertex("approval", &Behaviour { asks: 1, answer_is_output: true, ..Behaviour::default() });
    let end = joining(plain("end"), all());
    graph(
        vec![plain("start"), person, approval, calls("other"), end],
        &["start>person", "start>approval", "start>other", "person>end", "approval>end", "other>end"],
    )
}
