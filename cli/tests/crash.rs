//! kill -9 at any moment loses no completed call, repeats none, and changes no result.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use superstep_engine::{CallKey, Epoch, Record, RunStatus};

use crate::command::{Home, Running, calls, undisturbed};
use crate::random::Random;

/// The calls that `graphs/calls.yaml` makes when each is counted once.
const CALLS: usize = 40;

/// A run that was killed until it came to its end.
struct Survivor {
    kills: u32,
    result: Value,
    records: Vec<Record>,
}

/// Starts a run and kills it at random moments. It gets more time after each kill, so that it ends on a
/// machine of any speed.
fn survive(seed: u64) -> Survivor {
    let home = Home::new();
    let mut random = Random(seed);
    let mut window = 60_000;
    let mut kills = 0;
    let mut name = "calls".to_owned();
    loop {
        // What was killed before its first record has not begun, and holds on to its name.
        let before = home.records(&name);
        let begun = !before.is_empty();
        let arguments = if begun {
            vec!["resume".to_owned(), name.clone()]
        } else {
            name = format!("calls-{kills}");
            calls(&name)
        };
        let running = Running::start(&mut home.command(arguments));
        std::thread::sleep(Duration::from_micros(random.below(window)));
        let ended = running.kill();
        if begun {
            assert!(home.records(&name).starts_with(&before), "kill {kills} of seed {seed} lost a record");
        }
        if let Some(ended) = ended {
            let ended = ended.with(0);
            assert!(!ended.stderr.contains("corrupt"), "{ended:?}");
            return Survivor { kills, result: ended.json(), records: home.records(&name) };
        }
        kills += 1;
        window += window / 16;
    }
}

type Call<'a> = (String, &'a [u8; 16], u32);

fn call(key: &CallKey) -> Call<'_> {
    (key.activation.to_string(), &key.digest, key.occurrence)
}

/// What the log of a run that was killed so often must not hold, or must hold and does not.
fn faults(records: &[Record], kills: u32) -> Vec<String> {
    let mut faults = Vec::new();
    let mut answered = BTreeSet::new();
    let mut intents: BTreeMap<&CallKey, u32> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    let mut commits = 0;
    let mut epoch = None;
    for record in records {
        match record {
            Record::CallIntent { call: key, .. } => {
                let count = intents.entry(key).or_default();
                *count += 1;
                if *count > 1 + kills {
                    faults.push(format!("{key:?} was sent {count} times"));
                }
                if ended.contains(key) || answered.contains(&call(key)) {
                    faults.push(format!("{key:?} was sent after its end"));
                }
            }
            Record::CallEnded { call: key, outcome } => {
                if !intents.contains_key(key) {
                    faults.push(format!("{key:?} ended and was not intended"));
                }
                if !ended.insert(key.clone()) || (outcome.answer.is_ok() && !answered.insert(call(key))) {
                    faults.push(format!("{key:?} ended twice"));
                }
            }
            Record::EpochTaken { epoch: taken, .. } => {
                if epoch >= Some(*taken) {
                    faults.push(format!("{taken:?} follows {epoch:?}"));
                }
                epoch = Some::<Epoch>(*taken);
            }
            Record::Committed(commit) => {
                if commit.superstep != commits {
                    faults.push(format!("superstep {} follows {commits} commits", commit.superstep));
                }
                commits += 1;
            }
            Record::RunStarted(_)
            | Record::AttemptFailed { .. }
            | Record::Suspended { .. }
            | Record::Answered { .. }
            | Record::Patched(_)
            | Record::Ended(_)
            | Record::Known(_)
            | Record::Measured(_)
            | Record::Forked { .. }
            | Record::Continued(_)
            | Record::Placed(_)
            | Record::Compacted(_)
            | Record::Told(_)
            | Record::RunSuspended(_) => {}
        }
    }
    if answered.len() != CALLS {
        faults.push(format!("{} calls were answered", answered.len()));
    }
    if records.last() != Some(&Record::Ended(RunStatus::Succeeded)) {
        faults.push("the run has not succeeded".to_owned());
    }
    faults
}

#[test]
fn a_run_that_is_killed_at_random_moments_ends_as_if_undisturbed() {
    let expected = undisturbed();
    let mut kills = 0;
    for seed in 1.. {
        let survivor = survive(seed);
        assert_eq!(faults(&survivor.records, survivor.kills), Vec::<String>::new(), "seed {seed}");
        assert_eq!(survivor.result, expected, "seed {seed}");
        kills += survivor.kills;
        if kills >= 60 {
            break;
        }
    }
}

/// The faults of an undisturbed log after a change.
fn faults_after(change: impl FnOnce(&mut Vec<Record>)) -> Vec<String> {
    let home = Home::new();
    home.run(calls("calls")).with(0);
    let mut records = home.records("calls");
    change(&mut records);
    faults(&records, 0)
}

fn position(records: &[Record], wanted: impl Fn(&Record) -> bool) -> usize {
    records.iter().position(wanted).expect("the log has such a record")
}

#[test]
fn a_log_that_breaks_the_promise_is_told_from_one_that_keeps_it() {
    let last = |records: &[Record], wanted: fn(&Record) -> bool| {
        records.iter().rposition(wanted).expect("the log has such a record")
    };
    let repeat = |wanted: fn(&Record) -> bool| {
        faults_after(move |records| {
            let record = records[position(records, wanted)].clone();
            let at = last(records, |record| matches!(record, Record::Committed(_)));
            records.insert(at, record);
        })
    };
    assert_eq!(faults_after(|_| {}), Vec::<String>::new());
    assert_eq!(repeat(|record| matches!(record, Record::CallIntent { .. })).len(), 2);
    assert_eq!(repeat(|record| matches!(record, Record::CallEnded { .. })).len(), 1);
    assert_eq!(repeat(|record| matches!(record, Record::EpochTaken { .. })).len(), 1);
    assert!(!repeat(|record| matches!(record, Record::Committed(_))).is_empty());
    let lost = faults_after(|records| {
        let answered =
            |record: &Record| matches!(record, Record::CallEnded { outcome, .. } if outcome.answer.is_ok());
        let at = position(records, answered);
        records.remove(at);
    });
    assert_eq!(lost.len(), 1);
    assert_eq!(faults_after(|records| drop(records.pop())).len(), 1);
}
