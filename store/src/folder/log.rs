//! The handle of a log in a folder.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
};

use super::{
    commit::{Batch, Job},
    history,
};
use crate::{Append, AppendError, Log, Position, Record, RunName, StoreError, spill::Encoded};

/// The log of a run in a folder. It encodes; the commit thread writes.
#[derive(Debug)]
pub(crate) struct FolderLog {
    pub(super) run: RunName,
    pub(super) folder: PathBuf,
    pub(super) log: u64,
    pub(super) jobs: Sender<Job>,
    pub(super) next: u64,
    pub(super) sealed: bool,
}

impl FolderLog {
    /// The most bytes that a batch may have, encoded.
    const BATCH_BYTES: usize = 256 << 20;

    fn send(&mut self, encoded: Encoded, records: u32, seals: bool) -> Append {
        if self.sealed {
            return Append::ready(Err(AppendError::Sealed { run: self.run.clone() }));
        }
        let (ack, append) = Append::pending(self.run.clone());
        let position = Position(self.next);
        let batch = Batch { encoded, records, seals, position, ack };
        self.next += u64::from(records);
        self.sealed = seals;
        match self.jobs.send(Job::Append { log: self.log, batch }) {
            Ok(()) => append,
            Err(_) => self.refuse(StoreError::CommitterGone),
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
    let (limit, bytes) = (FolderLog::BATCH_BYTES, encoded.size());
    match u32::try_from(records.len()) {
        Ok(count) if bytes <= limit => Ok((encoded, count)),
        Ok(_) | Err(_) => Err(StoreError::TooLarge { bytes, limit }),
    }
}

impl<R: Record> Log<R> for FolderLog {
    fn append(&mut self, records: Vec<R>) -> Append {
        match encode(&records) {
            Ok((encoded, count)) => self.send(encoded, count, false),
            Err(why) => self.refuse(why),
        }
    }

    fn seal(&mut self) -> Append {
        self.send(Encoded::default(), 0, true)
    }

    fn next(&self) -> Position {
        Position(self.next)
    }

    fn read(&self, from: Position) -> Result<Vec<R>, StoreError> {
        Ok(history::read_beside_writer(&self.folder, &self.run, from.0)?.records)
    }
}

impl Drop for FolderLog {
    fn drop(&mut self) {
        let (closed, ended) = mpsc::channel();
        // Waiting lets the run be opened again right after: the thread drops its end when the log is closed. Where
        // the thread is gone, there is nothing to wait for.
        if self.jobs.send(Job::Detach { log: self.log, closed }).is_ok() {
            while ended.recv().is_ok() {}
        }
    }
}
