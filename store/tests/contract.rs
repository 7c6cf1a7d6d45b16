//! What all backends promise.

use proptest::prelude::*;
use superstep_store::{AppendError, Digest, Position, RunName, Store, StoreError};
use tempfile::TempDir;

use crate::{
    entries::{Entry, entries, shared_folder},
    gateway::Gateway,
};

fn run() -> RunName {
    "run".parse().unwrap()
}

/// Each backend in turn, on S3 where there is a server.
fn on_each(check: impl Fn(&Store<Entry>)) {
    check(&Store::memory());
    let folder = TempDir::new().unwrap();
    check(&Store::folder(folder.path()).unwrap());
    check(&shared_folder(folder.path()));
    if let Some(gateway) = Gateway::shared() {
        check(&Store::object(&gateway.place()).unwrap());
    }
}

#[test]
fn what_was_appended_is_there_after_reopening() {
    on_each(|store| {
        let mut log = store.create(&run(), "first").unwrap();
        assert_eq!(log.append(entries(0..2)).wait().unwrap(), Position(0));
        assert_eq!(log.append(entries(2..5)).wait().unwrap(), Position(2));
        assert_eq!(log.next(), Position(5));
        assert_eq!(log.read(Position(1)).unwrap(), entries(1..5));
        assert_eq!(log.read(Position(5)).unwrap(), []);
        drop(log);
        let (mut log, contents) = store.open(&run(), "second").unwrap();
        assert_eq!((contents.records, contents.sealed, contents.torn), (entries(0..5), false, None));
        assert_eq!(log.append(entries(5..6)).wait().unwrap(), Position(5));
        assert_eq!(store.read_only(&run()).unwrap().records, entries(0..6));
    });
}

#[test]
fn an_empty_batch_takes_no_position() {
    on_each(|store| {
        let mut log = store.create(&run(), "owner").unwrap();
        assert_eq!(log.append(vec![]).wait().unwrap(), Position(0));
        assert_eq!(log.append(entries(0..1)).wait().unwrap(), Position(0));
        assert_eq!(log.read(Position(0)).unwrap(), entries(0..1));
    });
}

#[test]
fn a_sealed_log_takes_no_more() {
    on_each(|store| {
        let mut log = store.create(&run(), "owner").unwrap();
        let appends = [log.append(entries(0..1)), log.seal()];
        for (append, position) in appends.into_iter().zip([0, 1]) {
            assert_eq!(append.wait().unwrap(), Position(position));
        }
        assert!(matches!(log.append(entries(1..2)).wait(), Err(AppendError::Sealed { .. })));
        drop(log);
        let (mut log, contents) = store.open(&run(), "owner").unwrap();
        assert!(contents.sealed);
        assert!(matches!(log.append(entries(1..2)).wait(), Err(AppendError::Sealed { .. })));
        assert_eq!(store.read_only(&run()).unwrap().records, entries(0..1));
    });
}

#[test]
fn the_catalogue_follows_creation_and_removal() {
    on_each(|store| {
        for name in ["b", "a"] {
            let mut log = store.create(&name.parse().unwrap(), "owner").unwrap();
            log.append(entries(0..1)).wait().unwrap();
        }
        let names = |store: &Store<Entry>| -> Vec<String> {
            store.runs().unwrap().iter().map(|entry| entry.name.to_string()).collect()
        };
        assert_eq!(names(store), ["a", "b"]);
        let a = "a".parse().unwrap();
        assert!(matches!(store.create(&a, "owner"), Err(StoreError::Exists { .. })));
        store.remove(&a).unwrap();
        assert_eq!(names(store), ["b"]);
        for outcome in [store.remove(&a), store.open(&a, "").map(drop), store.read_only(&a).map(drop)] {
            assert!(matches!(outcome, Err(StoreError::NotFound { .. })));
        }
        assert!(matches!(store.blobs(&a), Err(StoreError::NotFound { .. })));
        store.create(&a, "owner").unwrap();
    });
}

