//! The graphs that are measured.

use serde_json::{Value, json};

/// The program of a vertex that tells supersteps apart.
pub(crate) const TICK: &str = "tick";

/// Vertices in a ring, all of which send to the next one in each of `n` supersteps; one of them has the program [`TICK`].
/// With a latency another one asks a model that takes so long.
pub(crate) fn ring(n: usize, latency: &str) -> Vec<String> {
    const VERTICES: usize = 6;
    let slow = latency != "0s";
    let vertex = |at: usize| {
        let name = format!("v{at}");
        if slow && at == 0 {
            json!({"name": name, "prompt": {"model": "scripted", "template": "go on"}})
        } else if at == 1 {
            json!({"name": name, "custom": {"name": TICK}})
        } else {
            json!({"name": name, "function": {"cel": "1"}})
        }
    };
    let edge = |at: usize| json!({"from": format!("v{at}"), "to": format!("v{}", (at + 1) % VERTICES)});
    let entry: Vec<String> = (0..VERTICES).map(|at| format!("v{at}")).collect();
    let spec = json!({
        "models": [{"name": "scripted", "modelServerRef": {"name": "scripted"}}],
        "entry": entry,
        "vertices": (0..VERTICES).map(vertex).collect::<Vec<_>>(),
        "edges": (0..VERTICES).map(edge).collect::<Vec<_>>(),
        "limits": {"supersteps": n, "calls": 1_000_000, "activations": 100_000_000},
    });
    vec![graph(spec), model(latency)]
}

/// Vertices of worker `a` that each send to each of those of worker `b`, and these to those, in `n` supersteps.
pub(crate) fn flood(width: usize, n: usize) -> Vec<String> {
    let side = |label: &str| -> Vec<Value> {
        let vertex = |at: usize| json!({"name": format!("{label}{at}"), "requires": [label], "function": {"cel": "input"}});
        (0..width).map(vertex).collect()
    };
    let edges = |from: &str, to: &str| -> Vec<Value> {
        let pairs = (0..width).flat_map(|one| (0..width).map(move |other| (one, other)));
        pairs
            .map(|(one, other)| json!({"from": format!("{from}{one}"), "to": format!("{to}{other}")}))
            .collect()
    };
    let spec = json!({
        "entry": (0..width).map(|at| format!("a{at}")).collect::<Vec<_>>(),
        "vertices": (["a", "b"].map(side)).concat(),
        "edges": ([edges("a", "b"), edges("b", "a")]).concat(),
        "limits": {"supersteps": n, "activations": 100_000_000},
    });
    vec![graph(spec)]
}

/// Vertices that each call a model that takes 200 ms.
pub(crate) fn calls(n: usize) -> Vec<String> {
    let vertex = |at: usize| json!({"name": format!("v{at}"), "prompt": {"model": "scripted", "template": format!("number {at}")}});
    let spec = json!({
        "models": [{"name": "scripted", "modelServerRef": {"name": "scripted"}}],
        "entry": (0..n).map(|at| format!("v{at}")).collect::<Vec<_>>(),
        "vertices": (0..n).map(vertex).collect::<Vec<_>>(),
        "edges": [],
        "limits": {"calls": 2 * n},
    });
    vec![graph(spec), model("200ms")]
}

/// Eight vertices that each rank the vertices of a graph with 2^`scale` edges.
pub(crate) fn algorithms(scale: usize) -> Vec<String> {
    const VERTICES: usize = 8;
    let edges = format!(
        "{{'edges': lists.range({}).map(n, [n % 4099, (n * 7919 + 13) % 4001])}}",
        1_usize << scale.min(20)
    );
    let rank = |at: usize| json!({"name": format!("rank{at}"), "algorithm": {"pagerank": {"iterations": 1_000, "tolerance": 0.0}, "top": 1}});
    let edge = |at: usize| json!({"from": "make", "to": format!("rank{at}")});
    let make = json!({"name": "make", "function": {"cel": edges}});
    let spec = json!({
        "entry": ["make"],
        "vertices": std::iter::once(make).chain((0..VERTICES).map(rank)).collect::<Vec<_>>(),
        "edges": (0..VERTICES).map(edge).collect::<Vec<_>>(),
    });
    vec![graph(spec)]
}

fn graph(spec: Value) -> String {
    let name = json!({"name": "measured"});
    json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": name, "spec": spec})
        .to_string()
}

fn model(latency: &str) -> String {
    let name = json!({"name": "scripted"});
    let spec = json!({"engine": {"scripted": {"otherwise": "yes", "latency": latency}}});
    json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "ModelServer", "metadata": name, "spec": spec})
        .to_string()
}
