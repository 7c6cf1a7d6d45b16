//! A store: the catalogue of runs over one of the backends.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    Blobs, Contents, Follower, Log, Position, Record, RunName, StoreError, folder::FolderRuns,
    memory::MemoryRuns,
};

/// A place that keeps runs: a log and blobs for each. Clones name the same place.
#[derive(Debug)]
pub struct Store<R>(Backend<R>);

#[derive(Debug)]
enum Backend<R> {
    Memory(Arc<MemoryRuns<R>>),
    Folder(Arc<FolderRuns>),
}

impl<R> Clone for Store<R> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Backend::Memory(runs) => Backend::Memory(Arc::clone(runs)),
            Backend::Folder(runs) => Backend::Folder(Arc::clone(runs)),
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
    /// The bytes that its log and its blobs take on disk, with what is allocated ahead while it is open; 0 in
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

    /// Begins the log of a new run. `owner` says to others who holds it.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is a run of this name, [`StoreError::Locked`] when another is just
    /// making it, [`StoreError::Io`] when the disk refuses.
    pub fn create(&self, run: &RunName, owner: &str) -> Result<Box<dyn Log<R>>, StoreError> {
        Ok(match &self.0 {
            Backend::Memory(runs) => Box::new(runs.create(run)?),
            Backend::Folder(runs) => Box::new(runs.create::<R>(run, owner)?),
        })
    }

    /// Opens the log of a run that is there, and tells what it holds. `owner` says to others who holds it.
    ///
    /// A torn tail is cut off and reported in [`Contents::torn`]. Everything that is returned is durable.
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
        }
    }

    /// Reads the log of a run from record `from` on, and goes on reading as its writers add to it, without
    /// taking it from them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such run, [`StoreError::Io`] when it cannot be looked at.
    pub fn follow(&self, run: &RunName, from: Position) -> Result<Follower<R>, StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.follow(run, from.0).map(Follower::memory),
            Backend::Folder(runs) => runs.follow(run, from.0).map(Follower::folder),
        }
    }

    /// Whether a process has the log of a run open at this instant. A store in memory does not know, and says
    /// no; so it says of a run that is not there.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be looked at.
    pub fn is_open(&self, run: &RunName) -> Result<bool, StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(false),
            Backend::Folder(runs) => runs.is_open(run),
        }
    }

    /// The folder that has all of a run, whether it is there or not; none in memory.
    #[must_use]
    pub fn folder_of(&self, run: &RunName) -> Option<PathBuf> {
        match &self.0 {
            Backend::Memory(_) => None,
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
        }
    }

    /// Removes a run with its blobs.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Locked`] when a folder's run is open, [`StoreError::Io`].
    pub fn remove(&self, run: &RunName) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Memory(runs) => runs.remove(run),
            Backend::Folder(runs) => runs.remove(run),
        }
    }

    /// How many times the logs of this store were synced to disk by appends: at most once per append, and less
    /// where appends waited together; 0 in memory.
    #[must_use]
    pub fn commits(&self) -> u64 {
        match &self.0 {
            Backend::Memory(_) => 0,
            Backend::Folder(runs) => runs.commits(),
        }
    }
}
