//! Reading on in a run: its log first, and then its journals.

use std::collections::BTreeMap;

use super::{ObjectRuns, reader::ObjectReader};
use crate::{Cursor, Entry, JournalName, Record, RunName, StoreError, merge::Merge};

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

    pub(crate) fn read(&mut self) -> Result<Vec<R>, StoreError> {
        let before = self.log.end().number;
        self.log.advance()?;
        self.merge.add_records(self.log.take_records());
        if self.log.end().number == before && !self.runs.exists(&self.run)? {
            return Err(StoreError::NotFound { run: self.run.clone() });
        }
        for name in self.runs.journals(&self.run)? {
            self.read_journal(&name)?;
        }
        Ok(self.merge.tell())
    }

    /// Makes sure that what was read is all that there is.
    pub(super) fn demand_end(&self) -> Result<(), StoreError> {
        self.log.demand_end()?;
        self.journals.values().try_for_each(ObjectReader::demand_end)
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        self.merge.told()
    }

    fn read_journal(&mut self, name: &JournalName) -> Result<(), StoreError> {
        let (runs, run, from) = (&self.runs, &self.run, self.merge.next_of(name));
        let reader =
            self.journals.entry(name.clone()).or_insert_with(|| runs.journal_reader(run, name, from));
        reader.advance()?;
        self.merge.add_entries(name, reader.take_records());
        Ok(())
    }
}
