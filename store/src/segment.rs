//! Segments: the head of a segment file, and the scan of the frames behind it.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic, `SSTEPLOG` |
//! | 2 | log format: 2; in format 1 no value stands in a blob |
//! | 2 | record format, [`Record::FORMAT`] |
//! | 8 | number of the first record |
//! | 16 | value of the hash chain before the first frame |
//! | 4 | CRC-32C of the 36 bytes above |
//!
//! The head keeps this shape in every later format, so that a reader can always tell a newer log from a
//! damaged one.

use std::path::Path;

use crate::{
    Blobs, Damage, Record, StoreError, TornTail,
    frame::{self, Chain, Frame, Next},
    spill::{self, Undecodable},
};

/// Length of the head of a segment.
pub(crate) const HEAD: usize = 40;
const CHECKED: usize = HEAD - 4;
const MAGIC: &[u8; 8] = b"SSTEPLOG";
const FORMAT: u16 = 2;
/// The first format in which long values stand in blobs.
const SPILLING: u16 = 2;

/// The head of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) record_format: u16,
    pub(crate) first: u64,
    pub(crate) chain: Chain,
}

impl Head {
    pub(crate) fn encode(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.record_format.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.first.to_le_bytes());
        bytes[20..CHECKED].copy_from_slice(&self.chain.0);
        let checksum = crc32c::crc32c(&bytes[..CHECKED]);
        bytes[CHECKED..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The head of the segment `data`, and the log format that it names.
    fn decode(data: &[u8]) -> Option<(Self, u16)> {
        let bytes: &[u8; HEAD] = data.first_chunk()?;
        let (checked, checksum) = bytes.split_at(CHECKED);
        if !bytes.starts_with(MAGIC) || crc32c::crc32c(checked).to_le_bytes() != checksum {
            return None;
        }
        let (magic_and_formats, rest) = checked.split_at(12);
        let (first, chain) = rest.split_first_chunk()?;
        let head = Self {
            record_format: u16::from_le_bytes([magic_and_formats[10], magic_and_formats[11]]),
            first: u64::from_le_bytes(*first),
            chain: Chain(*chain.first_chunk()?),
        };
        Some((head, u16::from_le_bytes([magic_and_formats[8], magic_and_formats[9]])))
    }
}

/// What the segments of a log hold, as far as they were scanned.
#[derive(Debug)]
pub(crate) struct History<R> {
    /// The records from the one that was asked for on.
    pub(crate) records: Vec<R>,
    from: u64,
    /// The number of the record that comes next.
    pub(crate) next: u64,
    pub(crate) chain: Chain,
    pub(crate) sealed: bool,
    pub(crate) torn: Option<TornTail>,
    /// Where the last frame of the last segment ends that was entered.
    pub(crate) end: u64,
    /// The formats of the segment that was entered last, of the log and of its records.
    formats: (u16, u16),
    blobs: Blobs,
}

impl<R: Record> History<R> {
    /// A history that keeps the records from `from` on, of a scan that begins with the first segment.
    pub(crate) fn new(from: u64, blobs: Blobs) -> Self {
        Self {
            records: Vec::new(),
            from,
            next: 0,
            chain: Chain::GENESIS,
            sealed: false,
            torn: None,
            end: 0,
            formats: (FORMAT, R::FORMAT),
            blobs,
        }
    }

    /// Whether the last segment has another format than a new one would have.
    pub(crate) fn is_old(&self) -> bool {
        self.formats != (FORMAT, R::FORMAT)
    }

    /// Takes the segment `data` in, which is the first of the scan if `first`, and the last of the log if `last`.
    pub(crate) fn scan(
        &mut self,
        file: &Path,
        data: &[u8],
        first: bool,
        last: bool,
    ) -> Result<(), StoreError> {
        self.enter(file, data, first)?;
        match self.frames(file, data, 0)? {
            None => {}
            Some(bytes) if last => {
                self.torn = Some(TornTail { file: file.to_owned(), offset: self.end, bytes });
            }
            Some(_) => return Err(self.corrupt(file, self.end, Damage::Incomplete)),
        }
        Ok(())
    }

