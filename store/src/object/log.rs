//! The handles of logs and journals in an object store.

use std::{sync::mpsc, time::Duration};

use tokio::sync::{mpsc as queue, oneshot};

use super::{ObjectRuns, reader::ObjectReader, thread::ObjectThread, writer::Tail};
use crate::{
    Append, Entry, Journal, Log, Position, Record, RunName, StoreError,
    batch::{Appender, Batch},
};

/// How long what was appended may still take when its handle goes. A store that is away must not hold the caller.
const LEAVE: Duration = Duration::from_secs(3);

/// The near end of a log whose objects the thread makes.
#[derive(Debug)]
pub(super) struct Line {
    appender: Appender,
    /// None once the handle goes.
    batches: Option<queue::UnboundedSender<Batch>>,
    /// Dropped to say that the handle goes.
    leaving: Option<oneshot::Sender<()>>,
    /// Closed when the last object is made or given up.
    closed: mpsc::Receiver<()>,
}

impl Line {
    /// Gives `tail` to the thread.
    pub(super) fn open(thread: &ObjectThread, tail: Tail, sealed: bool) -> Result<Self, StoreError> {
        let appender = Appender::new(tail.site.run.clone(), tail.end.next, sealed);
        let (batches, inbox) = queue::unbounded_channel();
        let (leaving, left) = oneshot::channel::<()>();
        let (open, closed) = mpsc::channel::<()>();
        thread.spawn(async move {
            let give_up = async {
                // Nothing is sent: the handle goes, and its end with it.
                drop(left.await);
                tokio::time::sleep(LEAVE).await;
            };
            tokio::select! {
                () = tail.serve(inbox) => {}
                () = give_up => {}
            }
            drop(open);
        })?;
        Ok(Self { appender, batches: Some(batches), leaving: Some(leaving), closed })
    }

    fn append<R: Record>(&mut self, records: &[R]) -> Append {
        self.appender.append(records, send(self.batches.as_ref()))
    }

    fn seal(&mut self) -> Append {
        self.appender.seal(send(self.batches.as_ref()))
    }
}

fn send(batches: Option<&queue::UnboundedSender<Batch>>) -> impl FnOnce(Batch) -> Result<(), StoreError> {
    move |batch| {
        let sent = batches.and_then(|batches| batches.send(batch).ok());
        sent.ok_or(StoreError::CommitterGone)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.batches.take());
        drop(self.leaving.take());
        // The task drops its end when it has ended.
        while self.closed.recv().is_ok() {}
    }
}

/// The log of a run in an object store.
#[derive(Debug)]
pub(crate) struct ObjectLog {
    pub(super) runs: ObjectRuns,
    pub(super) run: RunName,
    pub(super) line: Line,
}

impl<R: Record> Log<R> for ObjectLog {
    fn append(&mut self, records: Vec<R>) -> Append {
        self.line.append(&records)
    }

    fn seal(&mut self) -> Append {
        self.line.seal()
    }

    fn next(&self) -> Position {
        self.line.appender.next()
    }

    fn read(&self, from: Position) -> Result<Vec<R>, StoreError> {
        let mut reader: ObjectReader<R> = self.runs.log_reader(&self.run, from.0);
        reader.advance()?;
        Ok(reader.take_records())
    }
}

/// A journal of a run in an object store.
#[derive(Debug)]
pub(crate) struct ObjectJournal {
    pub(super) line: Line,
}

impl<R: Record> Journal<R> for ObjectJournal {
    fn append(&mut self, after: Position, records: Vec<R>) -> Append {
        self.line.append(&[Entry { after, records }])
    }
}
