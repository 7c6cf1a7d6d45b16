//! What an object of a log or of a journal is: its head, and a segment with one frame.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic, `SSTEPOBJ` |
//! | 2 | object format: 1 |
//! | 2 | kind: 1 = a segment follows; 2 = the run was removed, nothing follows |
//! | 16 | the writer: a number that no other writer has |
//! | 4 | CRC-32C of the 28 bytes above |
//! | n | the segment, as in a folder, with one frame |
//!
//! Integers are little-endian. The number of the writer keeps two writers apart that append the same at the same
//! place: only one of the two objects is there, and only one of them finds its own.
//!
//! An object is there whole or not at all. So whatever is wrong with it is damage, and nothing can be torn.

use std::{
    hash::{BuildHasher, RandomState},
    path::Path,
    process,
};

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    Damage, Record, StoreError,
    frame::{Chain, Draft},
    segment::{self, History},
};

const MAGIC: &[u8; 8] = b"SSTEPOBJ";
const FORMAT: u16 = 1;
const SEGMENT: u16 = 1;
const REMOVED: u16 = 2;
const HEAD: usize = 32;
const CHECKED: usize = HEAD - 4;

/// A number that no other writer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Writer(pub(super) [u8; 16]);

impl Writer {
    /// Draws a number from the randomness that the operating system gives hash maps.
    pub(super) fn draw() -> Self {
        let mut number = [0; 16];
        let (one, two) = number.split_at_mut(8);
        one.copy_from_slice(&RandomState::new().hash_one(process::id()).to_le_bytes());
        two.copy_from_slice(&RandomState::new().hash_one("superstep").to_le_bytes());
        Self(number)
    }
}

/// Where a log of objects would go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// The number of the next object.
    pub(super) number: u64,
    /// The number of its first record.
    pub(super) next: u64,
    pub(super) chain: Chain,
}

impl End {
    /// That of a log without objects.
    pub(super) const BEGIN: Self = Self { number: 0, next: 0, chain: Chain::GENESIS };
}

/// The object at `end` that holds the frame `draft`, and where the log ends with it.
pub(super) fn of_draft(writer: Writer, record_format: u16, end: End, draft: &mut Draft) -> (Bytes, End) {
    let End { number, next, mut chain } = end;
    let head = segment::Head { record_format, first: next, chain };
    let records = u64::from(draft.records());
    let frame = draft.finish(segment::HEAD as u64, &mut chain);
    let mut object = BytesMut::with_capacity(HEAD + segment::HEAD + frame.len());
    put_head(&mut object, writer, SEGMENT);
    object.put_slice(&head.encode());
    object.put_slice(frame);
    (object.freeze(), End { number: number + 1, next: next + records, chain })
}

/// The object that stands at the end of a log whose run was removed.
pub(super) fn of_removal(writer: Writer) -> Bytes {
    let mut object = BytesMut::with_capacity(HEAD);
    put_head(&mut object, writer, REMOVED);
    object.freeze()
}

fn put_head(object: &mut BytesMut, writer: Writer, kind: u16) {
    object.put_slice(MAGIC);
    object.put_u16_le(FORMAT);
    object.put_u16_le(kind);
    object.put_slice(&writer.0);
    object.put_u32_le(crc32c::crc32c(object));
}

/// Takes the object `bytes` of `file` in, which is the first of its log if `first`; `false` if it says that the run
/// was removed. On an error `history` is where it was.
pub(super) fn read<R: Record>(
    history: &mut History<R>,
    file: &Path,
    bytes: &[u8],
    first: bool,
) -> Result<bool, StoreError> {
    let segment = match judge(bytes) {
        Ok(Kind::Segment(segment)) => segment,
        Ok(Kind::Removed) => return Ok(false),
        Ok(Kind::Newer(found)) => {
            let (file, what) = (file.to_owned(), "object");
            return Err(StoreError::NewerFormat { file, what, found, known: FORMAT });
        }
        Err(why) => {
            let record = history.next;
            return Err(StoreError::Corrupt { file: file.to_owned(), offset: 0, record, why });
        }
    };
    history.take_whole(file, segment, first).map(|()| true).map_err(behind_head)
}

/// Offsets within a segment are told as those within its object.
fn behind_head(error: StoreError) -> StoreError {
    if let StoreError::Corrupt { file, offset, record, why } = error {
        StoreError::Corrupt { file, offset: offset + HEAD as u64, record, why }
    } else {
        error
    }
}

enum Kind<'a> {
    Segment(&'a [u8]),
    Removed,
    /// Of a format that this build does not know.
    Newer(u16),
}

fn judge(bytes: &[u8]) -> Result<Kind<'_>, Damage> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(Damage::ObjectHead)?;
    let (checked, checksum) = head.split_at(CHECKED);
    if !head.starts_with(MAGIC) || crc32c::crc32c(checked).to_le_bytes() != checksum {
        return Err(Damage::ObjectHead);
    }
    match (u16::from_le_bytes([head[8], head[9]]), u16::from_le_bytes([head[10], head[11]])) {
        (FORMAT, SEGMENT) => Ok(Kind::Segment(rest)),
        (FORMAT, REMOVED) => Ok(Kind::Removed),
        (newer, _) if newer > FORMAT => Ok(Kind::Newer(newer)),
        _ => Err(Damage::ObjectHead),
    }
}
