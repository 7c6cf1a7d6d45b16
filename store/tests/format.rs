//! The format on disk: every format so far stays readable byte for byte, and newer ones are refused.

use serde::{Deserialize, Serialize};
use superstep_store::{Record, StoreError};

use crate::entries::{Disk, Entry, entries};

/// A log with batches of one, two and no records, the last of which seals it.
const GOLDEN: &[u8] = include_bytes!("../testdata/format-2.log");
/// The same, as format 1 had it.
const FIRST: &[u8] = include_bytes!("../testdata/format-1.log");

#[test]
fn format_2_is_written_as_ever() {
    let disk = Disk::with(&[entries(0..1), entries(1..3)]);
    let (mut log, _) = disk.store().open(&disk.run, "test").unwrap();
    log.seal().wait().unwrap();
    drop(log);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/format-2.log"), disk.bytes()).unwrap();
    }
    assert_eq!(disk.bytes(), GOLDEN);
}

#[test]
fn each_format_is_read_as_ever() {
    for golden in [GOLDEN, FIRST] {
        let disk = Disk::with(&[]);
        disk.replace(golden);
        let (_, contents) = disk.store().open(&disk.run, "test").unwrap();
        assert_eq!((contents.records, contents.sealed, contents.torn), (entries(0..3), true, None));
    }
}

#[test]
fn a_newer_log_format_is_refused() {
    let disk = Disk::with(&[entries(0..1)]);
    let mut bytes = disk.bytes();
    bytes[8..10].copy_from_slice(&3_u16.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..36]);
    bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
    disk.replace(&bytes);
    let outcome = disk.store().read_only(&disk.run);
    assert!(matches!(outcome, Err(StoreError::NewerFormat { what: "log", found: 3, known: 2, .. })));
}

/// The next version of the tests' record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Newer(Entry);

impl Record for Newer {
    const FORMAT: u16 = 2;
}

#[test]
fn a_newer_record_format_is_refused_by_the_older_reader() {
    for old in [vec![], vec![entries(0..1)]] {
        let disk = Disk::with(&old);
        let (mut log, contents) = disk.store_of::<Newer>().open(&disk.run, "test").unwrap();
        assert_eq!(contents.records.len(), old.len());
        log.append(vec![Newer(Entry::wide(1, 20))]).wait().unwrap();
        drop(log);
        let outcome = disk.store().open(&disk.run, "test").map(drop);
        assert!(matches!(outcome, Err(StoreError::NewerFormat { what: "record", found: 2, known: 1, .. })));
        let (_, contents) = disk.store_of::<Newer>().open(&disk.run, "test").unwrap();
        assert_eq!(contents.records.len(), old.len() + 1);
    }
}

#[test]
fn a_log_of_format_1_goes_on_in_format_2() {
    let disk = Disk::with(&[entries(0..1)]);
    let mut first = disk.bytes();
    first[8..10].copy_from_slice(&1_u16.to_le_bytes());
    let checksum = crc32c::crc32c(&first[..36]);
    first[36..40].copy_from_slice(&checksum.to_le_bytes());
    disk.replace(&first);
    let (mut log, _) = disk.store().open(&disk.run, "test").unwrap();
    log.append(vec![Entry::wide(1, 100_000)]).wait().unwrap();
    drop(log);
    assert_eq!(disk.bytes()[..10], first[..10], "the old segment stays as it is");
    let records = disk.store().read_only(&disk.run).unwrap().records;
    assert_eq!(records, [Entry::wide(0, 20), Entry::wide(1, 100_000)]);
}
