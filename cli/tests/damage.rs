//! A damaged log is found, named, and not gone on from.

use std::fs;
use std::sync::Arc;

use serde_json::json;
use superstep_engine::{Payload, Record};

use crate::command::{Home, calls};

#[test]
fn a_flipped_byte_is_named_by_file_and_record_and_the_run_is_not_resumed() {
    let home = Home::new();
    home.run(calls("calls")).with(0);
    let whole = fs::read(home.log("calls")).unwrap();
    for part in 1..8 {
        let mut damaged = whole.clone();
        damaged[whole.len() * part / 8] ^= 0x20;
        fs::write(home.log("calls"), &damaged).unwrap();
        for line in ["resume calls", "inspect calls"] {
            let ended = home.line(line).with(5).saying(&format!("{}: record ", home.log("calls").display()));
            assert!(ended.stderr.contains(" is corrupt: ") && ended.stdout.is_empty(), "{ended:?}");
        }
        assert_eq!(fs::read(home.log("calls")).unwrap(), damaged);
    }
    let listed = home.line("runs").with(0);
    assert!(listed.stdout.contains("is corrupt"), "{listed:?}");
    fs::write(home.log("calls"), &whole).unwrap();
    home.line("resume calls").with(0);
}

#[test]
fn a_torn_last_write_is_cut_off_and_told_and_the_run_goes_on() {
    let home = Home::new();
    let whole = home.run(calls("calls")).with(0).json();
    let log = fs::read(home.log("calls")).unwrap();
    let end = log.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(home.log("calls"), &log[..end]).unwrap();
    let ended = home.line("resume calls").with(0).saying("cut off the log");
    assert_eq!(ended.json(), whole);
    assert!(matches!(home.records("calls").last(), Some(Record::Ended(_))));
}

#[test]
fn a_run_that_was_killed_before_its_first_record_is_not_taken_for_corrupt() {
    let home = Home::new();
    drop(home.store().create(&"early".parse().unwrap(), "test").unwrap());
    for line in ["resume early", "inspect early"] {
        home.line(line).with(2).saying("the log of run early holds no run");
    }
    home.line("runs").with(0);
}

#[test]
fn a_list_of_models_that_is_not_understood_is_no_failure_to_write() {
    let home = Home::new();
    home.run(["run", "-f", "../manifests/hello", "--input", "{\"name\": \"Ada\"}", "--run-id", "hello"])
        .with(0);
    let mut records = home.records("hello");
    let Some(Record::RunStarted(started)) = records.first_mut() else { panic!("{records:?}") };
    Arc::make_mut(started).attachment = Payload::from(json!({"models": 7}));
    let mut log = home.store().create(&"odd".parse().unwrap(), "test").unwrap();
    log.append(records).wait().unwrap();
    drop(log);
    for line in ["resume odd", "inspect odd", "render odd"] {
        let said = "the log of run \"odd\" has a list of models that this version cannot read: invalid type";
        home.line(line).with(5).saying(said);
    }
}