#[test]
fn blobs_are_named_by_their_content() {
    on_each(|store| {
        let log = store.create(&run(), "owner").unwrap();
        let blobs = store.blobs(&run()).unwrap();
        let digest = blobs.put(b"some bytes").unwrap();
        assert_eq!(blobs.put(b"some bytes").unwrap(), digest);
        assert_eq!(&*blobs.get(digest).unwrap(), b"some bytes");
        assert!(blobs.contains(digest).unwrap());
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!(blobs.delete(digest).unwrap());
        assert!(!blobs.delete(digest).unwrap());
        assert!(!blobs.contains(digest).unwrap());
        assert!(matches!(blobs.get(digest), Err(StoreError::NoBlob { .. })));
        drop(log);
    });
}

#[test]
fn a_second_writer_in_memory_fences_the_first() {
    let store = Store::memory();
    let mut first = store.create(&run(), "first").unwrap();
    first.append(entries(0..1)).wait().unwrap();
    let (mut second, _) = store.open(&run(), "second").unwrap();
    assert!(matches!(first.append(entries(1..2)).wait(), Err(AppendError::Fenced { .. })));
    assert!(matches!(first.seal().wait(), Err(AppendError::Fenced { .. })));
    assert_eq!(second.append(entries(1..2)).wait().unwrap(), Position(1));
    store.remove(&run()).unwrap();
    assert!(matches!(second.append(entries(2..3)).wait(), Err(AppendError::Fenced { .. })));
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Reopen,
    ReadFrom(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..7).prop_map(Step::Append),
        1 => Just(Step::Reopen),
        2 => (0_usize..40).prop_map(Step::ReadFrom),
    ]
}

fn steps() -> impl Strategy<Value = (Vec<Step>, Vec<usize>)> {
    (prop::collection::vec(step(), 1..40), prop::collection::vec(0_usize..3_000, 8))
}

/// Whatever is appended, however batches merge and writers change, a log is the list of its records.
fn check_list(store: &Store<Entry>, steps: &[Step], widths: &[usize]) {
    let mut log = store.create(&run(), "owner").unwrap();
    let mut list: Vec<Entry> = Vec::new();
    let mut waiting = Vec::new();
    for step in steps {
        match *step {
            Step::Append(count) => {
                let position = Position(list.len() as u64);
                let batch: Vec<Entry> = (0..count)
                    .map(|at| Entry::wide(position.0 + at as u64, widths[(list.len() + at) % widths.len()]))
                    .collect();
                list.extend(batch.iter().cloned());
                waiting.push((position, log.append(batch)));
            }
            Step::Reopen => {
                drop(log);
                let (reopened, contents) = store.open(&run(), "owner").unwrap();
                assert_eq!(contents.records, list);
                log = reopened;
            }
            Step::ReadFrom(from) => {
                for (position, append) in waiting.drain(..) {
                    assert_eq!(append.wait().unwrap(), position);
                }
                assert_eq!(log.read(Position(from as u64)).unwrap(), list[list.len().min(from)..]);
            }
        }
    }
    for (position, append) in waiting {
        assert_eq!(append.wait().unwrap(), position);
    }
    assert_eq!(store.read_only(&run()).unwrap().records, list);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_log_is_a_list((steps, widths) in steps()) {
        let folder = TempDir::new().unwrap();
        for store in [Store::memory(), Store::folder(folder.path()).unwrap()] {
            check_list(&store, &steps, &widths);
        }
    }
}

proptest! {
    // Each object costs two syncs.
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_log_of_objects_is_a_list((steps, widths) in steps()) {
        let folder = TempDir::new().unwrap();
        check_list(&shared_folder(folder.path()), &steps, &widths);
    }
}

#[test]
fn a_run_is_in_the_catalogue_by_itself_and_by_name() {
    on_each(|store| {
        for name in ["b", "a"] {
            let mut log = store.create(&name.parse().unwrap(), "owner").unwrap();
            log.append(entries(0..1)).wait().unwrap();
        }
        let names = store.names().unwrap();
        assert_eq!(names.iter().map(RunName::as_str).collect::<Vec<_>>(), ["a", "b"]);
        let entries: Vec<_> = names.iter().map(|name| store.entry(name).unwrap()).collect();
        assert_eq!(entries, store.runs().unwrap());
        assert!(matches!(store.entry(&run()), Err(StoreError::NotFound { .. })));
    });
}

