//! The contract of a run log, whatever keeps it.

use std::{
    fmt,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{Cursor, RunName, StoreError};

/// The number of a record in its log, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The log of one run, open for its one writer. Dropping it ends what was appended and lets the run go.
pub trait Log<R>: Send {
    /// Appends `records` as one atomic batch, in the order of the calls.
    ///
    /// The batch is on its way when this returns; the future only tells how it ended, borrows nothing and may
    /// be dropped. Several appends may be under way: none is durable before one that was appended earlier.
    /// The memory backend's future is ready at once.
    fn append(&mut self, records: Vec<R>) -> Append;

    /// Ends the log: every later append is refused with [`AppendError::Sealed`]. The position is that of the
    /// record that would have come next.
    fn seal(&mut self) -> Append;

    /// The position that the next batch gets. After [`AppendError::Unknown`], what stands there tells whether
    /// the batch is durable.
    fn next(&self) -> Position;

    /// The records of the log itself from `from` on, without those of journals. It may block on the disk.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a damaged record, [`StoreError::Io`] when a file cannot be read.
    fn read(&self, from: Position) -> Result<Vec<R>, StoreError>;
}

/// How a batch ended that has no position.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Another owner has the log: it has opened it since in memory, and in an object store it has appended where
    /// this batch was to stand. Or the journal is sealed. Nothing was written, and nothing will be.
    #[error("another owner has taken run \"{run}\"")]
    Fenced {
        /// The run.
        run: RunName,
    },
    /// The log is sealed. Nothing was written.
    #[error("run \"{run}\" is sealed")]
    Sealed {
        /// The run.
        run: RunName,
    },
    /// Nothing was written: the batch has no encoding, or the outcome of an earlier one is unknown.
    #[error("nothing was appended to run \"{run}\"")]
    Refused {
        /// The run.
        run: RunName,
        /// Why.
        #[source]
        why: Arc<StoreError>,
    },
    /// The batch may or may not be durable. Opening the run again and reading its position tells.
    #[error("it is unknown whether the batch was appended to run \"{run}\"")]
    Unknown {
        /// The run.
        run: RunName,
        /// Why.
        #[source]
        why: Arc<StoreError>,
    },
}

/// The outcome of an append, once there is one.
#[must_use = "an append that nobody waits for is not known to be durable"]
#[derive(Debug)]
pub struct Append(State);

#[derive(Debug)]
enum State {
    Ready(Option<Result<Position, AppendError>>),
    Waiting { run: RunName, outcome: oneshot::Receiver<Result<Position, AppendError>> },
}

impl Append {
    /// An append that has ended.
    pub fn ready(outcome: Result<Position, AppendError>) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    /// An append to `run` that is under way, and the means to end it. Dropping the [`Ack`] without settling it
    /// makes the outcome [`AppendError::Unknown`].
    pub fn pending(run: RunName) -> (Ack, Self) {
        let (sender, outcome) = oneshot::channel();
        (Ack(sender), Self(State::Waiting { run, outcome }))
    }

    /// Blocks until the append has ended. It must not be called on a thread that drives async tasks.
    ///
    /// # Errors
    /// How the append ended, where it has no position.
    pub fn wait(self) -> Result<Position, AppendError> {
        match self.0 {
            State::Ready(outcome) => {
                outcome.expect("a future that is consumed here was never polled to its end")
            }
            State::Waiting { run, outcome } => {
                outcome.blocking_recv().unwrap_or_else(|_| Err(abandoned(run)))
            }
        }
    }
}

impl Future for Append {
    type Output = Result<Position, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(outcome) => {
                Poll::Ready(outcome.take().expect("a future is not polled after its end"))
            }
            State::Waiting { run, outcome } => {
                Pin::new(outcome).poll(cx).map(|told| told.unwrap_or_else(|_| Err(abandoned(run.clone()))))
            }
        }
    }
}

fn abandoned(run: RunName) -> AppendError {
    AppendError::Unknown { run, why: Arc::new(StoreError::CommitterGone) }
}

/// The means to end an [`Append`] that is under way.
#[derive(Debug)]
pub struct Ack(oneshot::Sender<Result<Position, AppendError>>);

impl Ack {
    /// Ends the append. A caller that has dropped the future is not told.
    pub fn settle(self, outcome: Result<Position, AppendError>) {
        // The receiver may be gone: whoever appended has said that it does not wait.
        drop(self.0.send(outcome));
    }
}

/// What a log held when it was opened or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents<R> {
    /// Its records from the first on, those of the run's journals among them, each at its place.
    pub records: Vec<R>,
    /// Whether it is sealed.
    pub sealed: bool,
    /// What was left behind by a batch that was never acknowledged. Opening for writing cuts it off.
    pub torn: Option<TornTail>,
    /// How many of the records are the log's own, and how many entries of each journal are among them.
    pub told: Cursor,
}

/// The remains of a batch whose write was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub file: PathBuf,
    /// Byte offset at which the remains begin.
    pub offset: u64,
    /// How many bytes from there hold remains.
    pub bytes: u64,
}
