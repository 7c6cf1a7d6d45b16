//! Journals in memory.

use std::sync::{Arc, Mutex};

use super::{MemoryHistory, lock};
use crate::{Append, AppendError, Entry, Journal, JournalName, Position, Record, RunName};

/// What was noted in one journal.
#[derive(Debug)]
pub(super) struct MemoryJournal<R> {
    entries: Vec<Entry<R>>,
    /// Who writes it; none before the first entry.
    writer: Option<Arc<()>>,
    sealed: bool,
}

impl<R: Record> MemoryJournal<R> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), writer: None, sealed: false }
    }

    /// The entries from number `from` on.
    pub(super) fn from(&self, from: u64) -> Vec<Entry<R>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        self.entries.get(from..).unwrap_or_default().to_vec()
    }

    /// Ends the journal, and tells what it holds.
    pub(super) fn seal(&mut self) -> Vec<Entry<R>> {
        self.sealed = true;
        self.entries.clone()
    }

    /// Adds an entry of `writer`, if the journal is its own and open: the number of the entry.
    fn add(&mut self, writer: &Arc<()>, entry: Entry<R>) -> Option<Position> {
        let is_own = Arc::ptr_eq(self.writer.get_or_insert_with(|| Arc::clone(writer)), writer);
        (is_own && !self.sealed).then(|| {
            self.entries.push(entry);
            Position(self.entries.len() as u64 - 1)
        })
    }
}

/// The handle of a journal in memory.
#[derive(Debug)]
pub(crate) struct MemoryJournalLog<R> {
    run: RunName,
    name: JournalName,
    history: Arc<Mutex<MemoryHistory<R>>>,
    writer: Arc<()>,
}

impl<R: Record> MemoryJournalLog<R> {
    pub(super) fn new(run: RunName, name: JournalName, history: Arc<Mutex<MemoryHistory<R>>>) -> Self {
        Self { run, name, history, writer: Arc::new(()) }
    }
}

impl<R: Record> Journal<R> for MemoryJournalLog<R> {
    fn append(&mut self, after: Position, records: Vec<R>) -> Append {
        let mut history = lock(&self.history);
        let journal = history.journals.entry(self.name.clone()).or_insert_with(MemoryJournal::new);
        let position = journal.add(&self.writer, Entry { after, records });
        Append::ready(position.ok_or_else(|| AppendError::Fenced { run: self.run.clone() }))
    }
}