/// Each backend in turn that keeps notes.
fn on_each_that_notes(check: impl Fn(&Store<Entry>)) {
    on_each(|store| {
        store.keep_shared_note("of all", b"note").unwrap();
        if store.shared_note("of all").unwrap().is_some() {
            check(store);
        }
    });
}

#[test]
fn a_note_is_kept_beside_a_log_and_goes_with_it() {
    on_each_that_notes(|store| {
        drop(store.create(&run(), "owner").unwrap());
        let before = store.entry(&run()).unwrap();
        assert_eq!(store.note(&run()).unwrap(), None);
        for note in ["first", "2"] {
            store.keep_note(&run(), note.as_bytes()).unwrap();
            assert_eq!(store.note(&run()).unwrap(), Some(note.as_bytes().to_vec()));
        }
        assert_eq!(store.entry(&run()).unwrap(), before);
        store.remove(&run()).unwrap();
        assert_eq!(store.note(&run()).unwrap(), None);
        assert!(store.keep_note(&run(), b"late").is_err());
        assert_eq!(store.names().unwrap(), []);
    });
}

#[test]
fn a_note_of_all_runs_is_kept_under_any_name() {
    on_each_that_notes(|store| {
        for name in ["a", "../a", "costs: all/é", "A.b"] {
            assert_eq!(store.shared_note(name).unwrap(), None);
            for note in ["first", "2"] {
                store.keep_shared_note(name, note.as_bytes()).unwrap();
                assert_eq!(store.shared_note(name).unwrap(), Some(note.as_bytes().to_vec()));
            }
        }
        assert_eq!(store.names().unwrap(), []);
    });
}

#[test]
fn long_values_and_large_batches_come_back() {
    on_each(|store| {
        let mut log = store.create(&run(), "owner").unwrap();
        let long = Entry::wide(7, 1 << 20);
        let batches = [vec![long.clone(); 3], vec![Entry::wide(8, 60_000); 50], vec![long], entries(0..1)];
        let appends: Vec<_> = batches.iter().map(|batch| log.append(batch.clone())).collect();
        for append in appends {
            append.wait().unwrap();
        }
        assert_eq!(store.read_only(&run()).unwrap().records, batches.concat());
    });
}

#[test]
fn a_transient_store_takes_everything_and_keeps_nothing() {
    let store: Store<Entry> = Store::transient();
    let mut log = store.create(&run(), "owner").unwrap();
    assert_eq!(log.append(entries(0..2)).wait().unwrap(), Position(0));
    assert_eq!(log.append(entries(2..3)).wait().unwrap(), Position(2));
    assert_eq!(log.next(), Position(3));
    assert!(matches!(log.read(Position(0)), Err(StoreError::NotKept { .. })));
    assert!(matches!(store.open(&run(), "another"), Err(StoreError::NotKept { .. })));
    assert!(matches!(store.read_only(&run()), Err(StoreError::NotKept { .. })));
    // Whoever could not open it has not fenced its writer.
    assert_eq!(log.append(entries(3..4)).wait().unwrap(), Position(3));
    log.seal().wait().unwrap();
    assert!(matches!(log.append(entries(4..5)).wait(), Err(AppendError::Sealed { .. })));
    assert!(matches!(store.create(&run(), "owner"), Err(StoreError::Exists { .. })));
}

#[test]
fn a_folder_of_one_machine_has_no_journals_and_is_never_away() {
    let folder = TempDir::new().unwrap();
    let store = Store::<Entry>::folder(folder.path()).unwrap();
    drop(store.create(&run(), "owner").unwrap());
    let name = "1.a".parse().unwrap();
    for outcome in [store.journal(&run(), &name).map(drop), store.seal_journal(&run(), &name).map(drop)] {
        assert!(matches!(outcome, Err(StoreError::NoJournals { .. })), "{outcome:?}");
    }
    assert_eq!((store.journals(&run()).unwrap(), store.away_since()), (vec![], None));
    store.probe().unwrap();
    let transient = Store::<Entry>::transient();
    drop(transient.create(&run(), "owner").unwrap());
    assert!(matches!(transient.journal(&run(), &name), Err(StoreError::NotKept { .. })));
}
