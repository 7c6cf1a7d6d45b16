//! Reading on in a run: its log first, and then its journals.

use std::collections::BTreeMap;

use super::{
    ObjectRuns,
    reader::{self, ObjectReader},
};
use crate::{Cursor, Entry, JournalName, Record, RunName, StoreError, Told, merge::Merge};

/// A reader that stands somewhere in the log of a run in an object store and in its journals.
#[derive(Debug)]
pub(crate) struct ObjectFollower<R> {
    runs: ObjectRuns,
    run: RunName,
    pub(super) log: ObjectReader<R>,
    journals: BTreeMap<JournalName, ObjectReader<Entry<R>>>,
    merge: Merge<R>,
}

impl<R: Record> ObjectFollower<R> {
    /// A reader that goes on as `merge` does.
    pub(super) fn new(runs: ObjectRuns, run: RunName, merge: Merge<R>) -> Self {
        let log = runs.log_reader(&run, merge.next_of_log());
        Self { runs, run, log, journals: BTreeMap::new(), merge }
    }

    pub(crate) fn read(&mut self) -> Result<Told<R>, StoreError> {
        let before = self.log.end().number;
        self.log.advance()?;
        self.merge.add_records(self.log.take_records());
        if self.log.end().number == before && !self.runs.exists(&self.run)? {
            return Err(StoreError::NotFound { run: self.run.clone() });
        }
        self.read_journals()?;
        Ok(self.merge.tell())
    }

    fn read_journals(&mut self) -> Result<(), StoreError> {
        for name in self.runs.journals(&self.run)? {
            let (runs, run, from) = (&self.runs, &self.run, self.merge.next_of(&name));
            let begin = |name: &JournalName| runs.journal_reader(run, name, from);
            self.journals.entry(name).or_insert_with_key(begin);
        }
        reader::advance(&mut self.journals.values_mut().collect::<Vec<_>>())?;
        for (name, reader) in &mut self.journals {
            self.merge.add_entries(name, reader.take_records());
        }
        Ok(())
    }

    /// Makes sure that what was read is all that there is.
    pub(super) fn demand_end(&self) -> Result<(), StoreError> {
        reader::demand_ends(&[&self.log])?;
        reader::demand_ends(&self.journals.values().collect::<Vec<_>>())
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        self.merge.told()
    }
}
