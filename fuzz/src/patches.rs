//! Changes of a graph.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use superstep_api::{Source, load};
use superstep_graph::{
    Capabilities, EdgeSpec, GraphSpec, Mutation, MutationOrder, PriorityClass, ProgramCheck, Request,
    VertexSpec, fold, validate,
};

/// What is changed.
const BASE: &str = "
apiVersion: superstep.dev/v1alpha1
kind: AgentGraph
metadata: {name: base}
spec:
  entry: [a]
  vertices:
  - {name: a, function: {cel: \"1\"}}
  - {name: b, join: {mode: All}, function: {cel: \"2\"}}
  - {name: c, join: {mode: Quorum, count: 1}, function: {cel: \"3\"}, sends: [a]}
  - {name: d, function: {cel: \"4\"}, forEach: {}}
  edges:
  - {from: a, to: b}
  - {from: a, to: c, when: message > 0}
  - {from: b, to: d}
  - {from: c, to: d, delivery: Passive}
  - {from: d, to: a, port: error}
  mutations: {allow: [removeEdge, removeVertex, addVertex, addEdge, set]}
";

static GRAPH: LazyLock<GraphSpec> = LazyLock::new(|| {
    let source = Source { name: "base.yaml".to_owned(), text: BASE.to_owned(), named: true };
    let loaded = load(&[Arc::new(source)], &|_| None);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    loaded.resources.graphs["base"].content.document.spec.graph.clone()
});

/// Folds a list of requests over a graph. What comes out is a graph, each request has a verdict, and neither
/// depends on the order in which the requests came.
pub fn patches(data: &[u8]) {
    let (allowance, data) = data.split_first().unwrap_or((&0, &[]));
    let requests = requests(data);
    let folded = fold(&GRAPH, &[], &requests, u64::from(*allowance), &Unchecked);
    assert_eq!(folded.verdicts.len(), requests.len());
    let backwards: Vec<Request> = requests.iter().rev().cloned().collect();
    let mut other = fold(&GRAPH, &[], &backwards, u64::from(*allowance), &Unchecked);
    other.verdicts.reverse();
    assert_eq!(folded, other);
    // Relations need not hold; whether they do has an answer.
    drop(validate(&folded.spec));
    let document = serde_json::to_value(&folded.spec).expect("a graph is a document");
    let read: GraphSpec = serde_json::from_value(document).expect("the document of a graph is read");
    assert_eq!(read, folded.spec);
}

struct Unchecked;

impl ProgramCheck for Unchecked {
    fn check_vertex(&self, _: &VertexSpec) -> Result<(), String> {
        Ok(())
    }

    fn check_edge(&self, _: &EdgeSpec) -> Result<(), String> {
        Ok(())
    }
}

/// One request for each five bytes: who asks, what for, and three choices.
fn requests(data: &[u8]) -> Vec<Request> {
    let (chunks, _) = data.as_chunks::<5>();
    let class = [PriorityClass::Person, PriorityClass::Optimiser, PriorityClass::Vertex];
    let request = |(index, [who, kind, one, two, three]): (usize, &[u8; 5])| {
        let mutation: Mutation = serde_json::from_value(mutation([*kind, *one, *two, *three])).ok()?;
        let order = MutationOrder {
            class: class[usize::from(*who) % 3],
            requester: name(who / 3).to_owned(),
            request: u32::try_from(index).ok()?,
        };
        Some(Request { order, mutation, capabilities: Capabilities::default() })
    };
    chunks.iter().take(64).enumerate().filter_map(request).collect()
}

fn name(choice: u8) -> &'static str {
    ["a", "b", "c", "d", "e", "f"][usize::from(choice) % 6]
}

fn port(choice: u8) -> &'static str {
    ["out", "error", "left"][usize::from(choice) % 3]
}

fn mutation([kind, one, two, three]: [u8; 4]) -> Value {
    let edge = json!({"from": name(one), "to": name(two), "port": port(three)});
    match kind % 6 {
        0 => json!({"removeEdge": edge}),
        1 => json!({"removeVertex": {"name": name(one)}}),
        2 => json!({"addVertex": {"name": name(one), "value": two, "function": {"cel": three.to_string()}}}),
        3 => json!({"addEdge": edge}),
        4 => json!({"set": {"vertex": name(one), "field": field(two), "value": value(three)}}),
        _ => json!({"set": {"edge": edge, "field": edge_field(kind), "value": value(kind / 6)}}),
    }
}

fn field(choice: u8) -> &'static str {
    let fields = [
        "function.cel",
        "function",
        "join",
        "join.mode",
        "join.count",
        "join.of",
        "value",
        "sends",
        "forEach",
        "retry.maxAttempts",
        "timeout",
        "name",
        "effects.value",
        "effects.append",
        "capabilities.models",
        "",
        "function.cel.deeper",
        "..",
        "prompt",
        "onFailure",
        "effects.contribute.sum",
        "combiner",
    ];
    fields[usize::from(choice) % fields.len()]
}

fn edge_field(choice: u8) -> &'static str {
    ["when", "transform", "delivery", "retain", "cost.tokens", "from", "cost", "port"]
        [usize::from(choice / 6) % 8]
}

fn value(choice: u8) -> Value {
    let values = [
        json!(null),
        json!("1"),
        json!(2),
        json!(-1),
        json!("All"),
        json!("Quorum"),
        json!(["a", "b"]),
        json!("Any"),
        json!({"mode": "Quorum", "count": 2}),
        json!({"mode": "All", "of": ["zz"]}),
        json!({"cel": "1"}),
        json!({}),
        json!([]),
        json!("Passive"),
        json!(true),
        json!("1m"),
        json!(1e300),
        json!("Ignore"),
        json!("Sum"),
        json!({"model": "m", "template": "t"}),
    ];
    values[usize::from(choice) % values.len()].clone()
}
