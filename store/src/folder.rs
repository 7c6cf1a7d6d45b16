//! The folder backend: a folder per run, with its lock, its segments and its blobs.
//!
//! ```text
//! runs/NAME/lock                    who writes the log
//! runs/NAME/0000000000000000.log    segments, named by the number of their first record
//! runs/NAME/rewritten.log           the whole log, while what it replaces is removed
//! runs/NAME/blobs/ab/cdef…          blobs, named by their digest
//! runs/NAME/note                    what may be lost
//! runs/NAME/control                 where the one who writes the log is reached, of the runtime
//! notes/NAME                        what may be lost, of all runs
//! ```

mod commit;
pub(crate) mod disk;
pub(crate) mod follow;
mod history;
mod lock;
pub(crate) mod log;
pub(crate) mod notes;
mod rewrite;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    time::SystemTime,
};

use commit::{Committer, Opening, Tail, begin_segment};
use disk::TailFile;
use follow::FolderFollower;
use lock::Lock;
use log::FolderLog;
use notes::Notes;

use crate::{
    Contents, Cursor, Record, RunEntry, RunName, Stamp, StoreError, batch::Appender, frame::Chain, segment,
};

const NOTE: &str = "note";

/// The runs of a folder store.
#[derive(Debug)]
pub(crate) struct FolderRuns {
    root: PathBuf,
    committer: Committer,
    notes: Notes,
}

impl FolderRuns {
    pub(crate) fn new(path: &Path) -> Result<Self, StoreError> {
        let root = path.join("runs");
        disk::create_folder(&root)?;
        let committer = Committer::start().map_err(disk::error("start the commit thread of", path))?;
        Ok(Self { root, committer, notes: Notes::of(path) })
    }

    pub(crate) fn create<R: Record>(&self, run: &RunName, owner: &str) -> Result<FolderLog, StoreError> {
        let folder = self.folder(run);
        self.refuse_existing(run)?;
        disk::create_folder(&folder)?;
        let lock = Lock::take(&folder, run, owner)?;
        self.refuse_existing(run)?;
        let head = segment::Head { record_format: R::FORMAT, first: 0, chain: Chain::GENESIS };
        let file = begin_segment(&folder, &head)?;
        let (next, chain, record_format) = (0, Chain::GENESIS, R::FORMAT);
        self.attach(Opening { run: run.clone(), folder, file, next, chain, record_format, lock }, false)
    }

    pub(crate) fn open<R: Record>(
        &self,
        run: &RunName,
        owner: &str,
    ) -> Result<(FolderLog, Contents<R>), StoreError> {
        let folder = self.folder(run);
        let lock = Lock::take(&folder, run, owner)?;
        rewrite::clear_up::<R>(&folder, run)?;
        let (history, last) = history::read::<R>(&folder, run, 0)?;
        let is_old = history.is_old();
        let segment::History { records, next, chain, sealed, torn, end, .. } = history;
        if let Some(tail) = &torn {
            tracing::warn!(%run, file = %tail.file.display(), offset = tail.offset, bytes = tail.bytes,
                "cutting off a batch that was never acknowledged");
        }
        let mut file = TailFile::open(last, end, torn.is_none())?;
        if is_old {
            file.trim()?;
            file = begin_segment(&folder, &segment::Head { record_format: R::FORMAT, first: next, chain })?;
        }
        let record_format = R::FORMAT;
        let opening = Opening { run: run.clone(), folder, file, next, chain, record_format, lock };
        Ok((self.attach(opening, sealed)?, Contents { records, sealed, torn, told: Cursor::of_log(next) }))
    }

    pub(crate) fn read_only<R: Record>(&self, run: &RunName) -> Result<Contents<R>, StoreError> {
        let history = history::read_beside_writer(&self.folder(run), run, 0)?;
        let told = Cursor::of_log(history.next);
        Ok(Contents { records: history.records, sealed: history.sealed, torn: history.torn, told })
    }

    pub(crate) fn follow<R: Record>(
        &self,
        run: &RunName,
        from: u64,
    ) -> Result<FolderFollower<R>, StoreError> {
        FolderFollower::new(self.folder(run), run.clone(), from)
    }

    pub(crate) fn is_open(&self, run: &RunName) -> Result<bool, StoreError> {
        Lock::is_held(&self.folder(run))
    }

    pub(crate) fn blobs(&self, run: &RunName) -> Result<PathBuf, StoreError> {
        let folder = self.folder(run);
        history::segments(&folder, run)?;
        Ok(blobs_of(&folder))
    }

    pub(crate) fn remove(&self, run: &RunName) -> Result<(), StoreError> {
        let folder = self.folder(run);
        history::segments(&folder, run)?;
        let lock = Lock::take(&folder, run, "removing it")?;
        // Under another name the run is gone at once, and what a crash leaves is swept by the next removal.
        let removed = self.root.join(format!(".removed-{run}-{}", process::id()));
        fs::rename(&folder, &removed).map_err(disk::error("rename", &folder))?;
        disk::sync_folder(&self.root)?;
        lock.release();
        self.sweep()
    }

