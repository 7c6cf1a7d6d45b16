//! Long values of records stand in blobs.

use std::fs;

use proptest::prelude::*;
use superstep_store::{AppendError, StoreError};

use crate::entries::{Disk, Entry, entries};

/// The longest value that stands in a record itself.
const INLINE: usize = 64 << 10;

fn files(disk: &Disk) -> Vec<std::path::PathBuf> {
    let Ok(shelves) = fs::read_dir(disk.path().join("runs/run/blobs")) else { return Vec::new() };
    let in_shelf = |shelf: fs::DirEntry| fs::read_dir(shelf.path()).unwrap().map(|file| file.unwrap().path());
    shelves.flat_map(|shelf| in_shelf(shelf.unwrap())).collect()
}

#[test]
fn a_long_value_that_many_records_repeat_is_stored_once() {
    let long = Entry::wide(7, 1 << 20);
    let disk = Disk::with(&vec![vec![long.clone()]; 20]);
    assert_eq!(files(&disk).len(), 1);
    assert!(disk.bytes().len() < 20 * 200, "{} bytes", disk.bytes().len());
    assert_eq!(disk.store().read_only(&disk.run).unwrap().records, vec![long; 20]);
    let entry = disk.store().entry(&disk.run).unwrap();
    assert!(entry.bytes > 1 << 20, "the bytes of a run have its blobs: {}", entry.bytes);
}

#[test]
fn a_value_at_the_limit_stands_in_its_record() {
    let disk = Disk::with(&[vec![Entry::wide(1, INLINE)]]);
    assert!(files(&disk).is_empty());
    let disk = Disk::with(&[vec![Entry::wide(1, INLINE + 1)]]);
    assert_eq!(files(&disk).len(), 1);
}

#[test]
fn no_record_names_a_blob_that_could_not_be_written() {
    let disk = Disk::with(&[entries(0..1)]);
    fs::write(disk.path().join("runs/run/blobs"), "in the way").unwrap();
    let (mut log, _) = disk.store().open(&disk.run, "test").unwrap();
    let failed = log.append(vec![Entry::wide(1, 100_000)]).wait().unwrap_err();
    assert!(matches!(failed, AppendError::Unknown { .. }), "{failed:?}");
    let refused = log.append(entries(1..2)).wait().unwrap_err();
    assert!(matches!(refused, AppendError::Refused { .. }), "{refused:?}");
    drop(log);
    assert_eq!(disk.store().read_only(&disk.run).unwrap().records, entries(0..1));
}

#[test]
fn a_blob_that_is_missing_or_damaged_is_named_and_the_log_not_opened() {
    let disk = Disk::with(&[vec![Entry::wide(1, 100_000)]]);
    let file = files(&disk).pop().unwrap();
    fs::write(&file, "something else").unwrap();
    let outcome = disk.store().open(&disk.run, "test").map(drop);
    assert!(
        matches!(&outcome, Err(StoreError::CorruptBlob { file: named, .. }) if *named == file),
        "{outcome:?}"
    );
    fs::remove_file(&file).unwrap();
    let outcome = disk.store().open(&disk.run, "test").map(drop);
    assert!(matches!(outcome, Err(StoreError::NoBlob { .. })), "{outcome:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn records_of_any_width_come_back(widths in prop::collection::vec(prop_oneof![0..200_usize, INLINE - 2..INLINE + 3, 100_000..200_000_usize], 1..12)) {
        let written: Vec<Entry> = (0..).zip(&widths).map(|(number, width)| Entry::wide(number, *width)).collect();
        let disk = Disk::with(std::slice::from_ref(&written));
        prop_assert_eq!(disk.store().read_only(&disk.run).unwrap().records, written);
    }
}
