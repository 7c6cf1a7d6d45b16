//! A store: the catalogue of runs over one of the backends.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    Blobs, Contents, Cursor, Follower, Log, ObjectPlace, Position, Record, RunName, Stamp, StoreError,
    folder::FolderRuns, memory::MemoryRuns, merge::Merge, object::ObjectRuns,
};

mod journals;

/// A place that keeps runs: a log and blobs for each. Clones name the same place.
#[derive(Debug)]
pub struct Store<R>(Backend<R>);

#[derive(Debug)]
enum Backend<R> {
    Memory(Arc<MemoryRuns<R>>),
    Folder(Arc<FolderRuns>),
    Object(ObjectRuns),
}

impl<R> Clone for Store<R> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Backend::Memory(runs) => Backend::Memory(Arc::clone(runs)),
            Backend::Folder(runs) => Backend::Folder(Arc::clone(runs)),
            Backend::Object(runs) => Backend::Object(runs.clone()),
        })
    }
}

/// A log that was there already, and what it held.
pub type Opened<R> = (Box<dyn Log<R>>, Contents<R>);

/// A run in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// Its name.
    pub name: RunName,
    /// The bytes that its log, journals and blobs take, with what is allocated ahead while it is open; 0 in
    /// memory.
    pub bytes: u64,
    /// When its log was begun.
    pub created: SystemTime,
    /// When something was last appended.
    pub modified: SystemTime,
}

impl<R: Record> Store<R> {
    /// A store that is gone with its last clone.
    ///
    /// Opening a run that is open fences the writer before.
    #[must_use]
    pub fn memory() -> Self {
        Self(Backend::Memory(Arc::new(MemoryRuns::new(true))))
    }

    /// A store in memory that lets go what it is given, so that it does not grow with its runs. A run in it
    /// cannot be read, nor opened again: [`StoreError::NotKept`].
    #[must_use]
    pub fn transient() -> Self {
        Self(Backend::Memory(Arc::new(MemoryRuns::new(false))))
    }

    /// A store in the folder `path`, which is made if it is not there.
    ///
    /// Several processes may share the folder; a run that one of them has open is locked to the others.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be made.
    pub fn folder(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        FolderRuns::new(path.as_ref()).map(|runs| Self(Backend::Folder(Arc::new(runs))))
    }

    /// A store of objects, which many processes and machines share.
    ///
    /// A run has one log, whose writer is whoever appends next, and journals ([`journal`](Self::journal)). While the
    /// store is away an append waits until it is back ([`away_since`](Self::away_since)), and whatever else is asked
    /// of it waits some seconds and ends with [`StoreError::Away`]. Every function blocks; none may be called on a
    /// thread that must not.
    ///
    /// # Errors
    /// [`StoreError::NotBuilt`] when this build has no client for the place, [`StoreError::Object`] when its settings
    /// are wrong, [`StoreError::Io`] when a folder cannot be made.
    pub fn object(place: &ObjectPlace) -> Result<Self, StoreError> {
        ObjectRuns::at(place).map(Self::of_objects)
    }

    pub(crate) fn of_objects(runs: ObjectRuns) -> Self {
        Self(Backend::Object(runs))
    }

    /// Begins the log of a new run. `owner` says to others who holds it, where it is held.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is a run of this name, [`StoreError::Locked`] when another is just
    /// making it, [`StoreError::Io`] when the disk refuses; [`StoreError::Away`] and [`StoreError::Object`] of an
    /// object store, here and below.
    pub fn create(&self, run: &RunName, owner: &str) -> Result<Box<dyn Log<R>>, StoreError> {
        Ok(match &self.0 {
            Backend::Memory(runs) => Box::new(runs.create(run)?),
            Backend::Folder(runs) => Box::new(runs.create::<R>(run, owner)?),
            Backend::Object(runs) => Box::new(runs.create::<R>(run)?),
        })
    }

