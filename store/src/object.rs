//! The object backend: runs in a store of objects that creates an object only if there is none of its name.
//!
//! ```text
//! runs/NAME/log/00000000000000000000             the log: an object for each group of appends, numbered
//! runs/NAME/calls/JOURNAL/00000000000000000000   a journal: likewise
//! runs/NAME/blobs/ab/cdef…                       blobs, named by their digest
//! runs/NAME/note                                 what may be lost
//! notes/NAME                                     what may be lost, of all runs
//! probe/…                                        what a probe creates, and removes again
//! ```
//!
//! Nothing is locked. Whoever knows a log to its end may create the next object; of several who do, one succeeds,
//! and the others find an object that is not theirs: they are fenced. The module `envelope` says what an object is.

mod absence;
pub(crate) mod blobs;
mod bucket;
mod catalogue;
mod connect;
mod envelope;
pub(crate) mod follow;
mod log;
pub(crate) mod place;
mod probe;
mod reader;
#[cfg(test)]
mod tests;
mod thread;
mod writer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use object_store::path::Path;

use blobs::ObjectBlobs;
use bucket::{Bucket, Patience};
use envelope::{End, Writer};
use follow::ObjectFollower;
use log::{Line, ObjectJournal, ObjectLog};
use place::ObjectPlace;
use reader::{ObjectReader, demand_ends, object};
use thread::ObjectThread;
use writer::{Site, Tail};

use crate::{
    Blobs, Contents, Cursor, Entry, JournalName, Record, RunName, StoreError, folder::disk, frame::Draft,
    merge::Merge,
};

/// The runs of an object store. Clones are the same runs.
#[derive(Clone, Debug)]
pub(crate) struct ObjectRuns {
    thread: ObjectThread,
    bucket: Bucket,
    /// Counts the objects that appends made.
    commits: Arc<AtomicU64>,
}

impl ObjectRuns {
    pub(crate) fn at(place: &ObjectPlace) -> Result<Self, StoreError> {
        Self::of(connect::bucket(place)?)
    }

    fn of(bucket: Bucket) -> Result<Self, StoreError> {
        let named = disk::error("start the thread of", bucket.place().as_ref());
        let thread = ObjectThread::start().map_err(named)?;
        Ok(Self { thread, bucket, commits: Arc::default() })
    }

    pub(crate) fn create<R: Record>(&self, run: &RunName) -> Result<ObjectLog, StoreError> {
        let exists = || StoreError::Exists { run: run.clone() };
        let (bucket, folder) = (self.bucket.clone(), self.folder(run));
        let is_free = self.thread.wait(async move { Ok(bucket.list(&folder).await?.is_empty()) })?;
        if !is_free {
            return Err(exists());
        }
        let tail = self.tail(run, self.log_folder(run), End::BEGIN, R::FORMAT);
        let tail = self.thread.wait(tail.begin())?.ok_or_else(exists)?;
        self.attach(tail, false)
    }

    pub(crate) fn open<R: Record>(&self, run: &RunName) -> Result<(ObjectLog, Contents<R>), StoreError> {
        let (follower, contents) = self.read(run)?;
        let tail = self.tail(run, self.log_folder(run), follower.log.end(), R::FORMAT);
        Ok((self.attach(tail, contents.sealed)?, contents))
    }

    pub(crate) fn read_only<R: Record>(&self, run: &RunName) -> Result<Contents<R>, StoreError> {
        self.read(run).map(|(_, contents)| contents)
    }

    /// A reader that goes on as `merge` does.
    pub(crate) fn follow<R: Record>(
        &self,
        run: &RunName,
        merge: Merge<R>,
    ) -> Result<ObjectFollower<R>, StoreError> {
        self.demand(run)?;
        Ok(ObjectFollower::new(self.clone(), run.clone(), merge))
    }

    pub(crate) fn journal<R: Record>(
        &self,
        run: &RunName,
        name: &JournalName,
    ) -> Result<ObjectJournal, StoreError> {
        self.demand(run)?;
        let tail = self.tail(run, self.journal_folder(run, name), End::BEGIN, Entry::<R>::FORMAT);
        Ok(ObjectJournal { line: Line::open(&self.thread, tail, false)? })
    }

