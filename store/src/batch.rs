//! Appends on their way to where they become durable.

use std::sync::Arc;

use crate::{Ack, Append, AppendError, Position, Record, RunName, StoreError, spill::Encoded};

/// The most bytes that a batch may have, encoded.
const LIMIT: usize = 256 << 20;
/// Appends that wait are taken together up to this many bytes.
pub(crate) const FLIGHT_BYTES: usize = 64 << 20;

/// An append that waits.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) encoded: Encoded,
    pub(crate) records: u32,
    pub(crate) seals: bool,
    pub(crate) position: Position,
    pub(crate) ack: Ack,
}

/// The near end of a log that others write: it encodes and numbers what is appended.
#[derive(Debug)]
pub(crate) struct Appender {
    run: RunName,
    next: u64,
    sealed: bool,
}

impl Appender {
    pub(crate) fn new(run: RunName, next: u64, sealed: bool) -> Self {
        Self { run, next, sealed }
    }

    /// The position that the next batch gets.
    pub(crate) fn next(&self) -> Position {
        Position(self.next)
    }

    /// Gives `records` to `send` as a batch.
    pub(crate) fn append<R: Record>(
        &mut self,
        records: &[R],
        send: impl FnOnce(Batch) -> Result<(), StoreError>,
    ) -> Append {
        match encode(records) {
            Ok((encoded, count)) => self.give(encoded, count, false, send),
            Err(why) => self.refuse(why),
        }
    }

    /// Gives the end of the log to `send`.
    pub(crate) fn seal(&mut self, send: impl FnOnce(Batch) -> Result<(), StoreError>) -> Append {
        self.give(Encoded::default(), 0, true, send)
    }

    fn give(
        &mut self,
        encoded: Encoded,
        records: u32,
        seals: bool,
        send: impl FnOnce(Batch) -> Result<(), StoreError>,
    ) -> Append {
        if self.sealed {
            return Append::ready(Err(AppendError::Sealed { run: self.run.clone() }));
        }
        let (ack, append) = Append::pending(self.run.clone());
        let batch = Batch { encoded, records, seals, position: self.next(), ack };
        self.next += u64::from(records);
        self.sealed = seals;
        match send(batch) {
            Ok(()) => append,
            Err(why) => self.refuse(why),
        }
    }

    fn refuse(&self, why: StoreError) -> Append {
        Append::ready(Err(AppendError::Refused { run: self.run.clone(), why: Arc::new(why) }))
    }
}

fn encode<R: Record>(records: &[R]) -> Result<(Encoded, u32), StoreError> {
    let mut encoded = Encoded { records: Vec::with_capacity(128), blobs: Vec::new() };
    for record in records {
        encoded.push(record)?;
    }
    let bytes = encoded.size();
    match u32::try_from(records.len()) {
        Ok(count) if bytes <= LIMIT => Ok((encoded, count)),
        Ok(_) | Err(_) => Err(StoreError::TooLarge { bytes, limit: LIMIT }),
    }
}