    /// Opens the log of a run that is there, and tells what it holds. `owner` says to others who holds it.
    ///
    /// A torn tail is cut off and reported in [`Contents::torn`]. Everything that is returned is durable.
    ///
    /// In an object store this takes nothing from anybody: the next append does, and fences the writer before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Locked`], [`StoreError::Corrupt`], [`StoreError::NewerFormat`],
    /// and [`StoreError::Io`] when the disk refuses. The log is left as it is.
    pub fn open(&self, run: &RunName, owner: &str) -> Result<Opened<R>, StoreError> {
        Ok(match &self.0 {
            Backend::Memory(runs) => {
                let (log, contents) = runs.open(run)?;
                (Box::new(log), contents)
            }
            Backend::Folder(runs) => {
                let (log, contents) = runs.open(run, owner)?;
                (Box::new(log), contents)
            }
            Backend::Object(runs) => {
                let (log, contents) = runs.open(run)?;
                (Box::new(log), contents)
            }
        })
    }

    /// What the log of a run holds, without taking it from its writer.
    ///
    /// Only whole batches are told; the newest one may be on its way to the disk still.
    ///
    /// # Errors
    /// As [`open`](Self::open), [`StoreError::Locked`] apart.
    pub fn read_only(&self, run: &RunName) -> Result<Contents<R>, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.read_only(run),
            Backend::Folder(runs) => runs.read_only(run),
            Backend::Object(runs) => runs.read_only(run),
        }
    }

    /// Reads the log of a run from record `from` on, and goes on reading as its writers add to it, without
    /// taking it from them. The journals are read with it, from the entries on that stand directly before `from`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such run, [`StoreError::Io`] when it cannot be looked at.
    pub fn follow(&self, run: &RunName, from: Position) -> Result<Follower<R>, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.follow(run, Merge::since(from)).map(Follower::memory),
            Backend::Folder(runs) => runs.follow(run, from.0).map(Follower::folder),
            Backend::Object(runs) => runs.follow(run, Merge::since(from)).map(Follower::object),
        }
    }

    /// Goes on reading a run where another reader stopped ([`Follower::cursor`], [`Contents::told`]).
    ///
    /// # Errors
    /// As [`follow`](Self::follow).
    pub fn follow_after(&self, run: &RunName, told: Cursor) -> Result<Follower<R>, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.follow(run, Merge::after(told)).map(Follower::memory),
            Backend::Folder(runs) => runs.follow(run, told.log).map(Follower::folder),
            Backend::Object(runs) => runs.follow(run, Merge::after(told)).map(Follower::object),
        }
    }

    /// Whether a process has the log of a run open at this instant. A store in memory or of objects does not
    /// know, and says no; so it says of a run that is not there.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be looked at.
    pub fn is_open(&self, run: &RunName) -> Result<bool, StoreError> {
        match &self.0 {
            Backend::Memory(_) | Backend::Object(_) => Ok(false),
            Backend::Folder(runs) => runs.is_open(run),
        }
    }

    /// The folder that has all of a run, whether it is there or not; none but in a store that is a folder.
    #[must_use]
    pub fn folder_of(&self, run: &RunName) -> Option<PathBuf> {
        match &self.0 {
            Backend::Memory(_) | Backend::Object(_) => None,
            Backend::Folder(runs) => Some(runs.folder(run)),
        }
    }

    /// The blobs of a run.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such run.
    pub fn blobs(&self, run: &RunName) -> Result<Blobs, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.blobs(run).map(Blobs::memory),
            Backend::Folder(runs) => runs.blobs(run).map(Blobs::folder),
            Backend::Object(runs) => runs.blobs(run).map(Blobs::object),
        }
    }

    /// The runs, by name. No log is read.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a folder cannot be listed.
    pub fn runs(&self) -> Result<Vec<RunEntry>, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => Ok(runs.runs()),
            Backend::Folder(runs) => runs.runs(),
            Backend::Object(runs) => runs.runs(),
        }
    }

    /// The names of the runs, sorted. No run is looked at.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<RunName>, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => Ok(runs.runs().into_iter().map(|entry| entry.name).collect()),
            Backend::Folder(runs) => runs.names(),
            Backend::Object(runs) => runs.names(),
        }
    }

    /// One run of the catalogue. Its log is not read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such run, [`StoreError::Io`] when it cannot be looked at.
    pub fn entry(&self, run: &RunName) -> Result<RunEntry, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.entry(run),
            Backend::Folder(runs) => runs.entry(run),
            Backend::Object(runs) => runs.entry(run),
        }
    }

    /// The stamp of a run; none where it has no such thing: only runs in a folder have.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be looked at.
    pub fn stamp(&self, run: &RunName) -> Result<Option<Stamp>, StoreError> {
        match &self.0 {
            Backend::Memory(_) | Backend::Object(_) => Ok(None),
            Backend::Folder(runs) => runs.stamp(run),
        }
    }

    /// What somebody noted beside the log of a run, to find it sooner the next time. It is a copy of what the
    /// log says, may be older than the log, and may be lost at any time. A store in memory keeps none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be read.
    pub fn note(&self, run: &RunName) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(None),
            Backend::Folder(runs) => runs.note(run),
            Backend::Object(runs) => runs.note(run),
        }
    }

    /// Notes something beside the log of a run, in place of what was noted before; whole or not at all, and not
    /// durably.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be written, which is so when the run is gone.
    pub fn keep_note(&self, run: &RunName, note: &[u8]) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(()),
            Backend::Folder(runs) => runs.keep_note(run, note),
            Backend::Object(runs) => runs.keep_note(run, note),
        }
    }

    /// What somebody noted under a name beside all runs. It may be lost at any time. A store in memory keeps
    /// none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be read.
    pub fn shared_note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(None),
            Backend::Folder(runs) => runs.shared_note(name),
            Backend::Object(runs) => runs.shared_note(name),
        }
    }

    /// Notes something under a name beside all runs, in place of what was noted before; whole or not at all, and
    /// not durably. Of two that do so at the same time the last one stays.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be written.
    pub fn keep_shared_note(&self, name: &str, note: &[u8]) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(()),
            Backend::Folder(runs) => runs.keep_shared_note(name, note),
            Backend::Object(runs) => runs.keep_shared_note(name, note),
        }
    }

    /// Puts what `change` makes of the records of a log in their place, or leaves them if it makes nothing;
    /// whether they were replaced. A crash leaves all of the old records or all of the new ones. Of the run's
    /// blobs those stay that the new records name, and its log is as old as it was.
    ///
    /// # Errors
    /// As [`open`](Self::open), and what `change` fails with; then the log is as it was. A store that keeps
    /// nothing is [`StoreError::NotKept`].
    pub fn rewrite<E: From<StoreError>>(
        &self,
        run: &RunName,
        owner: &str,
        change: impl FnOnce(Vec<R>) -> Result<Option<Vec<R>>, E>,
    ) -> Result<bool, E> {
        match &self.0 {
            Backend::Memory(runs) => runs.rewrite(run, change),
            Backend::Folder(runs) => runs.rewrite(run, owner, change),
            Backend::Object(_) => Err(StoreError::NoRewrite { run: run.clone() }.into()),
        }
    }

    /// Removes a run with its blobs and journals. In an object store its writers are fenced; its name should not be
    /// used again while one that has not heard of it may be left.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Locked`] when a folder's run is open, [`StoreError::Io`].
    pub fn remove(&self, run: &RunName) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.remove(run),
            Backend::Folder(runs) => runs.remove(run),
            Backend::Object(runs) => runs.remove(run),
        }
    }

    /// How many times appends to this store were made durable, by a sync or an object: at most once per append, and
    /// less where appends waited together; 0 in memory.
    #[must_use]
    pub fn commits(&self) -> u64 {
        match &self.0 {
            Backend::Memory(_) => 0,
            Backend::Folder(runs) => runs.commits(),
            Backend::Object(runs) => runs.commits(),
        }
    }
}
