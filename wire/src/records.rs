//! Records of a log, in messages that are not long.

use std::vec::IntoIter;

use bytes::Bytes;
use superstep_engine::Record;
use superstep_proto::v1;

use crate::WireError;
use crate::names::{packed, unpacked};

/// Records in messages of at most `most` bytes of them, encoded one after the other as they are asked for. `format` is the
/// version of the encoding.
pub fn records(records: Vec<Record>, format: u16, most: usize) -> impl Iterator<Item = v1::RecordsResponse> {
    Parts { records: records.into_iter(), rest: Bytes::new(), format: format.into(), most }
}

struct Parts {
    records: IntoIter<Record>,
    /// What the messages so far have not of the last record that was begun.
    rest: Bytes,
    format: u32,
    most: usize,
}

impl Iterator for Parts {
    type Item = v1::RecordsResponse;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut parts, mut room) = (Vec::new(), self.most);
        while room > 0 {
            if self.rest.is_empty() {
                let Some(record) = self.records.next() else { break };
                self.rest = packed(&record);
            }
            let part = self.rest.split_to(self.rest.len().min(room));
            room -= part.len();
            parts.push(part);
        }
        let more = !self.rest.is_empty();
        (!parts.is_empty()).then_some(v1::RecordsResponse { format: self.format, records: parts, more })
    }
}

/// The records of all messages of a stream, in order. `format` is the version of the encoding that can be read.
///
/// # Errors
/// They have a higher version, are no records, or the rest of the last one is missing.
pub fn records_of(
    messages: impl IntoIterator<Item = v1::RecordsResponse>,
    format: u16,
) -> Result<Vec<Record>, WireError> {
    let (mut records, mut begun) = (Vec::new(), Vec::new());
    for message in messages {
        if message.format > format.into() {
            let value = message.format.to_string();
            return Err(WireError::Value { what: "the format of records", value });
        }
        let whole = message.records.len() - usize::from(message.more && !message.records.is_empty());
        for (position, bytes) in message.records.into_iter().enumerate() {
            let is_whole = position < whole;
            if is_whole && begun.is_empty() {
                records.push(unpacked(&bytes, "a record")?);
                continue;
            }
            begun.extend_from_slice(&bytes);
            if is_whole {
                records.push(unpacked(&begun, "a record")?);
                begun.clear();
            }
        }
    }
    if begun.is_empty() { Ok(records) } else { Err(WireError::Missing { what: "the rest of a record" }) }
}

#[cfg(test)]
mod tests {
    use superstep_engine::Epoch;

    use super::*;

    const FORMAT: u16 = 2;

    fn taken(number: u64, bytes: usize) -> Record {
        Record::EpochTaken { epoch: Epoch(number), owner: "x".repeat(bytes) }
    }

    #[test]
    fn records_come_whole_however_long_they_and_the_messages_are() {
        let all: Vec<Record> =
            (1..).zip([0, 7, 300, 1, 2, 3, 64, 1_000, 0]).map(|(n, b)| taken(n, b)).collect();
        for most in [1, 2, 3, 10, 64, 100, 1_000, 1 << 20] {
            let messages: Vec<_> = records(all.clone(), FORMAT, most).collect();
            for (position, message) in messages.iter().enumerate() {
                let bytes: usize = message.records.iter().map(Bytes::len).sum();
                assert!(bytes <= most, "{bytes} in place of {most}");
                assert!(bytes == most || position + 1 == messages.len(), "each but the last is full");
            }
            assert_eq!(records_of(messages, FORMAT).unwrap(), all, "{most}");
        }
        assert_eq!(records(Vec::new(), FORMAT, 9).count(), 0);
    }

    #[test]
    fn what_is_not_all_or_of_a_newer_version_is_refused() {
        let messages: Vec<_> = records(vec![taken(1, 100), taken(2, 100)], FORMAT, 80).collect();
        let cut = records_of(messages[..2].to_vec(), FORMAT);
        assert!(matches!(cut, Err(WireError::Missing { what: "the rest of a record" })), "{cut:?}");
        let without_begin = records_of(messages[1..].to_vec(), FORMAT);
        assert!(without_begin.is_err(), "{without_begin:?}");
        let newer = records_of(messages.clone(), FORMAT - 1);
        assert!(matches!(newer, Err(WireError::Value { what: "the format of records", .. })), "{newer:?}");
        assert_eq!(records_of(messages, FORMAT + 1).unwrap().len(), 2);
    }
}
