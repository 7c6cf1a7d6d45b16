//! What only a real server can show.

use std::{
    fs,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use superstep_store::{AppendError, ObjectPlace, Position, RunName, Store, StoreError};

use crate::{
    entries::{Entry, entries},
    gateway::Gateway,
};

fn run() -> RunName {
    "run".parse().unwrap()
}

#[test]
fn a_server_that_is_exclusive_passes_the_probe() {
    let Some(gateway) = Gateway::shared() else { return };
    Store::<Entry>::object(&gateway.place()).unwrap().probe().unwrap();
}

#[test]
fn each_position_has_one_author_of_many_who_race() {
    let Some(gateway) = Gateway::shared() else { return };
    race(&gateway.place());
}

/// Lets several, each a process of its own as far as the store knows, append at the same place again and again.
pub(crate) fn race(place: &ObjectPlace) {
    let store = || Store::<Entry>::object(place).unwrap();
    let run = "race".parse().unwrap();
    drop(store().create(&run, "").unwrap());
    let (rounds, rivals) = (15, 4);
    let barrier = Barrier::new(rivals);
    let rival = |rival: u64| {
        let (store, mut won) = (store(), 0);
        for _ in 0..rounds {
            let (mut log, _) = store.open(&run, "").unwrap();
            barrier.wait();
            match log.append(vec![Entry::wide(rival, 30)]).wait() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, AppendError::Fenced { .. }), "{error:?}"),
            }
            barrier.wait();
        }
        won
    };
    let won: Vec<usize> = thread::scope(|scope| {
        let rival = &rival;
        let racing: Vec<_> = (0..rivals as u64).map(|number| scope.spawn(move || rival(number))).collect();
        racing.into_iter().map(|rival| rival.join().unwrap()).collect()
    });
    let records = store().read_only(&run).unwrap().records;
    assert_eq!((won.iter().sum::<usize>(), records.len()), (rounds, rounds), "{won:?}");
    for (rival, won) in (0..).zip(won) {
        assert_eq!(records.iter().filter(|record| **record == Entry::wide(rival, 30)).count(), won);
    }
}

#[test]
fn a_run_waits_for_a_server_that_was_killed_and_goes_on() {
    let Some(gateway) = Gateway::start() else { return };
    let store = Store::<Entry>::object(&gateway.place()).unwrap();
    let mut log = store.create(&run(), "").unwrap();
    for step in 0..3 {
        log.append(entries(2 * step..2 * step + 1)).wait().unwrap();
        gateway.stop();
        let waiting = log.append(entries(2 * step + 1..2 * step + 2));
        let began = Instant::now();
        while store.away_since().is_none() {
            assert!(began.elapsed() < Duration::from_secs(120), "it is never said");
            thread::sleep(Duration::from_millis(10));
        }
        gateway.resume();
        assert_eq!(waiting.wait().unwrap(), Position(2 * step + 1));
        assert_eq!(store.away_since(), None);
    }
    assert_eq!(store.read_only(&run()).unwrap().records, entries(0..6));
}

#[test]
fn a_bucket_that_is_not_there_and_a_wrong_secret_are_refused_and_not_waited_for() {
    let Some(gateway) = Gateway::shared() else { return };
    let nowhere = Store::<Entry>::object(&gateway.at("s3://nowhere/x")).unwrap();
    let outcome = nowhere.create(&run(), "").map(drop);
    assert!(matches!(outcome, Err(StoreError::Object { .. })), "{outcome:?}");
    let place = gateway.place().with("AWS_SECRET_ACCESS_KEY", "something else");
    let refused = Store::<Entry>::object(&place).unwrap().create(&run(), "").map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Object { .. }), "{refused:?}");
    assert!(!format!("{refused:?}").contains("something else"), "{refused:?}");
}

#[test]
fn objects_lie_where_the_documentation_says() {
    let Some(gateway) = Gateway::shared() else { return };
    let store = Store::<Entry>::object(&gateway.at("s3://bucket/layout")).unwrap();
    let mut log = store.create(&run(), "").unwrap();
    log.append(vec![Entry::wide(0, 100_000)]).wait().unwrap();
    let mut calls = store.journal(&run(), &"1.worker".parse().unwrap()).unwrap();
    calls.append(Position(1), entries(1..2)).wait().unwrap();
    let folder = gateway.bucket().join("layout/runs/run");
    for file in ["log/00000000000000000001", "calls/1.worker/00000000000000000000"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let shelves = fs::read_dir(folder.join("blobs")).unwrap().count();
    assert_eq!(shelves, 1);
    let entry = store.entry(&run()).unwrap();
    assert!(entry.bytes > 100_000 && entry.modified >= entry.created, "{entry:?}");
}
