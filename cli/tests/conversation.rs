//! Runs that continue others, and runs that their graph does not keep.

use std::fs;

use serde_json::json;

use crate::command::Home;

fn say(home: &Home, run: &str, text: &str, more: &[&str]) -> crate::command::Ended {
    let input = json!({ "text": text }).to_string();
    let arguments = ["run", "-f", "../manifests/examples/conversation", "--run-id", run, "--input", &input];
    home.run(arguments.iter().chain(more))
}

#[test]
fn a_conversation_is_a_chain_of_runs() {
    let home = Home::new();
    let answer = |ended: crate::command::Ended| ended.with(0).json()["answer"]["text"].clone();
    assert_eq!(answer(say(&home, "one", "I am Ada.", &[])), "Pleased to meet you.");
    assert_eq!(
        answer(say(&home, "two", "What is my name?", &["--continue-from", "one"])),
        "Your name is Ada."
    );
    let third = say(&home, "three", "Bye", &["--continue-from", "two"]);
    assert_eq!(answer(third), "Goodbye, Ada. That was our third turn.");
    assert_eq!(answer(say(&home, "alone", "What is my name?", &[])), "You have not told me.");
    let ephemeral = say(&home, "none", "What is my name?", &["--continue-from", "one", "--ephemeral"]);
    assert_eq!(answer(ephemeral), "Your name is Ada.");
    // Each log is enough by itself.
    fs::remove_dir_all(home.path().join(".local/state/superstep/runs/one")).unwrap();
    home.line("replay three").with(0);
    home.line("fork two --from 0 --run-id other").with(0);
    let inspected = home.line("inspect three --output json").with(0).json();
    assert_eq!(inspected["origin"], "continues two");
}

#[test]
fn what_cannot_be_continued_is_told() {
    let home = Home::new();
    say(&home, "one", "I am Ada.", &[]).with(0);
    say(&home, "two", "Hi", &["--continue-from", "nobody"]).with(2).saying("not in the store");
    home.line("run -f tests/graphs/limited.yaml --run-id limited").with(3);
    say(&home, "two", "Hi", &["--continue-from", "limited"])
        .with(2)
        .saying("is of graph \"limited\", and a run of graph \"conversation\" cannot continue it");
    let mut records = home.records("one");
    records.pop();
    let mut log = home.store().create(&"open".parse().unwrap(), "test").unwrap();
    log.append(records).wait().unwrap();
    drop(log);
    say(&home, "two", "Hi", &["--continue-from", "open"]).with(2).saying("run open has not ended");
    assert!(home.records("two").is_empty());
    // A run that a limit ended can be continued: it counts on.
    let on = home.line("run -f tests/graphs/limited.yaml --run-id on --continue-from limited").with(3).json();
    assert_eq!(on, json!({"count": [4, 5, 6]}));
    // What the graph has no place for is named.
    let graph = fs::read_to_string("tests/graphs/limited.yaml").unwrap().replace("count", "tally");
    let file = home.file("tally.yaml", &graph);
    let ended = home.line(&format!("run -f {file} --continue-from limited")).with(3);
    assert_eq!(
        ended.saying("has no place for what run limited left of count").json(),
        json!({"tally": [1, 2, 3]})
    );
}

#[test]
fn a_graph_keeps_as_many_of_its_runs_as_it_says() {
    let home = Home::new();
    let graph = fs::read_to_string("tests/graphs/limited.yaml").unwrap();
    home.line("run -f tests/graphs/changes.yaml --run-id other").with(0);
    let kept = home.file("kept.yaml", &format!("{graph}  retention: {{runs: 2}}\n"));
    home.line(&format!("run -f {kept} --run-id a")).with(3);
    let mut records = home.records("a");
    records.pop();
    let mut log = home.store().create(&"unfinished".parse().unwrap(), "test").unwrap();
    log.append(records).wait().unwrap();
    drop(log);
    home.line(&format!("run -f {kept} --run-id b")).with(3);
    let third = home.line(&format!("run -f {kept} --run-id c")).with(3);
    third.saying("the retention of graph limited has removed 1 run, ");
    let mut left: Vec<String> = home
        .line("runs --output json")
        .with(0)
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["run"].as_str().unwrap().to_owned())
        .collect();
    left.sort();
    // Of two that were started in one second the first by name is kept.
    assert_eq!(left.len(), 4, "{left:?}");
    for run in ["c", "other", "unfinished"] {
        assert!(left.contains(&run.to_owned()), "{run} in {left:?}");
    }
    // Old ones are not let go before their time, and never without a reason.
    let young = home.file("young.yaml", &format!("{graph}  retention: {{runs: 1, age: 1h}}\n"));
    home.line(&format!("run -f {young} --run-id d")).with(3);
    assert_eq!(home.line("runs --output json").with(0).json().as_array().unwrap().len(), 5);
    home.line(&format!("run -f {kept} --run-id e --ephemeral")).with(3);
    assert_eq!(home.line("runs --output json").with(0).json().as_array().unwrap().len(), 5);
}
