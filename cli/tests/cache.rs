//! Kept results, from one run to the next.

use std::fs;

use serde_json::json;

use crate::command::Home;

fn manifest(home: &Home, answer: &str) -> String {
    home.file(
        "graph.yaml",
        &format!(
            "apiVersion: superstep.dev/v1alpha1
kind: ModelServer
metadata: {{name: model}}
spec: {{engine: {{scripted: {{otherwise: {answer}}}}}}}
---
apiVersion: superstep.dev/v1alpha1
kind: AgentGraph
metadata: {{name: say}}
spec:
  models: [{{name: model, modelServerRef: {{name: model}}}}]
  entry: [list]
  vertices:
  - {{name: list, function: {{cel: input.words}}}}
  - {{name: say, forEach: {{}}, prompt: {{model: model, template: \"{{{{ element }}}}\"}}, cache: {{ttl: 1h}}}}
  edges: [{{from: list, to: say}}]
  limits: {{calls: 1}}
"
        ),
    )
}

#[test]
fn a_kept_result_is_taken_by_the_next_run_and_uses_nothing() {
    let home = Home::new();
    let file = manifest(&home, "first");
    let run = |name: &str, words: &[&str]| {
        let input = json!({"words": words}).to_string();
        home.run(["run", "-f", &file, "--run-id", name, "--input", &input, "--progress", "always"])
    };
    // Equal elements are one call, and the budget allows one.
    let first = run("one", &["a", "a"]).with(0);
    assert_eq!(first.json(), json!({"say": [{"text": "first"}, {"text": "first"}]}));
    assert!(first.stderr.contains("cached"), "{first:?}");
    let again = run("two", &["a", "a"]).with(0).saying("2 cached");
    assert_eq!(again.json(), first.json());
    let shown = home.line("inspect two --output json").with(0).json();
    assert_eq!((&shown["summary"]["cached"], &shown["summary"]["calls"]), (&json!(2), &json!(0)));
    assert_eq!(shown["supersteps"][1]["calls"][0]["target"], json!("cache"));
    manifest(&home, "second");
    assert_eq!(run("three", &["a"]).with(0).json(), json!({"say": [{"text": "second"}]}), "another model");
    home.line("runs gc --keep 9").with(0);
    assert!(fs::read_dir(home.path().join(".local/state/superstep/results")).unwrap().next().is_some());
    fs::remove_dir_all(home.path().join(".local/state/superstep/results")).unwrap();
    let replayed = home.line("inspect two --output json").with(0).json();
    assert_eq!(replayed, shown, "the log does not need what was kept");
}
