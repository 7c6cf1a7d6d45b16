//! Several runs at once.

use super::*;

/// Vertices in a ring that each send to the next one, in so many supersteps.
fn turning(vertices: usize, supersteps: u64) -> Vec<String> {
    let name = |at: usize| format!("v{}", at % vertices);
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "turning"},
        "spec": {
            "entry": (0..vertices).map(name).collect::<Vec<_>>(),
            "vertices": (0..vertices).map(|at| json!({"name": name(at), "function": {"cel": "1"}})).collect::<Vec<_>>(),
            "edges": (0..vertices).map(|at| json!({"from": name(at), "to": name(at + 1)})).collect::<Vec<_>>(),
            "limits": {"supersteps": supersteps, "activations": 100_000_000},
        },
    });
    vec![graph.to_string()]
}

/// The wide run has 5,000 times as much to do as each of the small ones.
#[test]
fn a_wide_run_holds_up_no_small_ones_nor_they_it() {
    const WIDE: u64 = 5_000;
    let group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    group.submit("wide", &turning(300, WIDE), &Value::Null);
    until("the wide one has begun", || group.get("wide").superstep >= 3);
    let before = group.get("wide").superstep;
    let small: Vec<String> = (0..10).map(|number| format!("small{number}")).collect();
    small.iter().for_each(|run| group.submit(run, &turning(6, 50), &Value::Null));
    let limit = RunStatus::LimitReached(superstep_engine::LimitKind::Supersteps);
    small.iter().for_each(|run| assert_eq!(group.end(run).0, limit, "{run}"));
    let wide = group.get("wide");
    assert_eq!(
        wide.phase(),
        v1::RunPhase::Running,
        "it had to wait for small ones, or they for it: {wide:?}"
    );
    assert!((before + 1..WIDE).contains(&wide.superstep), "{before} {wide:?}");
    let cancel = v1::CancelRequest { run: "wide".to_owned() };
    group.ask(async |mut client| Ok(client.cancel(cancel.clone()).await?.into_inner()));
    assert_eq!(group.end("wide").0, RunStatus::Cancelled);
}
