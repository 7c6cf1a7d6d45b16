//! A store that is away, and comes back.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::{StoreError, object::tests::faulty::Fault};

/// Waits until it holds.
fn wait_until(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never comes");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_append_waits_for_a_store_that_is_away_and_goes_on_when_it_is_back() {
    let (objects, _, mut log) = begun();
    let store = store_over(&objects);
    let mut other = store.create(&"other".parse().unwrap(), "").unwrap();
    append(&mut log, "a").wait().unwrap();
    assert_eq!(store.away_since(), None);
    let before = Instant::now();
    objects.set(Fault::Away);
    let (waiting, calls) = (append(&mut log, "b"), other.append(note("c")));
    wait_until(|| store.away_since().is_some());
    assert!(store.away_since().unwrap() >= before);
    objects.set(Fault::None);
    assert_eq!(waiting.wait().unwrap(), Position(1));
    assert_eq!(calls.wait().unwrap(), Position(0));
    assert_eq!(store.away_since(), None);
}

#[test]
fn one_request_that_fails_is_no_absence() {
    let (objects, runs, mut log) = begun();
    objects.set(Fault::LostAnswers(1));
    append(&mut log, "a").wait().unwrap();
    assert_eq!(runs.away_since(), None);
}

#[test]
fn who_waits_for_an_answer_is_told_that_the_store_is_away() {
    let (objects, runs, _log) = begun();
    objects.set(Fault::Away);
    let outcome = runs.read_only::<Note>(&run()).map(drop);
    assert!(matches!(outcome, Err(StoreError::Away { .. })), "{outcome:?}");
    objects.set(Fault::None);
    runs.read_only::<Note>(&run()).unwrap();
}

#[test]
fn a_handle_does_not_wait_for_ever_for_a_store_that_is_away() {
    let (objects, runs, mut log) = begun();
    objects.set(Fault::Away);
    let waiting = append(&mut log, "a");
    let began = Instant::now();
    drop(log);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let outcome = waiting.wait();
    assert!(matches!(outcome, Err(AppendError::Unknown { .. })), "{outcome:?}");
    objects.set(Fault::None);
    assert!(runs.read_only::<Note>(&run()).unwrap().records.is_empty());
}

#[test]
fn a_handle_that_goes_leaves_what_it_was_given() {
    let (_, runs, mut log) = begun();
    let appends: Vec<Append> = (0..50).map(|number| append(&mut log, number)).collect();
    drop(log);
    assert_eq!(runs.read_only::<Note>(&run()).unwrap().records.len(), 50);
    assert!(appends.into_iter().all(|append| append.wait().is_ok()));
}

/// A caller may be on a thread that drives tasks, and on one without a runtime.
#[tokio::test]
async fn functions_block_and_appends_are_awaited_wherever_the_caller_is() {
    let (_, runs, mut log) = begun();
    assert_eq!(append(&mut log, "a").await.unwrap(), Position(0));
    assert_eq!(texts(&runs.read_only(&run()).unwrap().records), ["a"]);
}
