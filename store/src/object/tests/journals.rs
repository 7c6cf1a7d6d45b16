//! Journals, their ends, and reading them with the log.

use std::thread;

use super::*;
use crate::{Entry, Store, StoreError, object::tests::faulty::Fault};

fn both() -> [Store<Note>; 2] {
    [Store::memory(), store_over(&Arc::new(Faulty::new()))]
}

#[test]
fn a_sealed_journal_tells_what_it_holds_and_takes_no_more() {
    for store in both() {
        drop(store.create(&run(), "").unwrap());
        let name = journal("1.a");
        let mut calls = store.journal(&run(), &name).unwrap();
        assert_eq!(calls.append(Position(0), note("a")).wait().unwrap(), Position(0));
        assert_eq!(calls.append(Position(0), note("b")).wait().unwrap(), Position(1));
        let expected: Vec<_> =
            ["a", "b"].map(|text| Entry { after: Position(0), records: note(text) }).to_vec();
        for _ in 0..2 {
            assert_eq!(store.seal_journal(&run(), &name).unwrap(), expected);
        }
        for _ in 0..2 {
            let outcome = calls.append(Position(0), note("c")).wait();
            assert!(matches!(outcome, Err(AppendError::Fenced { .. })), "{outcome:?}");
        }
        assert_eq!(store.seal_journal(&run(), &name).unwrap(), expected);
    }
}

#[test]
fn a_journal_that_nobody_has_begun_can_be_sealed() {
    for store in both() {
        drop(store.create(&run(), "").unwrap());
        let mut calls = store.journal(&run(), &journal("1.a")).unwrap();
        assert_eq!(store.seal_journal(&run(), &journal("1.a")).unwrap(), []);
        assert_eq!(store.journals(&run()).unwrap(), [journal("1.a")]);
        let outcome = calls.append(Position(0), note("late")).wait();
        assert!(matches!(outcome, Err(AppendError::Fenced { .. })), "{outcome:?}");
        assert_eq!(store.read_only(&run()).unwrap().records, []);
    }
}

#[test]
fn a_name_has_one_writer() {
    for store in both() {
        drop(store.create(&run(), "").unwrap());
        let mut first = store.journal(&run(), &journal("a")).unwrap();
        first.append(Position(0), note("first")).wait().unwrap();
        let mut second = store.journal(&run(), &journal("a")).unwrap();
        let outcome = second.append(Position(0), note("first")).wait();
        assert!(matches!(outcome, Err(AppendError::Fenced { .. })), "{outcome:?}");
        first.append(Position(0), note("more")).wait().unwrap();
    }
}

#[test]
fn there_is_no_journal_without_a_run() {
    for store in both() {
        let missing = |outcome| matches!(outcome, Err(StoreError::NotFound { .. }));
        assert!(missing(store.journal(&run(), &journal("a")).map(drop)));
        assert!(missing(store.seal_journal(&run(), &journal("a")).map(drop)));
    }
}

/// What was told to be durable is in the entries, and nothing comes later: that is what lets a call of a lost worker
/// be given to another.
#[test]
fn an_entry_is_either_acknowledged_and_told_or_fenced() {
    for fault in [Fault::None, Fault::LostAnswers(6)] {
        for store in [
            Store::memory(),
            store_over(&{
                let objects = Arc::new(Faulty::new());
                drop(over(&objects).create::<Note>(&run()).unwrap());
                objects.set(fault);
                objects
            }),
        ] {
            drop(store.create(&run(), ""));
            let name = journal("a");
            let mut calls = store.journal(&run(), &name).unwrap();
            let (acknowledged, told) = thread::scope(|scope| {
                let writer = scope.spawn(move || {
                    (0..2_000).map_while(|number| calls.append(Position(0), note(number)).wait().ok()).count()
                });
                let sealers: Vec<_> =
                    (0..2).map(|_| scope.spawn(|| store.seal_journal(&run(), &name).unwrap())).collect();
                let told: Vec<_> = sealers.into_iter().map(|sealer| sealer.join().unwrap()).collect();
                (writer.join().unwrap(), told)
            });
            assert_eq!(told[0], told[1]);
            assert_eq!(told[0].len(), acknowledged);
        }
    }
}

#[test]
fn the_records_of_journals_are_told_at_their_place() {
    for store in both() {
        let mut log = store.create(&run(), "").unwrap();
        let [mut one, mut two] = ["b", "a"].map(|name| store.journal(&run(), &journal(name)).unwrap());
        one.append(Position(0), note("b0")).wait().unwrap();
        log.append(note("0")).wait().unwrap();
        one.append(Position(1), [note("b1"), note("b1'")].concat()).wait().unwrap();
        two.append(Position(1), note("a1")).wait().unwrap();
        log.append(note("1")).wait().unwrap();
        let contents = store.read_only(&run()).unwrap();
        assert_eq!(texts(&contents.records), ["b0", "0", "a1", "b1", "b1'", "1"]);
        assert_eq!(contents.told.log, 2);
        assert_eq!(contents.told.journals, [(journal("a"), 1), (journal("b"), 2)].into());
        assert_eq!((log.next(), log.read(Position(1)).unwrap()), (Position(2), note("1")));
        drop(log);
        let (mut log, opened) = store.open(&run(), "").unwrap();
        assert_eq!((opened.records, log.next()), (contents.records, Position(2)));
        let mut follower = store.follow_after(&run(), opened.told).unwrap();
        assert_eq!(follower.read().unwrap(), []);
        two.append(Position(1), note("late")).wait().unwrap();
        two.append(Position(3), note("early")).wait().unwrap();
        assert_eq!(texts(&follower.read().unwrap()), ["late"]);
        log.append(note("2")).wait().unwrap();
        let mut again = store.follow_after(&run(), follower.cursor()).unwrap();
        for follower in [&mut follower, &mut again] {
            assert_eq!(texts(&follower.read().unwrap()), ["2", "early"]);
            assert_eq!((follower.cursor().log, follower.next()), (3, Position(3)));
        }
        let from = |from| texts(&store.follow(&run(), Position(from)).unwrap().read().unwrap()).join(" ");
        assert_eq!(from(2), "2 early");
        assert_eq!(from(1), "a1 late b1 b1' 1 2 early");
    }
}