    pub(crate) fn runs(&self) -> Result<Vec<RunEntry>, StoreError> {
        let mut runs = Vec::new();
        for run in self.names()? {
            match self.entry(&run) {
                Ok(found) => runs.push(found),
                // It is being made or removed by another process.
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(runs)
    }

    pub(crate) fn names(&self) -> Result<Vec<RunName>, StoreError> {
        let mut names: Vec<RunName> =
            self.folders()?.iter().filter_map(|name| name.parse::<RunName>().ok()).collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn entry(&self, run: &RunName) -> Result<RunEntry, StoreError> {
        let folder = self.folder(run);
        match entry(&folder, run.clone()) {
            // A segment is gone whose run is there: the log is just rewritten.
            Err(StoreError::NotFound { .. }) if folder.exists() => entry(&folder, run.clone()),
            other => other,
        }
    }

    pub(crate) fn stamp(&self, run: &RunName) -> Result<Option<Stamp>, StoreError> {
        let folder = self.folder(run);
        let first = segment_path(&folder, 0);
        let of = |path: &Path| match fs::metadata(path).and_then(|found| Ok((found.len(), found.modified()?)))
        {
            Ok((bytes, modified)) => {
                Ok(Some((bytes, modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk::error("look at", path)(error)),
        };
        let Some((_, files)) = of(&folder)? else { return Ok(None) };
        Ok(of(&first)?.map(|(bytes, modified)| Stamp { files, bytes, modified }))
    }

    pub(crate) fn note(&self, run: &RunName) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.folder(run).join(NOTE);
        match fs::read(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk::error("read", &path)(error)),
        }
    }

    pub(crate) fn keep_note(&self, run: &RunName, note: &[u8]) -> Result<(), StoreError> {
        disk::write_loosely(&self.folder(run).join(NOTE), note)
    }

    pub(crate) fn shared_note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.notes.read(name)
    }

    pub(crate) fn keep_shared_note(&self, name: &str, note: &[u8]) -> Result<(), StoreError> {
        self.notes.keep(name, note)
    }

    pub(crate) fn commits(&self) -> u64 {
        self.committer.commits()
    }

    pub(crate) fn folder(&self, run: &RunName) -> PathBuf {
        self.root.join(run.as_str())
    }

    fn refuse_existing(&self, run: &RunName) -> Result<(), StoreError> {
        match history::segments(&self.folder(run), run) {
            Ok(_) => Err(StoreError::Exists { run: run.clone() }),
            Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn attach(&self, opening: Opening, sealed: bool) -> Result<FolderLog, StoreError> {
        let (run, folder, next) = (opening.run.clone(), opening.folder.clone(), opening.next);
        let (log, jobs) = self.committer.attach(Tail::new(opening))?;
        let appender = Appender::new(run.clone(), next, sealed);
        Ok(FolderLog { run, folder, log, jobs, appender })
    }

    fn folders(&self) -> Result<Vec<String>, StoreError> {
        let listed = || disk::error("list", &self.root);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(listed())? {
            names.extend(entry.map_err(listed())?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn sweep(&self) -> Result<(), StoreError> {
        for name in self.folders()?.iter().filter(|name| name.starts_with(".removed-")) {
            let path = self.root.join(name);
            match fs::remove_dir_all(&path) {
                // Another process sweeps, too.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(disk::error("remove", &path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Where the blobs of the run in `folder` are.
fn blobs_of(folder: &Path) -> PathBuf {
    folder.join("blobs")
}

/// The file of the segment of `folder` whose first record is `first`.
fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:016x}.log"))
}

fn entry(folder: &Path, run: RunName) -> Result<RunEntry, StoreError> {
    let mut found =
        RunEntry { name: run, bytes: 0, created: SystemTime::UNIX_EPOCH, modified: SystemTime::UNIX_EPOCH };
    for segment in history::segments(folder, &found.name)? {
        let metadata = match fs::metadata(&segment.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NotFound { run: found.name });
            }
            Err(error) => return Err(disk::error("look at", &segment.path)(error)),
        };
        let modified = metadata.modified().map_err(disk::error("look at", &segment.path))?;
        found.bytes += metadata.len();
        found.modified = found.modified.max(modified);
        if segment.first == 0 {
            // Not every file system keeps the time of creation.
            found.created = metadata.created().unwrap_or(modified);
        }
    }
    found.bytes += bytes_of_blobs(&blobs_of(folder))?;
    Ok(found)
}

fn bytes_of_blobs(root: &Path) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for shelf in listed(root)? {
        for blob in listed(&shelf.path())? {
            match blob.metadata() {
                Ok(metadata) => bytes += metadata.len(),
                // It is removed, or moved to its name, by another process.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(disk::error("look at", &blob.path())(error)),
            }
        }
    }
    Ok(bytes)
}

/// What is in a folder; nothing if it is not there.
fn listed(folder: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(disk::error("list", folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(disk::error("list", folder)(error)),
    }
}
