//! Where a watch stands, in a form that can be kept and sent.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use superstep_store::{Cursor, JournalName, Lane, RunName};

use super::reader::Identity;

/// A place behind an event: whoever watches on from here, in whatever process and whoever drives the run, sees
/// everything else once.
///
/// Two who read a run of several workers may be told of its records in different orders, because a journal can be
/// read later than the log. A place is therefore not a number of events. It says how much of the log and of each
/// journal was told, and how much of the record that was told of in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchCursor {
    /// What was told of to the end.
    pub(super) told: Cursor,
    /// Where the next record or entry stands of which something was told, and how many of its events.
    pub(super) begun: Option<(Lane, u32)>,
    /// How many events there were up to here.
    pub(super) offset: u64,
    /// The first superstep of which the log has everything; another one if it was compacted since.
    pub(super) kept_from: u64,
    /// Which of the runs that had its name one after the other; none at the beginning, and where an earlier version has
    /// written it.
    pub(super) of: Option<Identity>,
}

/// Bytes or a text are no place in a watch of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// They are not what this version writes.
    #[error("the cursor is none that this version has written")]
    Foreign,
    /// They are of another run, or were changed on the way.
    #[error("the cursor is of another run, or damaged")]
    OtherRun,
}

/// What the first byte says.
const VERSION: u8 = 1;
/// So many bytes at the end say that the others are whole, and of which run.
const CHECK: usize = 4;

#[derive(Serialize, Deserialize)]
struct Encoded {
    log: u64,
    journals: Vec<(String, u64)>,
    /// The journal of the record that was told of in part, empty for the log, and how many of its events.
    begun: Option<(String, u32)>,
    offset: u64,
    kept_from: u64,
}

impl WatchCursor {
    /// How many events there were up to here, as whoever watched was told them.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// As bytes that mean nothing to others.
    #[must_use]
    pub fn encode(&self, run: &RunName) -> Vec<u8> {
        let journals = self.told.journals.iter();
        let encoded = Encoded {
            log: self.told.log,
            journals: journals.map(|(name, count)| (name.as_str().to_owned(), *count)).collect(),
            begun: self.begun.as_ref().map(|(lane, events)| match lane {
                Lane::Log => (String::new(), *events),
                Lane::Journal(name) => (name.as_str().to_owned(), *events),
            }),
            offset: self.offset,
            kept_from: self.kept_from,
        };
        let mut bytes =
            postcard::to_extend(&encoded, vec![VERSION]).expect("numbers and texts can be encoded");
        // What stands behind the rest is passed over by earlier versions.
        bytes.extend(self.of.iter().flatten());
        let check = check(run, &bytes);
        bytes.extend(check);
        bytes
    }

    /// The place that bytes say; the beginning, if there are none.
    ///
    /// # Errors
    /// Nobody of this version has written them of this run.
    pub fn decode(run: &RunName, bytes: &[u8]) -> Result<Self, CursorError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let (said, found) = bytes.split_last_chunk::<CHECK>().ok_or(CursorError::Foreign)?;
        if said.first() != Some(&VERSION) {
            return Err(CursorError::Foreign);
        }
        if *found != check(run, said) {
            return Err(CursorError::OtherRun);
        }
        let (encoded, of): (Encoded, _) =
            postcard::take_from_bytes(&said[1..]).map_err(|_| CursorError::Foreign)?;
        let of = (!of.is_empty()).then(|| Identity::try_from(of).map_err(|_| CursorError::Foreign));
        let journal = |name: String| name.parse::<JournalName>().map_err(|_| CursorError::Foreign);
        let journals = encoded.journals.into_iter().map(|(name, count)| Ok((journal(name)?, count)));
        let begun = encoded.begun.map(|(name, events)| match name.is_empty() {
            true => Ok((Lane::Log, events)),
            false => journal(name).map(|name| (Lane::Journal(name), events)),
        });
        Ok(Self {
            told: Cursor { log: encoded.log, journals: journals.collect::<Result<_, _>>()? },
            begun: begun.transpose()?,
            offset: encoded.offset,
            kept_from: encoded.kept_from,
            of: of.transpose()?,
        })
    }

    /// The first `events` events of what stands next in `lane` were told, and these are all that it has if it is
    /// `whole`.
    pub(super) fn pass(&mut self, lane: &Lane, events: u32, whole: bool) {
        if whole {
            self.told.advance(lane, 1);
            self.begun = None;
        } else {
            self.begun = Some((lane.clone(), events));
        }
    }
}

fn check(run: &RunName, said: &[u8]) -> [u8; CHECK] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(run.as_str().as_bytes()).update(&[0]).update(said);
    *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer than that")
}

/// An encoded cursor as a text for command lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorText(pub Vec<u8>);

impl fmt::Display for CursorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl FromStr for CursorText {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        URL_SAFE_NO_PAD.decode(text).map(Self).map_err(|_| CursorError::Foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> WatchCursor {
        let mut cursor =
            WatchCursor { offset: 300, kept_from: 2, of: Some(*b"identity"), ..WatchCursor::default() };
        let journal = Lane::Journal("7.worker-1".parse().unwrap());
        cursor.told.advance(&Lane::Log, 1_000);
        cursor.told.advance(&journal, 3);
        cursor.pass(&journal, 2, false);
        cursor
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let run: RunName = "run".parse().unwrap();
        for cursor in [cursor(), WatchCursor::default()] {
            let bytes = cursor.encode(&run);
            assert_eq!(WatchCursor::decode(&run, &bytes), Ok(cursor));
            assert_eq!(CursorText(bytes.clone()).to_string().parse(), Ok(CursorText(bytes)));
        }
        assert_eq!(WatchCursor::decode(&run, &[]), Ok(WatchCursor::default()));
    }

    #[test]
    fn what_an_earlier_version_has_written_is_read_and_what_this_one_writes_is_read_by_it() {
        let run: RunName = "run".parse().unwrap();
        let earlier = WatchCursor { of: None, ..cursor() };
        assert_eq!(WatchCursor::decode(&run, &earlier.encode(&run)), Ok(earlier.clone()));
        let read = |cursor: &WatchCursor| {
            let bytes = cursor.encode(&run);
            let encoded: Encoded = postcard::from_bytes(&bytes[1..bytes.len() - CHECK]).unwrap();
            (encoded.log, encoded.journals, encoded.begun, encoded.offset, encoded.kept_from)
        };
        assert_eq!(read(&cursor()), read(&earlier));
        assert_ne!(cursor().encode(&run), earlier.encode(&run));
    }

    #[test]
    fn what_is_foreign_is_refused() {
        let run: RunName = "run".parse().unwrap();
        let bytes = cursor().encode(&run);
        assert_eq!(WatchCursor::decode(&"other".parse().unwrap(), &bytes), Err(CursorError::OtherRun));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            assert!(WatchCursor::decode(&run, &changed).is_err(), "byte {at}");
            assert!(WatchCursor::decode(&run, &bytes[..at]).is_err() || at == 0, "{at} bytes");
        }
        assert_eq!(WatchCursor::decode(&run, &7_u64.to_be_bytes()), Err(CursorError::Foreign));
        assert_eq!("no cursor".parse::<CursorText>(), Err(CursorError::Foreign));
    }
}
