//! The lock that makes one writer the only one.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use super::disk;
use crate::{RunName, StoreError};

/// A held lock. The operating system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Whoever only looks whether the lock is held has it for an instant: so often it is tried again.
    const TRIES: u32 = 4;
    const BETWEEN_TRIES: Duration = Duration::from_millis(3);

    /// Whether somebody holds the lock of the run in `folder`.
    pub(super) fn is_held(folder: &Path) -> Result<bool, StoreError> {
        let path = folder.join("lock");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(disk::error("open", &path)(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map_err(disk::error("unlock", &path)).map(|()| false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(disk::error("lock", &path)(error)),
        }
    }

    /// Takes the lock of the run in `folder` for `owner`.
    pub(super) fn take(folder: &Path, run: &RunName, owner: &str) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NotFound { run: run.clone() });
            }
            Err(error) => return Err(disk::error("open", &path)(error)),
        };
        for tries in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < Self::TRIES => thread::sleep(Self::BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Locked { run: run.clone(), holder: holder(&path) });
                }
                Err(TryLockError::Error(error)) => return Err(disk::error("lock", &path)(error)),
            }
        }
        let mut lock = Self { file, path };
        let line = format!("process {}, {owner}", process::id());
        lock.sign(&line).map_err(disk::error("write", &lock.path))?;
        Ok(lock)
    }

    fn sign(&mut self, line: &str) -> io::Result<()> {
        // In this order, because some file systems sync a file that was cut to nothing first.
        self.file.write_all(line.as_bytes())?;
        self.file.set_len(line.len() as u64)
    }

    /// Gives the lock back.
    pub(super) fn release(self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(path = %self.path.display(), %error, "the lock is held until the process ends");
        }
    }
}

/// Who holds the lock, for a message: what the holder wrote, if it has got that far.
fn holder(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(line) if !line.is_empty() => line,
        Ok(_) => "another process".to_owned(),
        Err(error) => format!("another process ({error})"),
    }
}
