//! Reading on beside a writer: every record once, in order, and nothing that was never whole.

use proptest::prelude::*;
use superstep_store::{Position, RunName, Store, StoreError};
use tempfile::TempDir;

use crate::entries::{Disk, Entry, entries, shared_folder};

fn run() -> RunName {
    "run".parse().unwrap()
}

#[test]
fn a_follower_goes_on_where_it_stopped_from_one_writer_to_the_next() {
    let folder = TempDir::new().unwrap();
    for store in [Store::memory(), Store::folder(folder.path()).unwrap(), shared_folder(folder.path())] {
        let mut log = store.create(&run(), "first").unwrap();
        let mut all = store.follow(&run(), Position(0)).unwrap();
        let mut some = store.follow(&run(), Position(3)).unwrap();
        assert_eq!(all.read().unwrap(), []);
        log.append(entries(0..2)).wait().unwrap();
        assert_eq!(all.read().unwrap(), entries(0..2));
        assert_eq!(all.read().unwrap(), []);
        let told = all.cursor();
        log.append(entries(2..5)).wait().unwrap();
        assert_eq!(store.follow_after(&run(), told).unwrap().read().unwrap(), entries(2..5));
        assert_eq!(some.read().unwrap(), entries(3..5));
        drop(log);
        let (mut log, _) = store.open(&run(), "second").unwrap();
        log.append(entries(5..6)).wait().unwrap();
        assert_eq!(all.read().unwrap(), entries(2..6));
        assert_eq!((some.read().unwrap(), some.next()), (entries(5..6), Position(6)));
    }
    let absent = Store::<Entry>::folder(folder.path()).unwrap().follow(&"none".parse().unwrap(), Position(0));
    assert!(matches!(absent, Err(StoreError::NotFound { .. })));
}

#[test]
fn a_follower_passes_from_segment_to_segment() {
    let folder = TempDir::new().unwrap();
    let store = Store::<Entry>::folder(folder.path()).unwrap();
    let mut log = store.create(&run(), "test").unwrap();
    let mut follower = store.follow(&run(), Position(0)).unwrap();
    let mut late = store.follow(&run(), Position(4 * 150)).unwrap();
    let batch = |number: u64| (0..150).map(|at| Entry::wide(150 * number + at, 60_000)).collect();
    let batches: Vec<Vec<Entry>> = (0..5).map(batch).collect();
    for batch in &batches {
        log.append(batch.clone()).wait().unwrap();
        assert!(follower.read().unwrap() == *batch, "the follower has lost its place");
    }
    assert!(late.read().unwrap() == batches[4], "the late follower has lost its place");
    let files = std::fs::read_dir(folder.path().join("runs/run")).unwrap();
    let segments = files.filter(|file| file.as_ref().unwrap().path().extension().is_some()).count();
    assert!(segments >= 3, "the test wants several segments: {segments}");
}

#[test]
fn a_torn_batch_is_not_told_and_what_replaces_it_is() {
    let disk = Disk::with(&[entries(0..1), entries(1..3)]);
    let whole = disk.bytes();
    let mut follower = disk.store().follow(&disk.run, Position(0)).unwrap();
    assert_eq!(follower.read().unwrap(), entries(0..3));
    let longer = Disk::with(&[entries(0..1), entries(1..3), vec![Entry::wide(3, 900)]]).bytes();
    disk.replace(&longer[..whole.len() + 300]);
    assert_eq!(follower.read().unwrap(), []);
    let (mut log, contents) = disk.store().open(&disk.run, "test").unwrap();
    assert!(contents.torn.is_some());
    log.append(entries(3..4)).wait().unwrap();
    assert_eq!(follower.read().unwrap(), entries(3..4));
}

#[test]
fn a_damaged_batch_is_an_error_however_often_it_is_read() {
    let disk = Disk::with(&[entries(0..1)]);
    let mut follower = disk.store().follow(&disk.run, Position(0)).unwrap();
    assert_eq!(follower.read().unwrap(), entries(0..1));
    let mut longer = Disk::with(&[entries(0..1), entries(1..3), entries(3..4)]).bytes();
    let damaged = disk.bytes().len() + 40;
    longer[damaged] ^= 1;
    disk.replace(&longer);
    for _ in 0..2 {
        assert!(matches!(follower.read(), Err(StoreError::Corrupt { record: 1, .. })));
    }
    longer[damaged] ^= 1;
    disk.replace(&longer);
    assert_eq!(follower.read().unwrap(), entries(1..4), "a place is not lost by an error");
}

#[test]
fn a_store_tells_whether_a_run_is_open_and_looking_takes_nothing() {
    let folder = TempDir::new().unwrap();
    let store = Store::<Entry>::folder(folder.path()).unwrap();
    assert!(!store.is_open(&run()).unwrap());
    let log = store.create(&run(), "test").unwrap();
    assert!(store.is_open(&run()).unwrap());
    assert!(matches!(store.open(&run(), "another"), Err(StoreError::Locked { .. })));
    drop(log);
    assert!(!store.is_open(&run()).unwrap());
    store.open(&run(), "another").unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_the_batches_each_record_is_told_once(sizes in prop::collection::vec((1u64..4, 0usize..900), 1..30), from in 0u64..20) {
        let folder = TempDir::new().unwrap();
        let store = Store::<Entry>::folder(folder.path()).unwrap();
        let mut log = store.create(&run(), "test").unwrap();
        let mut follower = store.follow(&run(), Position(from)).unwrap();
        let (mut written, mut told) = (Vec::new(), Vec::new());
        for (count, width) in sizes {
            let next = written.len() as u64;
            let batch: Vec<Entry> = (next..next + count).map(|number| Entry::wide(number, width)).collect();
            let append = log.append(batch.clone());
            // It may read while the batch is on its way.
            told.extend(follower.read().unwrap());
            append.wait().unwrap();
            written.extend(batch);
        }
        told.extend(follower.read().unwrap());
        let expected = written.get(usize::try_from(from).unwrap()..).unwrap_or_default();
        prop_assert_eq!(told.as_slice(), expected);
    }
}
