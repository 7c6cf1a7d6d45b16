//! `superstep runs` and `superstep inspect`: what happened is shown.

use serde_json::{Value, json};

use crate::command::{Ended, Home};

fn changes() -> Home {
    let home = Home::new();
    home.line("run -f tests/graphs/changes.yaml --run-id changes").with(0);
    home
}

fn inspect(home: &Home, line: &str) -> Value {
    home.line(line).with(0).json()
}

fn names(list: &Value, member: &str) -> Vec<Value> {
    list.as_array().unwrap().iter().map(|item| item[member].clone()).collect()
}

#[test]
fn runs_are_listed_with_how_they_ended() {
    let home = changes();
    home.line("run -f tests/graphs/limited.yaml --run-id limited").with(3);
    home.line("run -f tests/graphs/failing.yaml --run-id failing").with(1);
    let runs = home.line("runs --output json").with(0).json();
    let listed: Vec<(&str, &str)> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["run"].as_str().unwrap(), run["status"].as_str().unwrap()))
        .collect();
    for expected in [
        ("changes", "succeeded"),
        ("limited", "limit reached: limits.supersteps"),
        ("failing", "failed: bad: the model is on fire"),
    ] {
        assert!(listed.contains(&expected), "{expected:?} in {listed:?}");
    }
    for (format, head) in [("table", "RUN "), ("yaml", "- run: ")] {
        let Ended { stdout, .. } = home.line(&format!("runs --output {format}")).with(0);
        assert!(stdout.starts_with(head) && stdout.contains("limits.supersteps"), "{stdout}");
    }
}

#[test]
fn an_inspected_run_tells_its_mutations_joins_and_messages() {
    let told = inspect(&changes(), "inspect changes --output json");
    let supersteps = &told["supersteps"];
    assert_eq!(names(supersteps, "superstep"), [0, 1, 2]);
    assert_eq!(
        supersteps[0]["mutations"],
        json!([
            {"requester": "grow@0", "change": "adds vertex reviewer", "verdict": "applied"},
            {"requester": "grow@0", "change": "adds edge both → reviewer", "verdict": "applied"},
            {"requester": "grow@0", "change": "removes vertex right",
             "verdict": "refused: the graph allows its vertices no RemoveVertex"},
        ])
    );
    assert_ne!(supersteps[0]["revision"], Value::Null);
    assert_eq!(
        supersteps[1]["incompleteJoins"],
        json!([{"vertex": "both", "action": "Fire", "missing": ["right"]}])
    );
    let mut ends: Vec<(Value, Value)> = supersteps[1]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["from"].clone(), message["status"].clone()))
        .collect();
    ends.sort_by_key(|(from, _)| from.to_string());
    assert_eq!(json!(ends), json!([["grow", "Refused"], ["left", "Delivered"], ["right", "Filtered"]]));
    assert_eq!(names(&supersteps[2]["completed"], "activation"), ["reviewer@2"]);
    assert_eq!(told["outputs"], json!({"both": {"heard": ["left"]}, "reviewer": {"text": "I agree"}}));
    assert_eq!(told["summary"]["status"], "succeeded");
}

#[test]
fn one_superstep_is_shown_alone_and_one_that_never_was_is_refused() {
    let home = changes();
    let told = inspect(&home, "inspect changes --superstep 2 --output json");
    assert_eq!(names(&told["supersteps"], "superstep"), [2]);
    assert_eq!(told.get("summary"), None);
    let ended = home.line("inspect changes --superstep 9").with(2);
    ended.saying("run \"changes\" has no superstep 9");
    for format in ["yaml", "table"] {
        let ended = home.line(&format!("inspect changes --output {format}")).with(0);
        assert!(ended.stdout.contains("adds vertex reviewer"), "{ended:?}");
    }
}

#[test]
fn a_message_that_no_superstep_delivered_is_told_as_cancelled() {
    let home = Home::new();
    home.line("run -f tests/graphs/limited.yaml --run-id limited").with(3);
    let told = inspect(&home, "inspect limited --output json");
    let last = told["supersteps"].as_array().unwrap().last().unwrap();
    assert_eq!(names(&last["messages"], "status"), ["Cancelled"]);
}
