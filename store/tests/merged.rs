//! Reading a run beside many who write it: the log by one, and a journal by each of others.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde::{Deserialize, Serialize};
use superstep_store::{Cursor, Position, Record, RunName, Store};
use tempfile::TempDir;

use crate::gateway::Gateway;

const WORKERS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Event {
    /// A call of a worker, of which the log had so many records.
    Called { worker: usize, number: u64, knew: u64 },
    /// A commit that followed so many calls of each worker.
    Committed { number: u64, seen: [u64; WORKERS] },
}

impl Record for Event {
    const FORMAT: u16 = 1;
}

/// What was told so far, each event checked when it comes.
#[derive(Default)]
struct Told {
    calls: [u64; WORKERS],
    commits: u64,
}

impl Told {
    fn check(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Called { worker, number, knew } => {
                    assert_eq!(number, self.calls[worker], "each call once, in order");
                    assert!(knew <= self.commits, "what a call follows is told before it");
                    self.calls[worker] += 1;
                }
                Event::Committed { number, seen } => {
                    assert_eq!(number, self.commits, "each commit once, in order");
                    assert!(seen.iter().zip(self.calls).all(|(seen, told)| *seen <= told), "{seen:?}");
                    self.commits += 1;
                }
            }
        }
    }
}

fn run() -> RunName {
    "run".parse().unwrap()
}

fn check(store: &Store<Event>, reader: &Store<Event>, commits: u64) {
    let mut log = store.create(&run(), "").unwrap();
    let (acknowledged, known) = (Mutex::new([0; WORKERS]), Mutex::new(0));
    let done = AtomicBool::new(false);
    let told = thread::scope(|scope| {
        for worker in 0..WORKERS {
            let name = format!("1.{worker}").parse().unwrap();
            let mut calls = store.journal(&run(), &name).unwrap();
            let (acknowledged, known, done) = (&acknowledged, &known, &done);
            scope.spawn(move || {
                for number in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let knew = *known.lock().unwrap();
                    calls
                        .append(Position(knew), vec![Event::Called { worker, number, knew }])
                        .wait()
                        .unwrap();
                    acknowledged.lock().unwrap()[worker] = number + 1;
                }
            });
        }
        let following = scope.spawn(|| follow(reader, &done));
        for number in 0..commits {
            let seen = *acknowledged.lock().unwrap();
            log.append(vec![Event::Committed { number, seen }]).wait().unwrap();
            *known.lock().unwrap() = number + 1;
        }
        done.store(true, Ordering::Relaxed);
        following.join().unwrap()
    });
    let (mut told, cursor) = told;
    told.check(reader.follow_after(&run(), cursor).unwrap().read().unwrap());
    assert_eq!((told.commits, told.calls), (commits, *acknowledged.lock().unwrap()));
    let mut whole = Told::default();
    let contents = reader.read_only(&run()).unwrap();
    whole.check(contents.records);
    assert_eq!((whole.commits, whole.calls), (told.commits, told.calls));
    assert_eq!(contents.told.log, commits);
}

/// Follows until the writers are done, and begins again from its cursor now and then.
fn follow(store: &Store<Event>, done: &AtomicBool) -> (Told, Cursor) {
    let (mut told, mut cursor) = (Told::default(), Cursor::default());
    while !done.load(Ordering::Relaxed) {
        let mut follower = store.follow_after(&run(), cursor).unwrap();
        for _ in 0..7 {
            told.check(follower.read().unwrap());
        }
        cursor = follower.cursor();
    }
    (told, cursor)
}

#[test]
fn whoever_reads_beside_writers_misses_nothing_and_sees_causes_first_in_memory() {
    let store = Store::memory();
    check(&store, &store, 500);
}

#[test]
fn whoever_reads_beside_writers_misses_nothing_and_sees_causes_first_in_a_shared_folder() {
    let root = TempDir::new().unwrap();
    let store = || Store::object(&format!("file://{}", root.path().display()).parse().unwrap()).unwrap();
    check(&store(), &store(), 60);
}

#[test]
fn whoever_reads_beside_writers_misses_nothing_and_sees_causes_first_on_s3() {
    let Some(gateway) = Gateway::shared() else { return };
    let place = gateway.place();
    check(&Store::object(&place).unwrap(), &Store::object(&place).unwrap(), 60);
}