    /// Takes in the whole frames from [`end`](Self::end) on, of a segment of which `data` begins at `base`, a
    /// multiple of the sector; how many bytes of a frame that was never acknowledged stand behind them.
    pub(crate) fn frames(&mut self, file: &Path, data: &[u8], base: u64) -> Result<Option<u64>, StoreError> {
        loop {
            let end = usize::try_from(self.end - base).expect("an offset in memory fits");
            match frame::next(data, end, self.chain) {
                Next::Frame(frame) => {
                    self.accept(file, &frame)?;
                    self.end = base + frame.end as u64;
                }
                Next::End => return Ok(None),
                Next::Torn { bytes } => return Ok(Some(bytes as u64)),
                Next::Corrupt(why) => return Err(self.corrupt(file, self.end, why)),
            }
        }
    }

    /// Takes in a segment that is there whole, with its one frame. On an error nothing of it was taken in.
    pub(crate) fn take_whole(&mut self, file: &Path, data: &[u8], first: bool) -> Result<(), StoreError> {
        self.enter(file, data, first)?;
        match frame::next(data, HEAD, self.chain) {
            Next::Frame(frame) if frame.end == data.len() => self.accept(file, &frame),
            Next::Corrupt(why) => Err(self.corrupt(file, self.end, why)),
            Next::Frame(_) | Next::End | Next::Torn { .. } => {
                Err(self.corrupt(file, self.end, Damage::ObjectIncomplete))
            }
        }
    }

    /// Takes in the frame at [`end`](Self::end).
    fn accept(&mut self, file: &Path, frame: &Frame<'_>) -> Result<(), StoreError> {
        if self.sealed {
            return Err(self.corrupt(file, self.end, Damage::AfterSeal));
        }
        let kept = self.records.len();
        self.take(frame).map_err(|why| {
            // Whoever reads on reads the whole frame again.
            self.records.truncate(kept);
            self.unreadable(file, self.end, why)
        })
    }

    /// The records that were taken in since the last call.
    pub(crate) fn take_records(&mut self) -> Vec<R> {
        std::mem::take(&mut self.records)
    }

    /// Checks the head of a segment against what came before, and stands behind it.
    pub(crate) fn enter(&mut self, file: &Path, data: &[u8], first: bool) -> Result<(), StoreError> {
        let Some((head, format)) = Head::decode(data) else {
            return Err(self.corrupt(file, 0, Damage::SegmentHead));
        };
        let newer =
            |what, found, known| StoreError::NewerFormat { file: file.to_owned(), what, found, known };
        if format > FORMAT {
            return Err(newer("log", format, FORMAT));
        }
        if head.record_format > R::FORMAT {
            return Err(newer("record", head.record_format, R::FORMAT));
        }
        let skipped_to = first && head.first > 0 && head.first <= self.from;
        if skipped_to {
            (self.next, self.chain) = (head.first, head.chain);
        }
        if head.first != self.next || head.chain != self.chain {
            let why = Damage::SegmentGap { expected: self.next, found: head.first };
            return Err(self.corrupt(file, 0, why));
        }
        self.formats = (format, head.record_format);
        self.end = HEAD as u64;
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>) -> Result<(), Undecodable> {
        let after = self.next + u64::from(frame.records);
        if after > self.from {
            let blobs = (self.formats.0 >= SPILLING).then_some(&self.blobs);
            let mut rest = frame.payload;
            for number in self.next..after {
                let record = spill::take::<R>(&mut rest, blobs)?;
                if number >= self.from {
                    self.records.push(record);
                }
            }
            if !rest.is_empty() {
                return Err(Undecodable::LeftOver(rest.len()));
            }
        }
        self.next = after;
        self.chain = frame.chain;
        self.sealed = frame.seals;
        Ok(())
    }

    fn unreadable(&self, file: &Path, offset: u64, why: Undecodable) -> StoreError {
        let damage = match why {
            Undecodable::Blob(error) => return error,
            Undecodable::Record(error) => error.to_string(),
            Undecodable::LeftOver(bytes) => format!("{bytes} bytes are left over"),
        };
        self.corrupt(file, offset, Damage::Undecodable(damage))
    }

    fn corrupt(&self, file: &Path, offset: u64, why: Damage) -> StoreError {
        StoreError::Corrupt { file: file.to_owned(), offset, record: self.next, why }
    }
}
