//! The memory backend: typed records, no encoding, and fencing where a folder has a lock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use crate::{
    Append, AppendError, Contents, Cursor, Entry, JournalName, Log, Position, Record, RunEntry, RunName,
    StoreError, Told, blobs::MemoryBlobs, merge::Merge,
};
use journal::{MemoryJournal, MemoryJournalLog};

mod journal;

/// The runs of a memory store.
#[derive(Debug)]
pub(crate) struct MemoryRuns<R> {
    runs: Mutex<BTreeMap<RunName, MemoryRun<R>>>,
    /// Whether what is appended is kept.
    keeps: bool,
}

/// One run in memory.
#[derive(Debug)]
struct MemoryRun<R> {
    history: Arc<Mutex<MemoryHistory<R>>>,
    blobs: MemoryBlobs,
}

impl<R> MemoryRun<R> {
    fn entry(&self, name: &RunName) -> RunEntry {
        let history = lock(&self.history);
        RunEntry { name: name.clone(), bytes: 0, created: history.created, modified: history.modified }
    }
}

#[derive(Debug)]
struct MemoryHistory<R> {
    keeps: bool,
    /// Each batch as it was appended, with the position of its first record: records are never moved again.
    batches: Vec<(u64, Vec<R>)>,
    next: u64,
    sealed: bool,
    /// Counts the writers: an older one than this is fenced.
    writer: u64,
    journals: BTreeMap<JournalName, MemoryJournal<R>>,
    created: SystemTime,
    modified: SystemTime,
}

impl<R: Record> MemoryHistory<R> {
    fn new(keeps: bool) -> Self {
        let now = SystemTime::now();
        Self {
            keeps,
            batches: Vec::new(),
            next: 0,
            sealed: false,
            writer: 0,
            journals: BTreeMap::new(),
            created: now,
            modified: now,
        }
    }

    fn append(&mut self, records: Vec<R>) {
        let start = self.next;
        self.next += records.len() as u64;
        if self.keeps {
            self.batches.push((start, records));
            self.modified = SystemTime::now();
        }
    }

    fn read(&self, run: &RunName, from: u64) -> Result<Vec<R>, StoreError> {
        if !self.keeps {
            return Err(StoreError::NotKept { run: run.clone() });
        }
        let first = self.batches.partition_point(|(start, batch)| start + batch.len() as u64 <= from);
        let mut records = Vec::new();
        for (start, batch) in &self.batches[first..] {
            let skip = usize::try_from(from.saturating_sub(*start)).expect("a position within a batch fits");
            records.extend_from_slice(&batch[skip.min(batch.len())..]);
        }
        Ok(records)
    }

    fn contents(&self, run: &RunName) -> Result<Contents<R>, StoreError> {
        let mut merge = Merge::after(Cursor::default());
        self.read_on(run, &mut merge)?;
        let records = merge.tell().records;
        Ok(Contents { records, sealed: self.sealed, torn: None, told: merge.told().clone() })
    }

    /// Gives `merge` what it has not read.
    fn read_on(&self, run: &RunName, merge: &mut Merge<R>) -> Result<(), StoreError> {
        merge.add_records(self.read(run, merge.next_of_log())?);
        for (name, journal) in &self.journals {
            merge.add_entries(name, journal.from(merge.next_of(name)));
        }
        Ok(())
    }
}

impl<R: Record> MemoryRuns<R> {
    pub(crate) fn new(keeps: bool) -> Self {
        Self { runs: Mutex::new(BTreeMap::new()), keeps }
    }

    pub(crate) fn create(&self, run: &RunName) -> Result<MemoryLog<R>, StoreError> {
        let mut runs = lock(&self.runs);
        if runs.contains_key(run) {
            return Err(StoreError::Exists { run: run.clone() });
        }
        let history = Arc::new(Mutex::new(MemoryHistory::new(self.keeps)));
        runs.insert(run.clone(), MemoryRun { history: Arc::clone(&history), blobs: MemoryBlobs::default() });
        Ok(MemoryLog { run: run.clone(), history, writer: 0 })
    }

    pub(crate) fn open(&self, run: &RunName) -> Result<(MemoryLog<R>, Contents<R>), StoreError> {
        self.with(run, |found| {
            let mut history = lock(&found.history);
            let contents = history.contents(run)?;
            history.writer += 1;
            let log =
                MemoryLog { run: run.clone(), history: Arc::clone(&found.history), writer: history.writer };
            Ok((log, contents))
        })?
    }

    pub(crate) fn read_only(&self, run: &RunName) -> Result<Contents<R>, StoreError> {
        self.with(run, |found| lock(&found.history).contents(run))?
    }

