//! A run is patched, cancelled, answered and listed from other processes than the one that drives it.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};
use superstep_engine::{Record, RunStatus};

use crate::command::{Home, Running, terminal, until};

const LOOP: [&str; 7] = ["run", "-f", "tests/graphs/loop.yaml", "--run-id", "loop", "--progress", "never"];

const PATCH: &str = r#"
apiVersion: superstep.dev/v1alpha1
kind: AgentGraphPatch
metadata: {name: add-reviewer}
spec:
  graphRef: {name: loop}
  runRef: {name: loop}
  mutations:
  - addVertex: {name: reviewer, function: {cel: "'seen: ' + message.text"}}
  - addEdge: {from: step, to: reviewer}
  - set: {vertex: step, field: prompt.template, value: "Go on from {{ superstep }}"}
"#;

/// A run that goes round, once it has committed something.
pub(crate) fn driven(home: &Home) -> Running {
    let running = Running::start(&mut home.command(LOOP));
    until("the run has come so far", || commits(home) >= 2);
    running
}

pub(crate) fn commits(home: &Home) -> usize {
    home.records("loop").iter().filter(|record| matches!(record, Record::Committed(_))).count()
}

fn status(home: &Home, run: &str) -> String {
    let runs = home.line("runs --output json").with(0).json();
    let row = runs.as_array().unwrap().iter().find(|row| row["run"] == run).unwrap();
    row["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_running_graph_is_patched_from_another_process() {
    let home = Home::new();
    let running = driven(&home);
    let file = home.file("patch.yaml", PATCH);
    let rows = home.line(&format!("patch loop -f {file} --output json")).with(0).json();
    let rows = rows.as_array().unwrap();
    let changes = ["adds vertex reviewer", "adds edge step → reviewer", "sets prompt.template of step"];
    for (row, change) in rows.iter().zip(changes) {
        assert_eq!((&row["patch"], &row["change"]), (&json!("add-reviewer"), &json!(change)));
        assert_eq!((&row["verdict"], &row["superstep"]), (&json!("applied"), &rows[0]["superstep"]));
        assert_eq!(row["revision"].as_str().map(str::len), rows[0]["revision"].as_str().map(str::len));
    }
    let has_run = |record: &Record| {
        let Record::Committed(commit) = record else { return false };
        commit.completed.iter().any(|done| done.vertex.as_str() == "reviewer")
    };
    until("the new vertex has run", || home.records("loop").iter().any(has_run));
    // The same again is the same patch, and its verdicts are those that it had.
    let again = home.line(&format!("patch loop -f {file} --output json")).with(0).json();
    assert_eq!(again.as_array().unwrap(), rows);
    let other = home.file("other.yaml", &PATCH.replace("reviewer, function", "second, function"));
    home.line(&format!("patch loop -f {other}"))
        .with(2)
        .saying("has a patch \"add-reviewer\" with other mutations");
    let refused = home.file("refused.yaml", &PATCH.replace("add-reviewer", "once-more"));
    let rows = home.line(&format!("patch loop -f {refused} --output json")).with(1).json();
    assert!(rows[0]["verdict"].as_str().unwrap().starts_with("refused: "), "{rows}");
    home.line("cancel loop").with(0);
    running.end().with(1).saying("cancelled");
    home.line(&format!("patch loop -f {other}")).with(2).saying("run loop has ended");
}

#[test]
fn a_running_graph_adopts_its_changed_document() {
    let home = Home::new();
    let running = driven(&home);
    let patch = home.file("patch.yaml", PATCH);
    home.line(&format!("patch loop -f {patch}")).with(0);
    // The document ends the loop and has a vertex of its own; what the patch changed is changed in it again.
    let written = fs::read_to_string("tests/graphs/loop.yaml").unwrap();
    let changed = written
        .replace(
            "  edges:",
            "  - {name: last, function: {cel: \"'adopted'\"}}\n  edges:\n  - {from: step, to: last}",
        )
        .replace("when: superstep < 20000", "when: superstep < 0")
        .replace("outputs: [{vertex: step}]", "outputs: [{vertex: last}]");
    let other =
        home.file("other.yaml", &changed.replace("metadata: {name: loop}", "metadata: {name: other}"));
    home.line(&format!("patch loop -f {other}")).with(2).saying("not the AgentGraph of the run");
    let file = home.file("changed.yaml", &changed);
    let rows = home.line(&format!("patch loop -f {file} --output json")).with(0).json();
    assert_eq!(rows[0]["change"], "adopts the changed document");
    assert_eq!(rows[0]["verdict"], "applied");
    assert_eq!(running.end().with(0).json(), json!({"last": "adopted"}));
    let end = home
        .records("loop")
        .into_iter()
        .rev()
        .find_map(|record| if let Record::Committed(commit) = record { Some(commit) } else { None });
    let last: Vec<String> = end.unwrap().completed.iter().map(|done| done.vertex.to_string()).collect();
    assert_eq!(last, ["last", "reviewer"]);
}

#[test]
fn a_patch_for_something_else_is_a_mistake_with_its_place() {
    let home = Home::new();
    let running = driven(&home);
    for (wrong, right, saying) in [
        ("graphRef: {name: loop}", "graphRef: {name: lop}", "the patch is for graph \"lop\""),
        ("runRef: {name: loop}", "runRef: {name: other}", "the patch is for run \"other\""),
        ("function: {cel", "functoin: {cel", "did you mean \"function\""),
    ] {
        let file = home.file("patch.yaml", &PATCH.replace(wrong, right));
        home.line(&format!("patch loop -f {file}")).with(2).saying(saying).saying("patch.yaml:");
    }
    home.line("patch loop -f tests/graphs/letters.yaml").with(2).saying("no AgentGraphPatch");
    home.line("patch none -f tests/graphs/loop.yaml").with(2).saying("not in the store");
    assert!(!home.records("loop").iter().any(|record| matches!(record, Record::Patched(_))));
    running.kill();
}

#[test]
fn a_patch_of_a_run_that_nobody_drives_is_judged_when_it_goes_on() {
    let home = Home::new();
    assert!(driven(&home).kill().is_none());
    let file = home.file("patch.yaml", PATCH);
    let ended = home.line(&format!("patch loop -f {file} --output json")).with(0);
    let ended = ended.saying("judged with: superstep resume loop");
    assert_eq!(ended.json()[0]["verdict"], "recorded");
    let resumed = Running::start(&mut home.command(["resume", "loop"]));
    let verdict =
        || home.line(&format!("patch loop -f {file} --output json")).with(0).json()[0]["verdict"].clone();
    until("the patch is judged", || verdict() == "applied");
    resumed.kill();
}

#[test]
fn a_run_is_cancelled_whoever_drives_it_and_stays_so() {
    let home = Home::new();
    let running = driven(&home);
    assert_eq!(status(&home, "loop"), "running");
    let cancelled = home.line("cancel loop").with(0).saying("run loop is cancelled");
    assert_eq!(cancelled.json(), json!({"step": {"text": "one word after another"}}));
    assert!(home.records("loop").contains(&Record::Ended(RunStatus::Cancelled)));
    assert_eq!(running.end().with(1).saying("run loop cancelled").json(), cancelled.json());
    home.line("cancel loop").with(0);
    assert_eq!(status(&home, "loop"), "cancelled");
    assert_eq!(home.line("resume loop").with(1).saying("run loop cancelled").json(), cancelled.json());

    let home = Home::new();
    assert!(driven(&home).kill().is_none());
    assert_eq!(status(&home, "loop"), "interrupted");
    home.line("cancel loop").with(0).saying("run loop is cancelled");
    assert_eq!(status(&home, "loop"), "cancelled");
    let before = home.records("loop");
    home.line("resume loop").with(1).saying("run loop cancelled");
    home.line("cancel loop").with(0);
    assert_eq!(home.records("loop"), before, "a run that has ended is written to no more");
}

#[test]
fn a_run_that_has_ended_is_not_cancelled() {
    let home = Home::new();
    home.line("run -f tests/graphs/changes.yaml --run-id changes").with(0);
    home.line("cancel changes").with(0).saying("had ended before: succeeded");
    home.line("cancel none").with(2).saying("not in the store");
    assert_eq!(status(&home, "changes"), "succeeded");
}

#[test]
fn a_run_that_waits_on_a_terminal_is_answered_from_another_process() {
    let home = Home::new();
    let (_person, command_end) = terminal();
    let mut command =
        home.command(["run", "-f", "tests/graphs/approve.yaml", "--run-id", "a", "--progress", "never"]);
    command.args(["--input", "{\"customer\": \"Ada\"}"]);
    command.stdin(Stdio::from(command_end.try_clone().unwrap())).stderr(Stdio::from(command_end));
    let running = Running::start(&mut command);
    drop(command);
    let asked =
        || home.records("a").iter().filter(|record| matches!(record, Record::Suspended { .. })).count();
    until("both have asked", || asked() == 2);
    home.line("answer a 0 --vertex amount").with(2).saying("0 is less than the minimum of 1");
    let answered = home.line("answer a 5 --vertex amount").with(0).saying("amount@0 has its answer");
    assert!(!answered.stderr.contains("resume"), "{answered:?}");
    let taken = |record: &Record| matches!(record, Record::Answered { .. });
    assert!(home.records("a").iter().any(taken), "an answer is durable when it is acknowledged");
    home.line("answer a yes --vertex approve").with(0);
    assert_eq!(running.end().with(0).json(), json!({"refund": 5}));
}

#[test]
fn runs_that_are_at_work_are_told_from_those_that_are_not() {
    let home = Home::new();
    let running = driven(&home);
    let listed = |status: &str| {
        let runs = home.line(&format!("runs --output json --status {status}")).with(0).json();
        runs.as_array().unwrap().len()
    };
    assert_eq!((listed("running"), listed("interrupted"), listed("unfinished")), (1, 0, 1));
    running.signal(Signal::TERM);
    running.end().with(4);
    assert_eq!((listed("running"), listed("interrupted"), listed("unfinished")), (0, 1, 1));
}

#[test]
fn a_run_is_reached_without_a_runtime_folder_and_a_killed_ones_socket_is_replaced() {
    let home = Home::new();
    let temporary = home.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let without = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env_remove("XDG_RUNTIME_DIR").env("TMPDIR", &temporary);
        Running::start(&mut command)
    };
    let running = without(&LOOP);
    until("the run has come so far", || commits(&home) >= 2);
    let note = home.path().join(".local/state/superstep/runs/loop/control");
    let socket = || {
        let note: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
        note["socket"].as_str().unwrap().to_owned()
    };
    assert!(socket().starts_with(temporary.to_str().unwrap()), "{}", socket());
    let left = socket();
    assert!(running.kill().is_none());
    assert!(fs::exists(&left).unwrap(), "a killed process leaves its socket");
    let running = without(&["resume", "loop", "--progress", "never"]);
    let before = commits(&home);
    until("the run goes on", || commits(&home) > before);
    assert_eq!(socket(), left);
    // Whoever asks has another runtime folder: the note says where the run listens.
    home.line("cancel loop").with(0);
    running.end().with(1);
    assert!(!fs::exists(&left).unwrap() && !note.exists());
}
