//! Questions of a run: answered on the terminal, or later.

use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::json;

use crate::command::{Ended, Home, Running, terminal};

const RUN: [&str; 7] =
    ["run", "-f", "tests/graphs/approve.yaml", "--input", "{\"customer\": \"Ada\"}", "--run-id", "a"];

fn left_open() -> Home {
    let home = Home::new();
    home.run(RUN).with(4).saying("approve@0 of run a asks: Refund Ada?").saying("superstep answer a");
    home
}

#[test]
fn a_run_that_was_left_open_is_answered_and_goes_on() {
    let home = left_open();
    let questions = home.line("answer a").with(0).json();
    assert_eq!(questions[1]["vertex"], json!("approve"));
    assert_eq!(questions[1]["asks"], json!({"prompt": "Refund Ada?", "schema": {"type": "boolean"}}));
    home.line("answer a 5").with(2).saying("name one with --vertex: amount@0, approve@0");
    home.line("answer a 0 --vertex amount").with(2).saying("0 is less than the minimum of 1");
    home.line("answer a 5 --vertex nobody").with(2).saying("asks nothing at vertex \"nobody\"");
    let file = format!("@{}", home.file("amount.json", "5"));
    home.line(&format!("answer a {file} --vertex amount")).with(0).saying("superstep resume a");
    home.line("resume a").with(4).saying("approve@0 of run a asks").saying("superstep answer a");
    home.line("answer a yes").with(0);
    home.line("answer a yes").with(2).saying("asks nothing");
    assert_eq!(home.line("resume a").with(0).json(), json!({"refund": 5}));
}

#[test]
fn commands_that_are_printed_can_be_typed_as_they_stand() {
    let home = Home::new();
    let store = home.path().join("my runs").into_os_string().into_string().unwrap();
    let at = format!("--store '{store}'");
    let with_store = |line: &[&str]| home.run(line.iter().copied().chain(["--store", &store]));
    let several = format!("run a waits for 2 answers: superstep answer a {at} --vertex amount@0 ANSWER");
    with_store(&RUN).with(4).saying(&several).saying(&format!("go on with: superstep resume a {at}\n"));
    let answered = with_store(&["answer", "a", "5", "--vertex", "amount@0"]).with(0);
    answered.saying(&format!("go on with: superstep resume a {at}\n"));
    let one = with_store(&["resume", "a"]).with(4);
    one.saying(&format!("run a waits for an answer: superstep answer a {at} ANSWER"));
    let suspended = with_store(&["suspend", "a"]).with(0);
    suspended.saying(&format!("go on with: superstep resume a {at}\n"));
    let fork = ["fork", "a", "--from", "0", "--no-run", "--run-id", "b"];
    with_store(&fork).with(0).saying(&format!("go on with: superstep resume b {at}\n"));
}

#[test]
fn a_run_whose_driver_does_not_listen_is_not_answered_behind_its_back() {
    let home = left_open();
    let name = "a".parse().unwrap();
    let held = home.store().open(&name, "another").unwrap();
    home.line("answer a 5 --vertex amount").with(6).saying("is driven by").saying("which does not listen");
    drop(held);
    home.line("answer a 5 --vertex amount").with(0);
}

/// Types `lines` on a terminal, each once the words before it were shown there.
fn typed(home: &Home, arguments: &[&str], lines: &[(&str, &str)]) -> (Ended, String) {
    let (mut person, command_end) = terminal();
    let mut command = home.command(arguments);
    command.stdin(Stdio::from(command_end.try_clone().unwrap())).stderr(Stdio::from(command_end));
    let running = Running::start(&mut command);
    drop(command);
    let mut shown = String::new();
    let mut buffer = [0; 4_096];
    let mut lines = lines.iter();
    let mut next = lines.next();
    while let Ok(count @ 1..) = person.read(&mut buffer) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        while let Some((words, line)) = next.filter(|(words, _)| shown.contains(words)) {
            shown = shown.split_off(shown.find(words).unwrap() + words.len());
            writeln!(person, "{line}").unwrap();
            next = lines.next();
        }
    }
    (running.end(), shown)
}

#[test]
fn questions_are_asked_on_the_terminal_until_the_answer_fits() {
    let home = Home::new();
    let lines = [("How much?", "much"), ("does not fit", "5"), ("Refund Ada?", "yes")];
    let (ended, _) = typed(&home, &[&RUN[..], &["--progress", "never"]].concat(), &lines);
    assert_eq!(ended.with(0).json(), json!({"refund": 5}));
}

#[test]
fn no_input_and_the_end_of_the_input_leave_the_run_open() {
    let home = Home::new();
    let (ended, shown) = typed(&home, &[&RUN[..], &["--progress", "never", "--no-input"]].concat(), &[]);
    ended.with(4);
    assert!(shown.contains("superstep answer a"), "{shown}");
    // What was asked before is asked again, and only what is still open.
    home.line("answer a 5 --vertex amount").with(0);
    let (ended, shown) = typed(&home, &["resume", "a", "--progress", "never"], &[("Refund Ada?", "\u{4}")]);
    ended.with(4);
    assert!(!shown.contains("How much?") && shown.contains("superstep answer a"), "{shown}");
}
