//! What a store does for those who share it: journals, and the probe of what they rely on.

use std::time::Instant;

use super::{Backend, Store};
use crate::{Entry, Journal, JournalName, Record, RunName, StoreError};

impl<R: Record> Store<R> {
    /// A new journal beside the log of a run. Nothing is written before its first entry.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such run, [`StoreError::NoJournals`] of a folder,
    /// [`StoreError::NotKept`] of a transient store.
    pub fn journal(&self, run: &RunName, name: &JournalName) -> Result<Box<dyn Journal<R>>, StoreError> {
        Ok(match &self.0 {
            Backend::Memory(runs) => Box::new(runs.journal(run, name)?),
            Backend::Folder(_) => return Err(StoreError::NoJournals { run: run.clone() }),
            Backend::Object(runs) => Box::new(runs.journal::<R>(run, name)?),
        })
    }

    /// Ends a journal, whether anything was written to it or not, and tells all that it holds.
    ///
    /// When this returns, its writer is fenced: what it was told to be durable is in the entries, and nothing else
    /// will ever be. A journal that was ended before is only read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such run, [`StoreError::NoJournals`] of a folder,
    /// [`StoreError::Corrupt`], [`StoreError::NewerFormat`]. It can be called again.
    pub fn seal_journal(&self, run: &RunName, name: &JournalName) -> Result<Vec<Entry<R>>, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.seal_journal(run, name),
            Backend::Folder(_) => Err(StoreError::NoJournals { run: run.clone() }),
            Backend::Object(runs) => runs.seal_journal(run, name),
        }
    }

    /// The names of a run's journals, sorted. A folder has none.
    ///
    /// # Errors
    /// [`StoreError::Away`] and [`StoreError::Object`] when they cannot be listed.
    pub fn journals(&self, run: &RunName) -> Result<Vec<JournalName>, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.journals(run),
            Backend::Folder(_) => Ok(Vec::new()),
            Backend::Object(runs) => runs.journals(run),
        }
    }

    /// Tries whether the store lets exactly one of several create an object, which all that is promised of a shared
    /// store rests on. Whoever starts a cluster calls it first. Memory and folders keep writers apart by themselves.
    ///
    /// # Errors
    /// [`StoreError::NotExclusive`] when it does not; [`StoreError::Away`] and [`StoreError::Object`] when it cannot
    /// be tried.
    pub fn probe(&self) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Memory(_) | Backend::Folder(_) => Ok(()),
            Backend::Object(runs) => runs.probe(),
        }
    }

    /// Since when an object store is away, so that appends wait for it; none while it answers, and of other stores.
    #[must_use]
    pub fn away_since(&self) -> Option<Instant> {
        match &self.0 {
            Backend::Memory(_) | Backend::Folder(_) => None,
            Backend::Object(runs) => runs.away_since(),
        }
    }
}
