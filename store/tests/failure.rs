//! What an append tells when it cannot be durable.

use std::fs;

use serde::{Deserialize, Serialize, Serializer, ser::Error};
use superstep_store::{AppendError, Position, Record};

use crate::entries::{Disk, Entry, entries};

#[test]
fn after_a_failed_write_nothing_follows() {
    let disk = Disk::with(&[]);
    let (mut log, _) = disk.store().open(&disk.run, "test").unwrap();
    log.append((0..300).map(|number| Entry::wide(number, 60_000)).collect()).wait().unwrap();
    // The next batch begins a segment, for which there is no folder.
    fs::remove_dir_all(disk.segment().parent().unwrap()).unwrap();
    let together = [log.append(entries(1..2)), log.append(entries(2..3))];
    let [first, second] = together.map(|append| append.wait().unwrap_err());
    assert!(matches!(first, AppendError::Unknown { .. }), "{first:?}");
    assert!(matches!(second, AppendError::Unknown { .. } | AppendError::Refused { .. }), "{second:?}");
    let later = log.append(entries(3..4)).wait().unwrap_err();
    assert!(matches!(later, AppendError::Refused { .. }), "{later:?}");
}

/// A record of which only some values have an encoding.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Fussy(bool);

impl Serialize for Fussy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 { serializer.serialize_bool(true) } else { Err(S::Error::custom("false")) }
    }
}

impl Record for Fussy {
    const FORMAT: u16 = 1;
}

#[test]
fn a_batch_without_encoding_is_refused_whole_and_the_log_goes_on() {
    let disk = Disk::with(&[]);
    let store = disk.store_of::<Fussy>();
    let (mut log, _) = store.open(&disk.run, "test").unwrap();
    let refused = log.append(vec![Fussy(true), Fussy(false)]).wait().unwrap_err();
    assert!(matches!(refused, AppendError::Refused { .. }));
    assert_eq!(log.append(vec![Fussy(true)]).wait().unwrap(), Position(0));
    assert_eq!(store.read_only(&disk.run).unwrap().records, [Fussy(true)]);
}
