//! What vertices propose: decided on by people, or refused by the graph.

use std::fs;

use serde_json::{Value, json};

use crate::command::Home;

const GRAPH: &str = "tests/graphs/proposes.yaml";

/// A run that waits for a decision.
fn waiting() -> Home {
    let home = Home::new();
    home.run(["run", "-f", GRAPH, "--run-id", "p"])
        .with(4)
        .saying("plan@0 of run p asks: may it change the graph? adds vertex reviewer")
        .saying("run p waits for an answer: superstep approve p\n");
    home
}

/// What became of the only mutation that was judged.
fn verdict(home: &Home) -> Value {
    let told = home.line("inspect p --output json").with(0).json();
    let supersteps = told["supersteps"].as_array().unwrap().iter();
    let judged: Vec<Value> =
        supersteps.filter_map(|superstep| superstep["mutations"].as_array()).flatten().cloned().collect();
    let [only] = &judged[..] else { panic!("one mutation was judged: {judged:?}") };
    assert_eq!(only["change"], "adds vertex reviewer");
    only["verdict"].clone()
}

#[test]
fn what_a_vertex_proposes_waits_for_a_decision() {
    let home = waiting();
    let questions = home.line("answer p").with(0).json();
    assert_eq!(questions[0]["question"], "plan@0");
    assert_eq!(questions[0]["asks"]["proposal"][0]["addVertex"]["name"], "reviewer");
    home.line("approve p nobody").with(2).saying("run \"p\" waits for no decision on \"nobody\"");
    home.line("answer p perhaps").with(2).saying("answer {\"approved\": true}");
    // Whoever resumes it finds it waiting again.
    home.line("resume p").with(4).saying("superstep approve p");
    home.line("approve p plan@0").with(0).saying("plan@0 has its answer").saying("superstep resume p");
    home.line("approve p").with(2).saying("run \"p\" waits for no decision");
    let result = home.line("resume p").with(0).json();
    assert_eq!(result, json!({"plan": "draft", "reviewer": "reviewed draft"}));
    assert_eq!(verdict(&home), "applied");
    home.line("replay p").with(0);
}

#[test]
fn what_is_denied_is_refused_and_the_run_goes_on() {
    let home = waiting();
    home.run(["approve", "p", "--deny", "--why", "no reviewer is free"]).with(0);
    let result = home.line("resume p").with(0).json();
    assert_eq!((&result["plan"], &result["reviewer"]), (&json!("draft"), &Value::Null));
    assert_eq!(verdict(&home), "refused: it was proposed, and denied: no reviewer is free");
    home.line("replay p").with(0);
}

#[test]
fn a_graph_that_denies_asks_nobody() {
    let home = Home::new();
    let denies = home.file("denies.yaml", &fs::read_to_string(GRAPH).unwrap().replace("Propose", "Deny"));
    let result = home.run(["run", "-f", &denies, "--run-id", "p"]).with(0).json();
    assert_eq!((&result["plan"], &result["reviewer"]), (&json!("draft"), &Value::Null));
    let verdict = verdict(&home);
    assert!(verdict.as_str().unwrap().starts_with("refused: the graph says `governance: Deny`"), "{verdict}");
    home.line("approve p").with(2).saying("run \"p\" waits for no decision");
}
