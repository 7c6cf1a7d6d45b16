//! `superstep runs` and `superstep inspect`: what happened is shown.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::command::{Ended, Home, Running, calls, until};

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

/// A home with runs that ended in several ways, one that can be resumed, and one whose log is no log.
fn several() -> Home {
    let home = changes();
    home.line("run -f tests/graphs/limited.yaml --run-id limited").with(3);
    home.line("run -f tests/graphs/failing.yaml --run-id failing").with(1);
    let records = home.records("limited");
    let mut log = home.store().create(&"unfinished".parse().unwrap(), "test").unwrap();
    log.append(records[..records.len() - 1].to_vec()).wait().unwrap();
    drop(log);
    fs::create_dir(home.path().join(".local/state/superstep/runs/odd")).unwrap();
    fs::write(home.log("odd"), "no log").unwrap();
    home
}

fn listed(home: &Home, more: &str) -> Vec<String> {
    let runs = home.line(&format!("runs --output json {more}")).with(0).json();
    names(&runs, "run").iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Makes the log of a run so many seconds old, and what is noted of it wrong.
fn age(home: &Home, run: &str, seconds: u64) {
    let log = fs::File::options().append(true).open(home.log(run)).unwrap();
    log.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[test]
fn runs_are_chosen_by_status_and_number_the_newest_first() {
    let home = several();
    for (more, expected) in [
        ("--status succeeded", &["changes"][..]),
        ("--status failed,limit-reached", &["failing", "limited"]),
        ("--status unfinished", &["unfinished"]),
        ("--status unreadable", &["odd"]),
        ("--status cancelled", &[]),
        ("--status succeeded --status failed", &["changes", "failing"]),
    ] {
        let mut found = listed(&home, more);
        found.sort();
        assert_eq!(found, expected, "{more}");
    }
    // What was started in one second stands in the order of names.
    let started = |run: &str| {
        let runs = home.line("runs --output json").with(0).json();
        let row = runs.as_array().unwrap().iter().find(|row| row["run"] == run).unwrap().clone();
        row["started"].as_str().unwrap().to_owned()
    };
    let all = listed(&home, "");
    let mut sorted = all.clone();
    sorted.sort_by_key(|run| (std::cmp::Reverse(started(run)), run.clone()));
    assert_eq!((all.len(), &all), (5, &sorted));
    assert_eq!(listed(&home, "--limit 2"), all[..2]);
    home.line("runs --status done").with(2).saying("succeeded");
}

#[test]
fn what_is_noted_of_a_run_is_never_believed_before_its_log() {
    let home = several();
    let note = |run: &str| home.path().join(format!(".local/state/superstep/runs/{run}/note"));
    let row = |run: &str| {
        let runs = home.line("runs --output json").with(0).json();
        runs.as_array().unwrap().iter().find(|row| row["run"] == run).unwrap().clone()
    };
    let expected = row("limited");
    assert_eq!((&expected["supersteps"], &expected["graph"]), (&json!(3), &json!("limited")));
    let kept = fs::read_to_string(note("limited")).unwrap();
    // Gone, cut short, of another log, of another format: each time the log is asked.
    let lying = kept.replace("\"supersteps\":3", "\"supersteps\":7");
    assert_ne!(lying, kept);
    fs::write(note("limited"), &lying).unwrap();
    assert_eq!(row("limited")["supersteps"], 7, "a note that fits its log is taken");
    age(&home, "limited", 60);
    assert_eq!(row("limited"), expected);
    for broken in
        ["", "{", &lying.replace("\"format\":2", "\"format\":1"), &lying.replace("\"bytes\":", "\"bytes\":1")]
    {
        fs::write(note("limited"), broken).unwrap();
        assert_eq!(row("limited"), expected, "{broken}");
    }
    fs::remove_file(note("limited")).unwrap();
    assert_eq!(row("limited"), expected);
    assert!(note("limited").exists());
    // A run at work changes its log all the time: nothing is noted of it so early. On a busy machine it is not so early any
    // more, so that its log is made younger than it can be.
    fs::remove_file(note("unfinished")).unwrap_or_default();
    let log = fs::File::options().append(true).open(home.log("unfinished")).unwrap();
    log.set_modified(SystemTime::now() + Duration::from_secs(3_600)).unwrap();
    assert_eq!(row("unfinished")["status"], "interrupted");
    assert!(!note("unfinished").exists());
    age(&home, "unfinished", 60);
    assert_eq!(row("unfinished")["status"], "interrupted");
    assert!(note("unfinished").exists());
    home.line("resume unfinished").with(3);
    assert_eq!(row("unfinished")["status"], "limit reached: limits.supersteps");
}

#[test]
fn the_index_of_many_runs_is_never_believed_before_their_logs() {
    let home = several();
    let runs = home.path().join(".local/state/superstep/runs");
    let copied = |name: &str, of: &str| {
        fs::create_dir_all(runs.join(name)).unwrap();
        fs::copy(home.log(of), home.log(name)).unwrap();
        age(&home, name, 60);
    };
    (0..300).for_each(|number| copied(&format!("r{number}"), "limited"));
    let row = |run: &str| {
        let shown = home.line("runs --output json").with(0).json();
        shown.as_array().unwrap().iter().find(|row| row["run"] == run).cloned()
    };
    let expected = row("r7").unwrap();
    assert_eq!((&expected["supersteps"], &expected["graph"]), (&json!(3), &json!("limited")));
    // What the index says is taken as long as the logs are those that it speaks of.
    let index = home.path().join(".local/state/superstep/notes/runs");
    let written = fs::read_to_string(&index).unwrap();
    fs::write(&index, written.replace("\"supersteps\":3", "\"supersteps\":7")).unwrap();
    assert_eq!(row("r7").unwrap()["supersteps"], 7);
    age(&home, "r7", 50);
    assert_eq!(row("r7").unwrap(), expected, "another time");
    copied("r8", "failing");
    assert_eq!(row("r8").unwrap()["graph"], "failing", "another log");
    fs::remove_dir_all(runs.join("r9")).unwrap();
    assert_eq!(row("r9"), None);
    fs::write(home.log("r10"), "no log").unwrap();
    assert!(row("r10").unwrap()["status"].as_str().unwrap().contains("is corrupt"));
    for broken in ["", "{", &written.replacen("\"format\":2", "\"format\":1", 1)] {
        fs::write(&index, broken).unwrap();
        assert_eq!(row("r11").unwrap()["supersteps"], 3, "{broken}");
    }
}

#[test]
fn a_store_that_cannot_be_written_to_is_listed_all_the_same() {
    let home = several();
    let note = home.path().join(".local/state/superstep/runs/limited/note");
    fs::remove_file(&note).unwrap();
    // A folder in its place cannot be replaced, whoever the tests run as.
    fs::create_dir(&note).unwrap();
    assert_eq!(listed(&home, "--status limit-reached"), ["limited"]);
}

#[test]
fn gc_removes_what_has_ended_and_says_what_that_freed() {
    let home = several();
    home.line("runs gc").with(2).saying("--older-than <DURATION>");
    home.line("runs gc --older-than 5").with(2).saying("as in 30d");
    age(&home, "changes", 7_200);
    let would = home.line("runs gc --older-than 1h --dry-run --output json").with(0).json();
    assert_eq!((&would["removed"], &would["dryRun"]), (&json!(1), &json!(true)));
    assert_eq!(names(&would["runs"], "outcome"), ["would be removed"]);
    assert_eq!(listed(&home, "").len(), 5);
    let bytes = fs::metadata(home.log("changes")).unwrap().len();
    let done = home.line("runs gc --older-than 1h --output json").with(0).saying("removed 1 run, ");
    assert_eq!(done.json()["freedBytes"], bytes);
    assert_eq!(names(&done.json()["runs"], "run"), ["changes"]);
    home.line("inspect changes").with(2).saying("not in the store");
    home.line("runs gc --keep 9").with(0).saying("removed 0 runs, 0 bytes");
    home.line("runs gc --keep 0").with(0).saying("removed 2 runs, ");
    let mut left = listed(&home, "");
    left.sort();
    assert_eq!(left, ["odd", "unfinished"]);
    let table = home.line("runs gc --keep 0 --all").with(0).stdout;
    assert!(table.starts_with("RUN ") && table.contains("removed"), "{table}");
    assert_eq!(listed(&home, ""), Vec::<String>::new());
}

#[test]
fn gc_leaves_a_run_that_another_process_has_open() {
    let home = changes();
    let slow = fs::read_to_string("tests/graphs/calls.yaml").unwrap().replace("latency: 6ms", "latency: 10m");
    let graph = home.file("calls.yaml", &slow);
    let mut arguments = calls("working");
    arguments[2] = graph;
    let running = Running::start(&mut home.command(arguments));
    until("the run has begun", || !home.records("working").is_empty());
    let swept = home.line("runs gc --keep 0 --all --output json").with(0).json();
    assert_eq!(swept["removed"], 1);
    let rows = swept["runs"].as_array().unwrap();
    let row = rows.iter().find(|row| row["run"] == "working").unwrap();
    let held = format!("left: run \"working\" is held by process {}", running.id());
    assert!(row["outcome"].as_str().unwrap().starts_with(&held), "{row}");
    assert_eq!(listed(&home, ""), ["working"]);
}

#[test]
fn an_inspected_run_tells_its_mutations_joins_and_messages() {
    let told = inspect(&changes(), "inspect changes --output json");
    let supersteps = &told["supersteps"];
    assert_eq!(names(supersteps, "superstep"), [0, 1, 2]);
    let mutations = supersteps[0]["mutations"].as_array().unwrap();
    assert_eq!(mutations[1]["mutation"], json!({"addEdge": {"from": "both", "to": "reviewer"}}));
    let of = |told: &Value| json!({"requester": told["requester"], "change": told["change"], "verdict": told["verdict"]});
    assert_eq!(
        Value::from(mutations.iter().map(of).collect::<Vec<_>>()),
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
