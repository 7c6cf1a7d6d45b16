//! The handle of a log in a folder.

use std::{
    path::PathBuf,
    sync::mpsc::{self, Sender},
};

use super::{commit::Job, history};
use crate::{
    Append, Log, Position, Record, RunName, StoreError,
    batch::{Appender, Batch},
};

/// The log of a run in a folder. It encodes; the commit thread writes.
#[derive(Debug)]
pub(crate) struct FolderLog {
    pub(super) run: RunName,
    pub(super) folder: PathBuf,
    pub(super) log: u64,
    pub(super) jobs: Sender<Job>,
    pub(super) appender: Appender,
}

/// Sends batches of the log `log` to the commit thread.
fn send(jobs: &Sender<Job>, log: u64) -> impl FnOnce(Batch) -> Result<(), StoreError> {
    move |batch| jobs.send(Job::Append { log, batch }).map_err(|_| StoreError::CommitterGone)
}

impl<R: Record> Log<R> for FolderLog {
    fn append(&mut self, records: Vec<R>) -> Append {
        self.appender.append(&records, send(&self.jobs, self.log))
    }

    fn seal(&mut self) -> Append {
        self.appender.seal(send(&self.jobs, self.log))
    }

    fn next(&self) -> Position {
        self.appender.next()
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
