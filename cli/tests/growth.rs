//! What a run stores grows with what it does, and with nothing else.

use std::fs;

use serde_json::json;

use crate::command::Home;

/// The bytes that a run of so many supersteps, with a kilobyte in each, has stored.
fn stored(home: &Home, graph: &str, supersteps: u64) -> u64 {
    let name = format!("{graph}-{supersteps}");
    let input = json!({"text": "x".repeat(1024)}).to_string();
    let parameters = json!({"n": supersteps}).to_string();
    let file = ["run", "-f", "tests/graphs/growing.yaml", "--graph", graph, "--run-id", &name];
    let given = ["--input", &input, "--parameters", &parameters];
    home.run(file.iter().chain(&given)).with(0);
    let shown = home.line("runs --output json").with(0).json();
    let run = shown.as_array().unwrap().iter().find(|run| run["run"] == name.as_str()).unwrap();
    assert_eq!(run["supersteps"], supersteps, "{run}");
    let folder = home.log(&name).parent().unwrap().to_owned();
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn what_is_appended_is_stored_once() {
    let home = Home::new();
    let bytes = stored(&home, "appends", 2_000);
    let (text, per_superstep) = (2_000 * 1024, 200);
    assert!(bytes > text, "{bytes}");
    assert!(bytes < 2 * text + 2_000 * per_superstep, "{bytes}");
}

#[test]
fn a_late_superstep_stores_what_an_early_one_does() {
    let home = Home::new();
    let [early, middle, late] = [100, 200, 10_000].map(|supersteps| stored(&home, "constant", supersteps));
    let (first, last) = ((middle - early) as f64 / 100.0, (late - middle) as f64 / 9_800.0);
    assert!((last / first - 1.0).abs() < 0.02, "{first} bytes for each superstep at first, {last} at last");
}
