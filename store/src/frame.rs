//! Frames: how one write lies on disk, and what a reader may conclude from what it finds.
//!
//! A frame is one write. It holds one batch or several that waited together.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | kind, `0xB5` |
//! | 1 | flags: 1 = seals the log, 2 = an inner sector of the frame is naturally zero |
//! | 4 | length of the records |
//! | 4 | number of records |
//! | 4 | CRC-32C of the records |
//! | 4 | CRC-32C of the 14 bytes above |
//! | n | the records, one postcard value after the other |
//! | 8 | hash chain: the first half of blake3(chain value before, head, records), 16 bytes of which are carried on |
//! | 1 | commit byte, `0xA5` |
//!
//! Integers are little-endian. A frame whose head would straddle two sectors of 512 bytes begins at the next
//! sector, and the filler is zero.
//!
//! **Torn or corrupt.** Segments are allocated ahead, so what lies behind the last frame is zero, and the end
//! of the file counts as more zeros. A frame is written only after the one before it is durable, so only the
//! last frame can be unacknowledged, and a crash can only have kept back some of its sectors, or the end of
//! it. A frame that fails is therefore *torn* if nothing follows it and
//! - its head is incomplete and everything behind the head is zero, or
//! - its head is absent with the rest of its sector, and no other frame stands behind, or
//! - its commit byte is zero, or
//! - one of its inner sectors is zero, and none was when it was written.
//!
//! In every other case it is *corrupt*: it was written whole, may have been acknowledged, and must not be
//! dropped. No single flipped bit makes a whole frame look torn, because head and commit byte have more than
//! one bit set.

use crate::Damage;

/// What a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;
const HEAD: usize = 18;
const CHAIN_STORED: usize = 8;
const TRAILER: usize = CHAIN_STORED + 1;
const KIND: u8 = 0xB5;
const COMMIT: u8 = 0xA5;
const SEALS: u8 = 1;
const NATURAL_ZEROS: u8 = 2;

/// The running hash over every frame of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain(pub(crate) [u8; 16]);

impl Chain {
    /// The value before the first frame of a log.
    pub(crate) const GENESIS: Self = Self(*b"superstep log 1\0");

    fn follow(self, head_and_records: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(head_and_records);
        let mut value = [0; 16];
        hasher.finalize_xof().fill(&mut value);
        Self(value)
    }
}

/// A frame in the making. It is used again and again, so that a frame costs no allocation.
#[derive(Debug)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
    records: u32,
    seals: bool,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEAD], records: 0, seals: false }
    }

    /// Adds records that are already encoded.
    pub(crate) fn push(&mut self, encoded: &[u8], records: u32) {
        self.bytes.extend_from_slice(encoded);
        self.records += records;
    }

    pub(crate) fn seal(&mut self) {
        self.seals = true;
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Completes the frame for a write at `start` and steps the chain over it.
    pub(crate) fn finish(&mut self, start: u64, chain: &mut Chain) -> &[u8] {
        let checksum = crc32c::crc32c(&self.bytes[HEAD..]);
        let length =
            u32::try_from(self.bytes.len() - HEAD).expect("a flight is limited to far less than 4 GiB");
        // The trailer lies in the last sector, which is never counted, so its content does not matter here.
        let end = self.bytes.len() + TRAILER;
        self.bytes.resize(end, COMMIT);
        let mut flags = if self.seals { SEALS } else { 0 };
        if has_zero_sector(&self.bytes, start) {
            flags |= NATURAL_ZEROS;
        }
        self.bytes[0] = KIND;
        self.bytes[1] = flags;
        self.bytes[2..6].copy_from_slice(&length.to_le_bytes());
        self.bytes[6..10].copy_from_slice(&self.records.to_le_bytes());
        self.bytes[10..14].copy_from_slice(&checksum.to_le_bytes());
        let head_checksum = crc32c::crc32c(&self.bytes[..14]);
        self.bytes[14..HEAD].copy_from_slice(&head_checksum.to_le_bytes());
        *chain = chain.follow(&self.bytes[..end - TRAILER]);
        self.bytes[end - TRAILER..end - 1].copy_from_slice(&chain.0[..CHAIN_STORED]);
        &self.bytes
    }

    /// Empties the draft.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(HEAD);
        self.records = 0;
        self.seals = false;
    }
}

/// Where a frame begins that follows one which ends at `end`.
pub(crate) fn start_after(end: u64) -> u64 {
    let left = SECTOR as u64 - end % SECTOR as u64;
    if left < HEAD as u64 { end + left } else { end }
}

