//! What edges cost: measured by runs, shown, and weighed by the runs after them.

use std::fs;

use serde_json::{Value, json};

use crate::command::Home;

fn answers(home: &Home, run: &str) -> Value {
    home.line(&format!("run -f tests/graphs/paths.yaml --run-id {run}")).with(0).json()["answer"].clone()
}

#[test]
fn the_third_run_takes_the_path_that_the_first_two_found_cheaper() {
    let home = Home::new();
    let long = "It is most likely that the answer which you are looking for is forty-two.";
    for (run, expected) in [("one", long), ("two", "42"), ("three", "42")] {
        assert_eq!(answers(&home, run), json!(expected), "{run}");
    }
    let costs = home.line("inspect three --costs --output json").with(0).json();
    let of = |to: &str| {
        costs.as_array().unwrap().iter().find(|row| row["to"] == to && row["from"] == "pick").unwrap()
    };
    assert_eq!((&of("quick")["measured"], &of("careful")["measured"]), (&json!(2), &json!(1)));
    assert!(of("quick")["money"].as_f64().unwrap() > 0.0);
    assert!(of("quick")["money"].as_f64() < of("careful")["money"].as_f64());
    assert!(home.line("inspect three --costs").with(0).stdout.contains("MEASURED"));
    for format in ["mermaid", "dot", "graphml"] {
        let drawn = |line: &str| home.line(&format!("render three --format {format} {line}")).with(0).stdout;
        assert!(drawn("--costs") != drawn(""), "{format}");
    }
    assert!(home.line("render three --costs").with(0).stdout.contains("port quick: "));
    home.line("render -f tests/graphs/paths.yaml --costs").with(2);
    home.line("inspect three --costs --superstep 1").with(2).saying("cannot be used with");
}

#[test]
fn a_damaged_note_is_told_and_costs_nothing_but_what_was_measured() {
    let home = Home::new();
    answers(&home, "one");
    let note = home.path().join(".local/state/superstep/notes/costs-paths");
    fs::write(&note, "{\"format\": 1").unwrap();
    let ended = home.line("run -f tests/graphs/paths.yaml --run-id two").with(0);
    assert!(ended.stderr.contains("what was measured of graph \"paths\" is damaged"), "{}", ended.stderr);
    assert!(ended.json()["answer"] != json!("42"), "nothing is known");
    assert_eq!(answers(&home, "three"), json!("42"));
    let ended = home.line("run -f tests/graphs/paths.yaml --ephemeral").with(0);
    assert!(ended.json()["answer"] != json!("42"), "a run in memory knows nothing");
}
