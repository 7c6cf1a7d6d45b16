//! What the folder backend asks of the operating system. Nothing else in the crate writes to a disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use crate::StoreError;

/// Names what was being done to `path` when the operating system refused.
pub(crate) fn error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { doing, path: path.to_owned(), source }
}

/// Makes the folder `path` and those above it, durably.
pub(crate) fn create_folder(path: &Path) -> Result<(), StoreError> {
    match fs::create_dir(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
        Err(found) if found.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = path.parent() else { return Err(error("make folder", path)(missing)) };
            create_folder(parent)?;
            // Once only: some file systems say that nothing is there whatever is made above it.
            match fs::create_dir(path) {
                Err(refused) if refused.kind() != io::ErrorKind::AlreadyExists => {
                    Err(error("make folder", path)(refused))
                }
                Ok(()) | Err(_) => sync_folder(parent),
            }
        }
        Err(refused) => Err(error("make folder", path)(refused)),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|folder| folder.sync_all()).map_err(error("sync folder", path))
}

/// Writes a file that is there whole or not at all, durably.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    write_whole_at(path, bytes, None)
}

/// As [`write_whole`], a file that was last written to at `modified`.
pub(crate) fn write_whole_of(path: &Path, bytes: &[u8], modified: SystemTime) -> Result<(), StoreError> {
    write_whole_at(path, bytes, Some(modified))
}

fn write_whole_at(path: &Path, bytes: &[u8], modified: Option<SystemTime>) -> Result<(), StoreError> {
    let temporary = temporary(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        modified.map_or(Ok(()), |modified| file.set_modified(modified))?;
        file.sync_all()
    });
    written.map_err(error("write", &temporary))?;
    fs::rename(&temporary, path).map_err(error("name", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Writes a file that is there whole or not at all, until the power fails.
pub(crate) fn write_loosely(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = temporary(path);
    fs::write(&temporary, bytes).map_err(error("write", &temporary))?;
    fs::rename(&temporary, path).map_err(error("name", path))
}

/// A name that no other process and no other write has, beside `path`.
fn temporary(path: &Path) -> PathBuf {
    static TEMPORARIES: AtomicU64 = AtomicU64::new(0);
    let number = TEMPORARIES.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{number}.tmp", process::id()))
}

/// A file that is written at its end, with zeros allocated ahead.
///
/// Allocating ahead keeps the length of the file out of most syncs, which saves the journal of the file system
/// a third of the work.
#[derive(Debug)]
pub(crate) struct TailFile {
    path: PathBuf,
    file: File,
    end: u64,
    allocated: u64,
}

impl TailFile {
    const AHEAD: u64 = 128 * 1024;

    /// Opens the file at `path`, of which the first `end` bytes are kept and made durable. `clean` says that
    /// there are only zeros behind them.
    pub(crate) fn open(path: PathBuf, end: u64, clean: bool) -> Result<Self, StoreError> {
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(error("open", &path))?;
        let length = file.metadata().map_err(error("look at", &path))?.len();
        let allocated = if clean { length.max(end) } else { end };
        if allocated != length {
            file.set_len(allocated).map_err(error("cut", &path))?;
        }
        file.sync_all().map_err(error("sync", &path))?;
        Ok(Self { path, file, end, allocated })
    }

    /// Where the next write begins at the earliest.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Writes `bytes` at `start`, which is not before the end. They are not durable yet.
    pub(crate) fn write(&mut self, start: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let end = start + bytes.len() as u64;
        if end > self.allocated {
            let ahead = end + Self::AHEAD;
            allocate(&self.file, self.allocated, ahead - self.allocated)
                .map_err(error("extend", &self.path))?;
            self.allocated = ahead;
        }
        self.file.write_all_at(bytes, start).map_err(error("write", &self.path))?;
        self.end = end;
        Ok(())
    }

    /// Makes everything durable that was written.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(error("sync", &self.path))
    }

    /// Gives back what is allocated behind the end.
    pub(crate) fn trim(&mut self) -> Result<(), StoreError> {
        self.file.set_len(self.end).map_err(error("cut", &self.path))?;
        self.allocated = self.end;
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, from: u64, length: u64) -> io::Result<()> {
    use rustix::{fs::FallocateFlags, io::Errno};
    match rustix::fs::fallocate(file, FallocateFlags::empty(), from, length) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(from + length),
        other => other.map_err(io::Error::from),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, from: u64, length: u64) -> io::Result<()> {
    file.set_len(from + length)
}