    /// A reader that goes on as `merge` does.
    pub(crate) fn follow(&self, run: &RunName, merge: Merge<R>) -> Result<MemoryFollower<R>, StoreError> {
        let history = self.with(run, |found| Arc::clone(&found.history))?;
        Ok(MemoryFollower { run: run.clone(), history, merge })
    }

    pub(crate) fn blobs(&self, run: &RunName) -> Result<MemoryBlobs, StoreError> {
        self.with(run, |found| Arc::clone(&found.blobs))
    }

    /// As [`Store::rewrite`](crate::Store::rewrite): fences the writer before, and keeps every blob.
    pub(crate) fn rewrite<E: From<StoreError>>(
        &self,
        run: &RunName,
        change: impl FnOnce(Vec<R>) -> Result<Option<Vec<R>>, E>,
    ) -> Result<bool, E> {
        let (log, contents) = self.open(run)?;
        let Some(records) = change(contents.records)? else { return Ok(false) };
        let mut history = lock(&log.history);
        history.next = records.len() as u64;
        history.batches = vec![(0, records)];
        Ok(true)
    }

    /// Removes the run and fences its writer.
    pub(crate) fn remove(&self, run: &RunName) -> Result<(), StoreError> {
        let removed =
            lock(&self.runs).remove(run).ok_or_else(|| StoreError::NotFound { run: run.clone() })?;
        lock(&removed.history).writer += 1;
        Ok(())
    }

    pub(crate) fn journal(
        &self,
        run: &RunName,
        name: &JournalName,
    ) -> Result<MemoryJournalLog<R>, StoreError> {
        let history = self.with(run, |found| Arc::clone(&found.history))?;
        if lock(&history).keeps {
            Ok(MemoryJournalLog::new(run.clone(), name.clone(), history))
        } else {
            Err(StoreError::NotKept { run: run.clone() })
        }
    }

    pub(crate) fn seal_journal(
        &self,
        run: &RunName,
        name: &JournalName,
    ) -> Result<Vec<Entry<R>>, StoreError> {
        self.with(run, |found| {
            lock(&found.history).journals.entry(name.clone()).or_insert_with(MemoryJournal::new).seal()
        })
    }

    pub(crate) fn journals(&self, run: &RunName) -> Result<Vec<JournalName>, StoreError> {
        self.with(run, |found| lock(&found.history).journals.keys().cloned().collect())
    }

    pub(crate) fn runs(&self) -> Vec<RunEntry> {
        lock(&self.runs).iter().map(|(name, run)| run.entry(name)).collect()
    }

    pub(crate) fn entry(&self, run: &RunName) -> Result<RunEntry, StoreError> {
        self.with(run, |found| found.entry(run))
    }

    fn with<T>(&self, run: &RunName, look: impl FnOnce(&MemoryRun<R>) -> T) -> Result<T, StoreError> {
        lock(&self.runs).get(run).map(look).ok_or_else(|| StoreError::NotFound { run: run.clone() })
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the lock guards is only changed by steps that cannot panic half-way.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log of a run in memory.
#[derive(Debug)]
pub(crate) struct MemoryLog<R> {
    run: RunName,
    history: Arc<Mutex<MemoryHistory<R>>>,
    writer: u64,
}

impl<R: Record> MemoryLog<R> {
    fn change(&self, change: impl FnOnce(&mut MemoryHistory<R>)) -> Append {
        let mut history = lock(&self.history);
        Append::ready(if history.writer != self.writer {
            Err(AppendError::Fenced { run: self.run.clone() })
        } else if history.sealed {
            Err(AppendError::Sealed { run: self.run.clone() })
        } else {
            let position = Position(history.next);
            change(&mut history);
            Ok(position)
        })
    }
}

impl<R: Record> Log<R> for MemoryLog<R> {
    fn append(&mut self, records: Vec<R>) -> Append {
        self.change(|history| history.append(records))
    }

    fn seal(&mut self) -> Append {
        self.change(|history| {
            history.sealed = true;
            history.modified = SystemTime::now();
        })
    }

    fn next(&self) -> Position {
        Position(lock(&self.history).next)
    }

    fn read(&self, from: Position) -> Result<Vec<R>, StoreError> {
        lock(&self.history).read(&self.run, from.0)
    }
}

/// A reader that stands somewhere in the log of a run in memory and in its journals.
#[derive(Debug)]
pub(crate) struct MemoryFollower<R> {
    run: RunName,
    history: Arc<Mutex<MemoryHistory<R>>>,
    merge: Merge<R>,
}

impl<R: Record> MemoryFollower<R> {
    pub(crate) fn read(&mut self) -> Result<Told<R>, StoreError> {
        lock(&self.history).read_on(&self.run, &mut self.merge)?;
        Ok(self.merge.tell())
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        self.merge.told()
    }
}
