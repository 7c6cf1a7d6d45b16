//! Graphs that everybody builds.

use superstep_graph::{
    BarrierMode, BarrierSpec, EdgeSpec, ForEachSpec, Governance, GraphProgram, GraphSpec, JoinMode, JoinSpec,
    Mutation, MutationKind, OnSatisfied, Port, ProgramRef, VertexSpec,
};

use crate::behaviour::Behaviour;
use crate::scenario::{Scenario, vertex};

/// The names of the shapes.
pub const NAMES: [&str; 16] = [
    "chain",
    "diamond",
    "fan_out",
    "wide",
    "cycle",
    "join_any",
    "quorum",
    "quorum_long",
    "barrier_quorum",
    "for_each",
    "sub_graph",
    "mutating",
    "proposing",
    "suspension",
    "strange",
    "dead_letters",
];

/// The shape of a name.
pub fn shape(name: &str) -> Option<Scenario> {
    Some(match name {
        "chain" => Scenario::of(graph(vec![calls("a"), calls("b"), calls("c")], &["a>b", "b>c"])),
        "diamond" => Scenario::of(diamond()),
        "fan_out" => Scenario::of(fan_out(100, 10)),
        "wide" => Scenario::of(fan_out(1_000, 500)),
        "cycle" => Scenario::of(cycle()),
        "join_any" => Scenario::of(join_any()),
        "quorum" => Scenario::of(quorum()),
        "quorum_long" => Scenario::of(quorum_long()),
        "barrier_quorum" => Scenario::of(barrier_quorum()),
        "for_each" => Scenario::of(for_each()),
        "sub_graph" => sub_graph(),
        "mutating" => Scenario::of(mutating()),
        "proposing" => Scenario::of(proposing()),
        "suspension" => Scenario::of(suspension()),
        "strange" => Scenario::of(strange()),
        "dead_letters" => Scenario::of(dead_letters()),
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

/// One of `every` calls the outside.
fn fan_out(width: usize, every: usize) -> GraphSpec {
    let names: Vec<String> = (0..width).map(|number| format!("w{number}")).collect();
    let mut spec = graph(vec![plain("start")], &[]);
    for (position, name) in names.iter().enumerate() {
        spec.vertices.push(if position % every == 0 { calls(name) } else { plain(name) });
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
    let mut spec = graph(
        vec![plain("start"), calls("x"), calls("y"), calls("z"), joining(plain("end"), quorum_of(1))],
        &["start>x", "start>y", "start>z", "x>end", "y>end", "z>end"],
    );
    spec.barrier = BarrierSpec { mode: BarrierMode::Any, count: None };
    spec
}

/// A vertex that is activated by each of several, one after the other and at once.
fn join_any() -> GraphSpec {
    let mut spec = graph(
        vec![plain("start"), calls("x"), calls("y"), calls("z"), calls("end")],
        &["start>x", "start>y", "x>z", "x>end", "y>end", "z>end"],
    );
    spec.barrier = BarrierSpec { mode: BarrierMode::Any, count: None };
    spec
}

fn quorum_of(count: u32) -> JoinSpec {
    JoinSpec {
        mode: JoinMode::Quorum,
        count: Some(count),
        on_satisfied: OnSatisfied::CancelRest,
        ..JoinSpec::default()
    }
}

/// Two of four branches win, in every round of a loop. Those that are longer are cancelled or late.
fn quorum_long() -> GraphSpec {
    let names = ["start", "a", "b", "c", "c2", "d", "d2", "d3"];
    let mut vertices: Vec<VertexSpec> = names.iter().map(|name| plain(name)).collect();
    vertices.push(joining(calls("end"), quorum_of(2)));
    let edges = [
        "start>a",
        "start>b",
        "start>c",
        "start>d",
        "c>c2",
        "d>d2",
        "d2>d3",
        "a>end",
        "b>end",
        "c2>end",
        "d3>end",
        "end>start",
    ];
    let mut spec = graph(vertices, &edges);
    for edge in spec.edges.iter_mut().filter(|edge| edge.from.as_str() == "end") {
        edge.when = Some("superstep < 9".to_owned());
    }
    spec
}

/// Two of four have to be there, and the others are taken in when they come.
fn barrier_quorum() -> GraphSpec {
    let mut spec = graph(
        vec![plain("start"), calls("a"), calls("b"), calls("c"), calls("d"), joining(calls("end"), all())],
        &["start>a", "start>b", "start>c", "start>d", "a>end", "b>end", "c>end", "d>end", "a>b"],
    );
    spec.barrier = BarrierSpec { mode: BarrierMode::Quorum, count: Some(2) };
    spec
}

/// Vertices that send to themselves, a part that nothing reaches, joins that wait for each other on a cycle,
/// and a condition on every edge.
fn strange() -> GraphSpec {
    let mut spec = graph(
        vec![
            calls("a"),
            joining(plain("b"), all()),
            joining(calls("c"), all()),
            joining(plain("d"), quorum_of(2)),
            plain("far"),
            plain("away"),
        ],
        &["a>a", "a>b", "c>b", "b>c", "a>c", "b>d", "c>d", "d>d", "d>a", "far>away", "away>far", "far>d"],
    );
    for edge in &mut spec.edges {
        edge.when = Some(if edge.from >= edge.to { "superstep < 5" } else { "< 900" }.to_owned());
    }
    spec
}

/// Messages to vertices that a mutation removes, and to such as were never there.
fn dead_letters() -> GraphSpec {
    let removes = Mutation::RemoveVertex(superstep_graph::VertexRef { name: "gone".into() });
    let removing = Behaviour {
        mutations: vec![removes],
        until: 2,
        direct: vec!["nobody".into()],
        ..Behaviour::default()
    };
    let mut remover = vertex("remover", &removing);
    remover.effects.mutations = Some("they".to_owned());
    remover.sends = Some(superstep_graph::Sends::Any(superstep_graph::AnyVertex::Any));
    let mut spec = graph(
        vec![plain("start"), remover, calls("work"), plain("gone"), plain("end")],
        &["start>remover", "start>work", "work>gone", "gone>end", "work>end", "remover>end"],
    );
    spec.mutations.allow = vec![MutationKind::RemoveVertex];
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

/// As [`mutating`], and somebody decides on what is added, while another branch goes on.
fn proposing() -> GraphSpec {
    let mut spec = mutating();
    spec.mutations.governance = Governance::Propose;
    spec.entry.push("other".into());
    spec.vertices.push(calls("other"));
    spec.edges.push(edge("other", "end"));
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