/// Whether a sector between the first and the last of `frame`, which lies at `start`, is all zero.
fn has_zero_sector(frame: &[u8], start: u64) -> bool {
    let first = usize::try_from(SECTOR as u64 - start % SECTOR as u64).expect("a sector fits");
    frame.get(first..).is_some_and(|rest| rest.chunks_exact(SECTOR).any(is_zero))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// What stands at some place of a segment.
#[derive(Debug)]
pub(crate) enum Next<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// Zeros to the end.
    End,
    /// The remains of a frame that was never acknowledged; `bytes` of them.
    Torn { bytes: usize },
    /// A frame that may have been acknowledged and is damaged.
    Corrupt(Damage),
}

/// A frame as it was written.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) records: u32,
    pub(crate) seals: bool,
    /// The encoded records.
    pub(crate) payload: &'a [u8],
    /// Where the frame ends in the segment.
    pub(crate) end: usize,
    /// The chain with this frame.
    pub(crate) chain: Chain,
}

struct Head {
    flags: u8,
    length: usize,
    records: u32,
    checksum: u32,
}

/// What stands in the segment `data` at `end`, the end of a frame after which the chain had the value `chain`.
pub(crate) fn next(data: &[u8], end: usize, chain: Chain) -> Next<'_> {
    let start = usize::try_from(start_after(end as u64)).expect("an offset in memory fits");
    if !is_zero(&data[end.min(data.len())..start.min(data.len())]) {
        return Next::Corrupt(Damage::Filler);
    }
    let rest = data.get(start..).unwrap_or_default();
    match head(rest) {
        Some(head) => body(rest, start, &head, chain),
        None => headless(rest, start),
    }
}

fn head(rest: &[u8]) -> Option<Head> {
    let bytes: &[u8; HEAD] = rest.first_chunk()?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    (crc32c::crc32c(&bytes[..14]) == word(14) && bytes[0] == KIND).then(|| Head {
        flags: bytes[1],
        length: word(2) as usize,
        records: word(6),
        checksum: word(10),
    })
}

/// Judges what stands where a frame head should, but is none.
fn headless(rest: &[u8], start: usize) -> Next<'_> {
    let Some(last) = rest.iter().rposition(|&byte| byte != 0) else { return Next::End };
    let torn = Next::Torn { bytes: last + 1 };
    if last < HEAD {
        return torn;
    }
    let sector_end = (SECTOR - start % SECTOR).min(rest.len());
    let absent = is_zero(&rest[..sector_end]);
    let other_frame = (sector_end..=last).any(|at| rest[at] == KIND && head(&rest[at..]).is_some());
    if absent && !other_frame { torn } else { Next::Corrupt(Damage::Head) }
}

/// Judges the frame at the front of `rest`, whose head is sound.
fn body<'a>(rest: &'a [u8], start: usize, head: &Head, chain: Chain) -> Next<'a> {
    if head.flags & !(SEALS | NATURAL_ZEROS) != 0 {
        return Next::Corrupt(Damage::Kind);
    }
    let records_end = HEAD + head.length;
    let frame_end = records_end + TRAILER;
    let frame = &rest[..frame_end.min(rest.len())];
    match damage(frame, frame_end, head, chain) {
        Ok(chain) => Next::Frame(Frame {
            records: head.records,
            seals: head.flags & SEALS != 0,
            payload: &rest[HEAD..records_end],
            end: start + frame_end,
            chain,
        }),
        Err(why) if !is_zero(&rest[frame.len()..]) => Next::Corrupt(why),
        Err(why) => {
            let no_commit = frame.len() < frame_end || frame.last() == Some(&0);
            let lost_sector = head.flags & NATURAL_ZEROS == 0 && has_zero_sector(frame, start as u64);
            let bytes = frame.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if no_commit || lost_sector { Next::Torn { bytes } } else { Next::Corrupt(why) }
        }
    }
}

fn damage(frame: &[u8], frame_end: usize, head: &Head, chain: Chain) -> Result<Chain, Damage> {
    if frame.len() < frame_end {
        return Err(Damage::Checksum);
    }
    let (covered, trailer) = frame.split_at(frame_end - TRAILER);
    let chain = chain.follow(covered);
    if crc32c::crc32c(&covered[HEAD..]) != head.checksum {
        Err(Damage::Checksum)
    } else if trailer[..CHAIN_STORED] != chain.0[..CHAIN_STORED] {
        Err(Damage::Chain)
    } else if trailer[CHAIN_STORED] != COMMIT {
        Err(Damage::CommitByte)
    } else {
        Ok(chain)
    }
}
