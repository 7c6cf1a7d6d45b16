//! What the retention of a graph lets go when runs of it have ended.

use superstep_runtime::list_runs;

use super::*;

fn kept(name: &str, retention: &Value) -> [String; 1] {
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": name},
        "spec": {
            "entry": ["one"],
            "retention": retention,
            "vertices": [
                {"name": "one", "function": {"cel": "input + 1"}},
                {"name": "two", "function": {"cel": "message + 1"}},
                {"name": "three", "function": {"cel": "message + 1"}},
            ],
            "edges": [{"from": "one", "to": "two"}, {"from": "two", "to": "three"}],
        },
    });
    [graph.to_string()]
}

impl Group {
    /// Waits until those runs are there and no others.
    fn until_left(&self, runs: &[&str]) {
        let expected: BTreeSet<String> = runs.iter().map(|run| (*run).to_owned()).collect();
        let names = || list_runs(&self.store).unwrap().iter().map(|run| run.name.to_string()).collect();
        until("no others are left", || expected == names());
    }
}

#[test]
fn ended_runs_that_the_graph_does_not_keep_are_removed_and_others_stay() {
    let group = Group::new(&["a", "b"]);
    group.complete(2);
    group.submit("other", &kept("another", &json!({"runs": 9})), &json!(1));
    assert_eq!(group.end("other").0, RunStatus::Succeeded);
    for run in ["first", "second", "third"] {
        group.submit(run, &kept("kept", &json!({"runs": 1})), &json!(1));
        assert_eq!(group.end(run), (RunStatus::Succeeded, json!({"three": 4})));
    }
    group.until_left(&["other", "third"]);
}
