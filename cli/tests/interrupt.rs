//! A run is left cleanly, can be resumed, and is driven by one process at a time.

use std::fs;

use rustix::process::Signal;
use superstep_engine::Record;

use crate::command::{Home, Running, calls, undisturbed, until};

/// A run of `graphs/calls.yaml` whose model takes `latency`, once `so` holds of its records.
pub(crate) fn driven(home: &Home, latency: &str, so: impl Fn(&[Record]) -> bool) -> Running {
    let graph = fs::read_to_string("tests/graphs/calls.yaml").unwrap();
    let graph = home.file("calls.yaml", &graph.replace("latency: 6ms", &format!("latency: {latency}")));
    let mut arguments = calls("calls");
    arguments[2] = graph;
    let running = Running::start(&mut home.command(arguments));
    until("the run has come so far", || so(&home.records("calls")));
    running
}

pub(crate) fn has_committed(records: &[Record]) -> bool {
    records.iter().filter(|record| matches!(record, Record::Committed(_))).count() >= 2
}

fn has_called(records: &[Record]) -> bool {
    records.iter().any(|record| matches!(record, Record::CallIntent { .. }))
}

#[test]
fn a_signal_stops_a_run_which_tells_how_to_go_on_and_ends_as_if_undisturbed() {
    let expected = undisturbed();
    for signal in [Signal::INT, Signal::TERM] {
        // On a busy machine a quick run may have ended before.
        let (home, ended) = ["150ms", "1s", "5s"]
            .into_iter()
            .map(|latency| {
                let home = Home::new();
                let running = driven(&home, latency, has_committed);
                running.signal(signal);
                (home, running.end())
            })
            .find(|(_, ended)| ended.code != Some(0))
            .expect("a slow run is stopped");
        let ended = ended.with(4);
        assert!(ended.stdout.is_empty(), "{ended:?}");
        let (_, advice) = ended.stderr.split_once("go on with: superstep ").expect("it tells");
        let listed = home.line("runs --output json").with(0).json();
        assert_eq!(listed[0]["status"], "interrupted");
        assert_eq!(home.line(advice).with(0).json(), expected);
    }
}

#[test]
fn a_model_that_is_still_writing_does_not_hold_a_signal_up() {
    let home = Home::new();
    let running = driven(&home, "10m", has_called);
    running.signal(Signal::TERM);
    running.end().with(4).saying("superstep resume calls");
}

#[test]
fn an_interrupted_ephemeral_run_promises_nothing() {
    let home = Home::new();
    let graph = fs::read_to_string("../manifests/hello/graph.yaml").unwrap();
    let slow = graph.replace("      rules:", "      latency: 10m\n      rules:");
    let graph = home.file("slow.yaml", &slow);
    let arguments =
        ["run", "-f", &graph, "--ephemeral", "--input", "{\"name\": \"Ada\"}", "--progress", "always"];
    let log = fs::File::create(home.path().join("progress")).unwrap();
    let running = Running::start(home.command(arguments).stderr(log));
    let said = || fs::read_to_string(home.path().join("progress")).unwrap();
    until("the run has started", || said().contains("superstep 0"));
    running.signal(Signal::INT);
    running.end().with(4);
    assert!(said().contains("in memory only") && !said().contains("superstep resume"), "{}", said());
}

#[test]
fn a_run_that_is_driven_is_locked_and_can_be_looked_at() {
    let home = Home::new();
    let running = driven(&home, "10m", has_called);
    let holder = format!("run \"calls\" is held by process {}", running.id());
    home.line("resume calls").with(6).saying(&holder);
    let told = home.line("inspect calls --output json").with(0).json();
    assert_eq!(told["summary"]["status"], "unfinished");
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
    // The lock went with its holder: the next process takes the run, and makes the calls again.
    let mut resumed = home.command(["resume", "calls"]);
    let resumed = Running::start(&mut resumed);
    let epochs = || {
        let records = home.records("calls");
        records.iter().filter(|record| matches!(record, Record::EpochTaken { .. })).count()
    };
    until("another epoch is taken", || epochs() == 2);
    resumed.signal(Signal::TERM);
    resumed.end().with(4);
}
