//! Several who write one log.

use std::{sync::Barrier, thread};

use proptest::prelude::*;

use super::*;
use crate::object::tests::faulty::Fault;

#[test]
fn whoever_appends_first_has_the_log_and_the_other_is_fenced() {
    let (objects, runs, mut first) = begun();
    append(&mut first, "a").wait().unwrap();
    let (mut second, contents) = over(&objects).open::<Note>(&run()).unwrap();
    assert_eq!(texts(&contents.records), ["a"]);
    append(&mut first, "b").wait().unwrap();
    for _ in 0..2 {
        let outcome = append(&mut second, "c").wait();
        assert!(matches!(outcome, Err(AppendError::Fenced { .. })), "{outcome:?}");
    }
    let (mut third, contents) = over(&objects).open::<Note>(&run()).unwrap();
    assert_eq!(texts(&contents.records), ["a", "b"]);
    append(&mut third, "d").wait().unwrap();
    let outcome = append(&mut first, "e").wait();
    assert!(matches!(outcome, Err(AppendError::Fenced { .. })), "{outcome:?}");
    assert_eq!(texts(&runs.read_only(&run()).unwrap().records), ["a", "b", "d"]);
}

/// Without a number of the writer in the object, each would take the other's object for its own.
#[test]
fn of_two_who_append_the_same_at_the_same_place_one_has_done_so() {
    for _ in 0..20 {
        let (objects, runs, log) = begun();
        drop(log);
        let barrier = Barrier::new(3);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let rivals: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let (mut log, _) = over(&objects).open::<Note>(&run()).unwrap();
                        barrier.wait();
                        append(&mut log, "mine").wait()
                    })
                })
                .collect();
            rivals.into_iter().map(|rival| rival.join().unwrap()).collect()
        });
        let (won, fenced): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.is_ok());
        assert_eq!(won.len(), 1, "{outcomes:?}");
        assert!(
            fenced.iter().all(|outcome| matches!(outcome, Err(AppendError::Fenced { .. }))),
            "{outcomes:?}"
        );
        assert_eq!(texts(&runs.read_only(&run()).unwrap().records), ["mine"]);
    }
}

#[test]
fn an_append_whose_answer_was_lost_is_durable_once() {
    let (objects, runs, mut log) = begun();
    for number in 0..10_u32 {
        objects.set(Fault::LostAnswers(1 + number % 3));
        assert_eq!(append(&mut log, number).wait().unwrap(), Position(number.into()));
    }
    objects.set(Fault::None);
    let expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(texts(&runs.read_only(&run()).unwrap().records), expected);
}

#[test]
fn a_run_whose_creation_was_not_answered_is_created_once() {
    let objects = Arc::new(Faulty::new());
    objects.set(Fault::LostAnswers(1));
    let mut log = over(&objects).create::<Note>(&run()).unwrap();
    append(&mut log, "a").wait().unwrap();
    assert!(matches!(over(&objects).create::<Note>(&run()), Err(crate::StoreError::Exists { .. })));
}

/// S3 answers so while another creation of the name is under way, whether that one succeeds or not.
#[test]
fn a_conflict_without_an_object_is_tried_again() {
    let (objects, _, mut log) = begun();
    objects.set(Fault::Busy(2));
    assert_eq!(append(&mut log, "a").wait().unwrap(), Position(0));
}

#[test]
fn what_may_not_be_written_is_refused_and_nothing_follows() {
    let (objects, runs, mut log) = begun();
    objects.set(Fault::Denied);
    let outcome = append(&mut log, "a").wait();
    assert!(matches!(outcome, Err(AppendError::Refused { .. })), "{outcome:?}");
    objects.set(Fault::None);
    let outcome = append(&mut log, "b").wait();
    assert!(matches!(outcome, Err(AppendError::Refused { .. })), "{outcome:?}");
    assert!(runs.read_only::<Note>(&run()).unwrap().records.is_empty());
    drop(log);
    append(&mut runs.open::<Note>(&run()).unwrap().0, "c").wait().unwrap();
}

#[test]
fn it_is_unknown_what_became_of_a_try_before_a_refusal() {
    let (objects, runs, mut log) = begun();
    objects.set(Fault::LostThenDenied);
    let outcome = append(&mut log, "a").wait();
    assert!(matches!(outcome, Err(AppendError::Unknown { .. })), "{outcome:?}");
    objects.set(Fault::None);
    let outcome = append(&mut log, "b").wait();
    assert!(matches!(outcome, Err(AppendError::Refused { .. })), "{outcome:?}");
    assert_eq!(texts(&runs.read_only(&run()).unwrap().records), ["a"]);
}

#[test]
fn appends_that_wait_together_share_an_object() {
    let (objects, runs, mut log) = begun();
    objects.set(Fault::Away);
    let appends: Vec<Append> = (0..500).map(|number| append(&mut log, number)).collect();
    objects.set(Fault::None);
    for (position, append) in (0..).zip(appends) {
        assert_eq!(append.wait().unwrap(), Position(position));
    }
    assert!(runs.commits() <= 3, "{} objects", runs.commits());
    assert_eq!(runs.read_only::<Note>(&run()).unwrap().records.len(), 500);
}

#[test]
fn a_removed_run_is_gone_and_its_writers_are_fenced() {
    let (objects, runs, mut log) = begun();
    let store = store_over(&objects);
    append(&mut log, "a").wait().unwrap();
    let mut calls = store.journal(&run(), &journal("worker")).unwrap();
    calls.append(Position(1), note("call")).wait().unwrap();
    let mut follower = store.follow(&run(), Position(0)).unwrap();
    assert_eq!(texts(&follower.read().unwrap()), ["a", "call"]);
    runs.remove(&run()).unwrap();
    assert!(matches!(follower.read(), Err(crate::StoreError::NotFound { .. })));
    assert_eq!((store.names().unwrap(), store.runs().unwrap()), (vec![], vec![]));
    let left = futures::executor::block_on_stream(objects.sound().list(None)).count();
    assert_eq!(left, 0, "nothing is left of it");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(usize),
    Open(usize),
    Fault(Fault),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize).prop_map(Step::Append),
        2 => (0..2_usize).prop_map(Step::Open),
        1 => (1..3_u32).prop_map(|times| Step::Fault(Fault::LostAnswers(times))),
        1 => (1..3_u32).prop_map(|times| Step::Fault(Fault::Busy(times))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever answers are lost, and whoever believes to be the writer: the log is what was acknowledged, each record
    /// where its writer was told that it is.
    #[test]
    fn a_log_is_what_was_acknowledged(steps in prop::collection::vec(step(), 1..30)) {
        let (objects, runs, log) = begun();
        let mut logs = [log, over(&objects).open::<Note>(&run()).unwrap().0];
        let mut acknowledged = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Fault(fault) => objects.set(fault),
                Step::Open(writer) => logs[writer] = over(&objects).open::<Note>(&run()).unwrap().0,
                Step::Append(writer) => match append(&mut logs[writer], number).wait() {
                    Ok(position) => {
                        prop_assert_eq!(position, Position(acknowledged.len() as u64));
                        acknowledged.push(number.to_string());
                    }
                    Err(error) => prop_assert!(matches!(error, AppendError::Fenced { .. }), "{:?}", error),
                },
            }
        }
        objects.set(Fault::None);
        let records = runs.read_only(&run()).unwrap().records;
        prop_assert_eq!(texts(&records), acknowledged);
    }
}
