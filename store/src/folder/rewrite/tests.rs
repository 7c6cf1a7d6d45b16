use std::fs::File;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::*;
use crate::Store;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry(u64, String);

impl Record for Entry {
    const FORMAT: u16 = 1;
}

fn run() -> RunName {
    "run".parse().unwrap()
}

fn store(of: &TempDir) -> Store<Entry> {
    Store::folder(of.path()).unwrap()
}

fn folder(of: &TempDir) -> PathBuf {
    of.path().join("runs/run")
}

/// Records of a log of three segments; every hundredth has a text of its own that stands in a blob.
fn long() -> Vec<Entry> {
    let width = |number| if number % 100 == 0 { 100_000 } else { 60_000 };
    (0..700).map(|number| Entry(number, format!("{number:03}").repeat(width(number) / 3))).collect()
}

/// The last 20, and one with a blob.
fn kept(records: Vec<Entry>) -> Result<Option<Vec<Entry>>, StoreError> {
    Ok(Some(records.into_iter().filter(|entry| entry.0 == 600 || entry.0 >= 680).collect()))
}

fn written() -> TempDir {
    let disk = TempDir::new().unwrap();
    let mut log = store(&disk).create(&run(), "test").unwrap();
    for batch in long().chunks(50) {
        log.append(batch.to_vec()).wait().unwrap();
    }
    drop(log);
    assert_eq!(history::segments(&folder(&disk), &run()).unwrap().len(), 3);
    disk
}

fn blobs(of: &TempDir) -> usize {
    listed(&blobs_of(&folder(of))).unwrap().iter().map(|shelf| listed(&shelf.path()).unwrap().len()).sum()
}

fn new() -> Vec<Entry> {
    kept(long()).unwrap().unwrap()
}

#[test]
fn a_rewritten_log_has_the_new_records_alone_and_goes_on() {
    let disk = written();
    let old = store(&disk).entry(&run()).unwrap();
    let long_ago = old.modified - Duration::from_secs(1_000);
    let last = history::segments(&folder(&disk), &run()).unwrap().pop().unwrap().path;
    File::options().write(true).open(last).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(blobs(&disk), 7);
    assert!(store(&disk).rewrite(&run(), "test", kept).unwrap());
    let entry = store(&disk).entry(&run()).unwrap();
    assert_eq!((entry.modified, blobs(&disk)), (long_ago, 1));
    assert!(entry.bytes < old.bytes / 20, "{} of {}", entry.bytes, old.bytes);
    let (mut log, contents) = store(&disk).open(&run(), "test").unwrap();
    assert_eq!((contents.records, contents.torn), (new(), None));
    log.append(vec![Entry(700, "more".to_owned())]).wait().unwrap();
    drop(log);
    assert_eq!(store(&disk).read_only(&run()).unwrap().records.len(), new().len() + 1);
    assert!(!store(&disk).rewrite(&run(), "test", |_| Ok::<_, StoreError>(None)).unwrap());
    assert_eq!(store(&disk).read_only(&run()).unwrap().records.len(), new().len() + 1);
}

#[test]
fn a_crash_at_any_step_leaves_one_of_the_two_logs() {
    for steps_taken in 0.. {
        let disk = written();
        let folder = folder(&disk);
        let last = history::segments(&folder, &run()).unwrap().pop().unwrap().path;
        // What a write that was cut short leaves is no log.
        fs::write(folder.join("rewritten.1-0.tmp"), b"half").unwrap();
        assert_eq!(store(&disk).read_only(&run()).unwrap().records, long());
        write(&folder, &last, &new()).unwrap();
        let steps = steps::<Entry>(&folder, &run()).unwrap();
        let all = steps.len();
        for step in steps.into_iter().take(steps_taken) {
            take(&folder, step).unwrap();
        }
        assert_eq!(store(&disk).read_only(&run()).unwrap().records, new(), "after {steps_taken} steps");
        assert_eq!(store(&disk).runs().unwrap().len(), 1);
        let (log, contents) = store(&disk).open(&run(), "test").unwrap();
        assert_eq!((contents.records, contents.torn), (new(), None), "after {steps_taken} steps");
        drop(log);
        assert!(!folder.join(REWRITTEN).exists());
        assert_eq!((history::segments(&folder, &run()).unwrap().len(), blobs(&disk)), (1, 1));
        if steps_taken == all {
            assert!(all > 10, "{all} steps");
            return;
        }
    }
}

#[test]
fn what_fails_or_is_held_leaves_the_log_as_it_was() {
    let disk = TempDir::new().unwrap();
    let entries = || vec![Entry(0, "one".to_owned()), Entry(1, "two".to_owned())];
    let mut log = store(&disk).create(&run(), "the driver").unwrap();
    log.append(entries()).wait().unwrap();
    let held = store(&disk).rewrite(&run(), "test", kept);
    assert!(matches!(held, Err(StoreError::Locked { .. })), "{held:?}");
    drop(log);
    let failed: Result<bool, StoreError> =
        store(&disk).rewrite(&run(), "test", |_| Err(StoreError::CommitterGone));
    assert!(matches!(failed, Err(StoreError::CommitterGone)), "{failed:?}");
    assert_eq!(store(&disk).read_only(&run()).unwrap().records, entries());
    let missing = store(&disk).rewrite(&"other".parse().unwrap(), "test", kept);
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
}

#[test]
fn a_log_in_memory_is_rewritten_too() {
    let store = Store::memory();
    let mut log = store.create(&run(), "test").unwrap();
    log.append(long()[590..].to_vec()).wait().unwrap();
    assert!(store.rewrite(&run(), "test", kept).unwrap());
    assert_eq!(store.read_only(&run()).unwrap().records, new());
    assert!(log.append(Vec::new()).wait().is_err(), "the writer before is fenced");
    let transient = Store::<Entry>::transient();
    transient.create(&run(), "test").unwrap();
    assert!(matches!(transient.rewrite(&run(), "test", kept), Err(StoreError::NotKept { .. })));
}