    pub(crate) fn seal_journal<R: Record>(
        &self,
        run: &RunName,
        name: &JournalName,
    ) -> Result<Vec<Entry<R>>, StoreError> {
        self.demand(run)?;
        let mut reader = self.journal_reader::<R>(run, name, 0);
        loop {
            reader.advance()?;
            if reader.is_sealed() {
                return Ok(reader.take_records());
            }
            demand_ends(&[&reader])?;
            // Where it meets an entry, it is the entry that is read next, and the seal goes behind it.
            self.seal_at::<R>(run, name, reader.end())?;
        }
    }

    fn seal_at<R: Record>(&self, run: &RunName, name: &JournalName, end: End) -> Result<(), StoreError> {
        let mut draft = Draft::new();
        draft.seal();
        let (bytes, _) = envelope::of_draft(Writer::draw(), Entry::<R>::FORMAT, end, &mut draft);
        let (bucket, path) = (self.bucket.clone(), object(&self.journal_folder(run, name), end.number));
        self.thread.wait(async move { Ok(bucket.claim(&path, &bytes, Patience::Short).await.map(drop)?) })
    }

    pub(crate) fn journals(&self, run: &RunName) -> Result<Vec<JournalName>, StoreError> {
        let (bucket, folder) = (self.bucket.clone(), self.folder(run).join("calls"));
        let folders = self.thread.wait(async move { bucket.folders(&folder).await })?;
        let mut names: Vec<JournalName> = folders.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn blobs(&self, run: &RunName) -> Result<ObjectBlobs, StoreError> {
        self.demand(run).map(|()| self.blobs_of(run))
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn away_since(&self) -> Option<Instant> {
        self.bucket.absence().since()
    }

    /// Whether there is a run of this name.
    fn exists(&self, run: &RunName) -> Result<bool, StoreError> {
        let (bucket, first) = (self.bucket.clone(), object(&self.log_folder(run), 0));
        self.thread.wait(async move { bucket.contains(&first).await })
    }

    fn demand(&self, run: &RunName) -> Result<(), StoreError> {
        if self.exists(run)? { Ok(()) } else { Err(StoreError::NotFound { run: run.clone() }) }
    }

    fn read<R: Record>(&self, run: &RunName) -> Result<(ObjectFollower<R>, Contents<R>), StoreError> {
        let mut follower = ObjectFollower::new(self.clone(), run.clone(), Merge::after(Cursor::default()));
        let records = follower.read()?.records;
        follower.demand_end()?;
        let (sealed, told) = (follower.log.is_sealed(), follower.cursor().clone());
        Ok((follower, Contents { records, sealed, torn: None, told }))
    }

    fn tail(&self, run: &RunName, folder: Path, end: End, record_format: u16) -> Tail {
        let (bucket, blobs) = (self.bucket.clone(), self.blobs_of(run).folder);
        let site = Site { run: run.clone(), bucket, folder, blobs, commits: Arc::clone(&self.commits) };
        Tail::new(site, end, record_format)
    }

    fn attach(&self, tail: Tail, sealed: bool) -> Result<ObjectLog, StoreError> {
        let run = tail.site.run.clone();
        Ok(ObjectLog { runs: self.clone(), run, line: Line::open(&self.thread, tail, sealed)? })
    }

    fn log_reader<R: Record>(&self, run: &RunName, from: u64) -> ObjectReader<R> {
        self.reader(run, self.log_folder(run), from)
    }

    fn journal_reader<R: Record>(
        &self,
        run: &RunName,
        name: &JournalName,
        from: u64,
    ) -> ObjectReader<Entry<R>> {
        self.reader(run, self.journal_folder(run, name), from)
    }

    fn reader<R: Record>(&self, run: &RunName, folder: Path, from: u64) -> ObjectReader<R> {
        let blobs = Blobs::object(self.blobs_of(run));
        ObjectReader::new(run.clone(), (self.thread.clone(), self.bucket.clone()), folder, blobs, from)
    }

    fn blobs_of(&self, run: &RunName) -> ObjectBlobs {
        let folder = self.folder(run).join("blobs");
        ObjectBlobs { thread: self.thread.clone(), bucket: self.bucket.clone(), folder }
    }

    fn folder(&self, run: &RunName) -> Path {
        self.bucket.path("runs").join(run.as_str())
    }

    fn log_folder(&self, run: &RunName) -> Path {
        self.folder(run).join("log")
    }

    fn journal_folder(&self, run: &RunName, name: &JournalName) -> Path {
        self.folder(run).join("calls").join(name.as_str())
    }
}
