//! Runs that keep only their last supersteps.

use std::fs;

use serde_json::{Value, json};

use crate::command::Home;

/// A graph that counts to twenty.
pub(crate) const COUNTER: &str = r#"
apiVersion: superstep.dev/v1alpha1
kind: AgentGraph
metadata: {name: counter}
spec:
  entry: [count]
  vertices:
  - {name: count, value: 0, function: {cel: "value + 1"}, effects: {value: output}}
  edges: [{from: count, to: count, when: "message % 20 > 0"}]
  outputs: [{vertex: count, select: All}]
"#;

/// A home with a run of 20 supersteps.
fn counted() -> Home {
    let home = Home::new();
    let graph = home.file("counter.yaml", COUNTER);
    home.line(&format!("run -f {graph} --run-id counted")).with(0);
    home
}

fn inspected(home: &Home, run: &str) -> Value {
    home.line(&format!("inspect {run} --output json")).with(0).json()
}

fn listed(home: &Home) -> Value {
    let mut runs = home.line("runs --output json").with(0).json();
    for run in runs.as_array_mut().unwrap() {
        run.as_object_mut().unwrap().remove("bytes");
    }
    runs
}

#[test]
fn gc_keeps_the_last_supersteps_every_output_and_the_end() {
    let home = counted();
    home.line("run -f tests/graphs/limited.yaml --run-id short").with(3);
    let records = home.records("short");
    let mut log = home.store().create(&"unfinished".parse().unwrap(), "test").unwrap();
    log.append(records[..records.len() - 1].to_vec()).wait().unwrap();
    drop(log);
    let (whole, list) = (inspected(&home, "counted"), listed(&home));

    let would = home.line("runs gc --keep-supersteps 5 --dry-run --output json").with(0);
    assert_eq!(would.json()["runs"][0]["outcome"], "would lose its first 15 supersteps");
    assert_eq!(inspected(&home, "counted"), whole);
    let done = home.line("runs gc --keep-supersteps 5 --output json").with(0);
    let told = done.saying("removed 0 runs, and shortened 1 run, ").json();
    assert_eq!((&told["runs"][0]["run"], &told["shortened"]), (&json!("counted"), &json!(1)));
    assert!(told["freedBytes"].as_u64().unwrap() > 500, "{told}");

    let mut kept = inspected(&home, "counted");
    assert_eq!(kept.as_object_mut().unwrap().remove("keptFrom"), Some(json!(15)));
    let supersteps = whole["supersteps"].as_array().unwrap()[15..].to_vec();
    let mut expected = whole;
    expected["supersteps"] = supersteps.into();
    assert_eq!(kept, expected);
    assert_eq!(kept["outputs"]["count"].as_array().unwrap().len(), 20);
    assert_eq!(listed(&home), list);
    home.line("runs gc --keep-supersteps 5").with(0).saying("removed 0 runs, and shortened 0 runs, 0 bytes");
    assert_eq!(home.records("unfinished").len(), records.len() - 1, "it can be resumed");
}

#[test]
fn a_shortened_run_is_watched_ended_and_continued_and_what_needs_the_rest_is_refused() {
    let home = counted();
    home.line("runs gc --keep-supersteps 2").with(0);
    let watched = home.line("watch counted --output jsonl").with(0).stdout;
    assert!(watched.contains("\"superstep\":18") && !watched.contains("\"superstep\":17"), "{watched}");
    assert_eq!(home.line("resume counted").with(0).json()["count"].as_array().unwrap().len(), 20);
    home.line("cancel counted").with(0).saying("had ended before");
    let graph = home.file("counter.yaml", COUNTER);
    let continued = home.line(&format!("run -f {graph} --continue-from counted --run-id next")).with(0);
    assert_eq!(continued.json()["count"][0], json!(21));
    let gone = "was compacted: nothing is left of what happened before superstep 18";
    for line in [
        "replay counted",
        "why counted count@19",
        "render counted",
        "diff counted next",
        "inspect counted --superstep 3",
        "inspect counted --costs",
    ] {
        home.line(line).with(2).saying(gone);
    }
    home.line("fork counted --from 19").with(2).saying("only superstep 0 is left to fork from");
    let forked = home.line("fork counted --from 0").with(0);
    assert_eq!(forked.json()["count"].as_array().unwrap().len(), 20);
}

#[test]
fn a_graph_keeps_as_many_supersteps_of_its_runs_as_it_says() {
    let home = counted();
    let graph = home.file("short.yaml", &format!("{COUNTER}  retention: {{supersteps: 3}}\n"));
    let ended = home.line(&format!("run -f {graph} --run-id short")).with(0);
    ended.saying("of run short the last 3 supersteps are kept: ");
    assert_eq!(inspected(&home, "short")["keptFrom"], json!(17));
    assert_eq!(inspected(&home, "counted").get("keptFrom"), None, "of the run that has ended alone");
    let (long, short) = (home.log("counted"), home.log("short"));
    let bytes = |log| fs::metadata(log).unwrap().len();
    assert!(bytes(short) < bytes(long));
}
