//! Call journals: what a worker notes beside the log of a run, for whoever takes its work over.

use serde::{Deserialize, Serialize};

use crate::{Append, Position, Record};

/// What was noted at once in a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<R> {
    /// How many records of the run's log the writer knew: the entry stands behind them, before the next.
    pub after: Position,
    /// What was noted.
    pub records: Vec<R>,
}

impl<R: Record> Record for Entry<R> {
    const FORMAT: u16 = R::FORMAT;
}

/// A journal of a run, open for its one writer. Dropping it ends what was appended.
pub trait Journal<R>: Send {
    /// Appends an entry of `records`, of whose run's log the writer knows `after` records.
    ///
    /// The entry is on its way when this returns, and becomes durable whole; entries that wait together do so at
    /// once. Several may be under way: none is durable before one that was appended earlier. The position is the
    /// number of the entry in the journal. A journal that was sealed refuses it with
    /// [`AppendError::Fenced`](crate::AppendError::Fenced), as does one that another has written under the same name.
    fn append(&mut self, after: Position, records: Vec<R>) -> Append;
}
