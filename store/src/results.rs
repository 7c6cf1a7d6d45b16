//! Results that are kept for a while, beside the runs: copies that may be lost at any time.
//!
//! ```text
//! results/ab/cdef…    one result, named by the hash of what it is the result of
//! ```

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use crate::{Digest, StoreError, folder::disk};

/// What a file of a result begins with, in the only format so far.
const MAGIC: &[u8; 8] = b"SSRES001";
/// The bytes before the result itself: magic, two times and a hash.
const HEAD: usize = 8 + 8 + 8 + 32;
/// The most bytes that results may take in a folder; the oldest make place.
const MOST: u64 = 1 << 30;

/// Results by the hash of what they are results of. Clones name the same results. The folder backend blocks on the disk.
#[derive(Clone, Debug)]
pub struct Results(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Memory(Arc<Mutex<HashMap<Digest, KeptResult>>>),
    Folder(Arc<Folder>),
}

#[derive(Debug)]
struct Folder {
    root: PathBuf,
    most: u64,
    /// Bytes that this process may still write before it looks whether the folder is full.
    room: AtomicU64,
}

/// A result that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResult {
    /// When, in seconds since 1970.
    pub kept_at: u64,
    /// From when on nobody wants it, in seconds since 1970.
    pub until: u64,
    /// The result.
    pub bytes: Vec<u8>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many results.
    pub results: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Results {
    /// Results that are gone with their last clone.
    #[must_use]
    pub fn memory() -> Self {
        Self(Backend::Memory(Arc::default()))
    }

    /// Results in the folder of a store, which need not be there yet. Several processes may share it.
    #[must_use]
    pub fn folder(store: &Path) -> Self {
        Self::bounded(store, MOST)
    }

    fn bounded(store: &Path, most: u64) -> Self {
        Self(Backend::Folder(Arc::new(Folder { root: store.join("results"), most, room: AtomicU64::new(0) })))
    }

    /// The result of `key`; none if none is kept.
    ///
    /// # Errors
    /// [`StoreError::CorruptResult`] when it is damaged, [`StoreError::Io`] when the disk refuses.
    pub fn find(&self, key: Digest) -> Result<Option<KeptResult>, StoreError> {
        match &self.0 {
            Backend::Memory(results) => {
                Ok(results.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned())
            }
            Backend::Folder(folder) => {
                let file = folder.file_of(key);
                match fs::read(&file) {
                    Ok(bytes) => decode(&bytes, key).map(Some).ok_or(StoreError::CorruptResult { file }),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(disk::error("read", &file)(error)),
                }
            }
        }
    }

    /// Keeps the result of `key` in place of the one before; whole or not at all, and not durably.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refuses.
    pub fn keep(&self, key: Digest, result: KeptResult) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Memory(results) => {
                results.lock().unwrap_or_else(PoisonError::into_inner).insert(key, result);
                Ok(())
            }
            Backend::Folder(folder) => folder.keep(key, &result),
        }
    }

    /// Removes the results that nobody wants at `now`, in seconds since 1970, and damaged ones.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refuses.
    pub fn sweep(&self, now: u64) -> Result<Swept, StoreError> {
        match &self.0 {
            Backend::Memory(results) => {
                let mut swept = Swept::default();
                results.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, result| {
                    let is_wanted = result.until > now;
                    if !is_wanted {
                        swept.add(result.bytes.len() as u64);
                    }
                    is_wanted
                });
                Ok(swept)
            }
            Backend::Folder(folder) => folder.sweep(now),
        }
    }
}

impl Swept {
    fn add(&mut self, bytes: u64) {
        self.results += 1;
        self.bytes += bytes;
    }
}

/// A file of the folder.
struct Listed {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl Folder {
    fn file_of(&self, key: Digest) -> PathBuf {
        let name = key.to_string();
        let (shelf, rest) = name.split_at(2);
        self.root.join(shelf).join(rest)
    }

    fn keep(&self, key: Digest, result: &KeptResult) -> Result<(), StoreError> {
        let file = self.file_of(key);
        let shelf = file.parent().unwrap_or(&self.root);
        fs::create_dir_all(shelf).map_err(disk::error("make folder", shelf))?;
        let bytes = encode(result, key);
        disk::write_loosely(&file, &bytes)?;
        let size = bytes.len() as u64;
        let take = |room: u64| room.checked_sub(size);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            self.make_room()?;
            self.room.store(self.most / 16, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Removes the oldest results until those that stay leave room for some time.
    fn make_room(&self) -> Result<(), StoreError> {
        let mut files = self.list()?;
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        if total <= self.most {
            return Ok(());
        }
        files.sort_by(|one, two| one.modified.cmp(&two.modified).then_with(|| one.path.cmp(&two.path)));
        for file in files {
            if total <= self.most - self.most / 8 {
                break;
            }
            remove(&file.path)?;
            total -= file.bytes;
        }
        Ok(())
    }

    fn sweep(&self, now: u64) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for file in self.list()? {
            let until = match fs::read(&file.path) {
                Ok(bytes) => {
                    key_of(&file.path).and_then(|key| decode(&bytes, key)).map(|result| result.until)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(disk::error("read", &file.path)(error)),
            };
            if until.is_none_or(|until| until <= now) {
                remove(&file.path)?;
                swept.add(file.bytes);
            }
        }
        Ok(swept)
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut files = Vec::new();
        for shelf in entries(&self.root)? {
            for path in entries(&shelf)? {
                // What is just being written or removed is somebody else's.
                if let Ok(found) = fs::metadata(&path) {
                    let modified = found.modified().map_err(disk::error("look at", &path))?;
                    files.push(Listed { bytes: found.len(), modified, path });
                }
            }
        }
        Ok(files)
    }
}

/// What is in a folder; nothing if it is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(disk::error("list", folder)(error)),
    };
    listed.map(|entry| Ok(entry.map_err(disk::error("list", folder))?.path())).collect()
}

/// Another process may have been faster.
fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk::error("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn key_of(path: &Path) -> Option<Digest> {
    let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    format!("{}{}", name(path.parent()?)?, name(path)?).parse().ok()
}

fn encode(result: &KeptResult, key: Digest) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + result.bytes.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&result.kept_at.to_le_bytes());
    bytes.extend_from_slice(&result.until.to_le_bytes());
    bytes.extend_from_slice(checksum(&bytes, &result.bytes, key).as_bytes());
    bytes.extend_from_slice(&result.bytes);
    bytes
}

fn decode(bytes: &[u8], key: Digest) -> Option<KeptResult> {
    let (head, result) = bytes.split_at_checked(HEAD)?;
    let (times, sum) = head.split_at_checked(HEAD - 32)?;
    let number = |from: usize| Some(u64::from_le_bytes(times.get(from..from + 8)?.try_into().ok()?));
    if !times.starts_with(MAGIC) || checksum(times, result, key).as_bytes() != sum {
        return None;
    }
    Some(KeptResult { kept_at: number(8)?, until: number(16)?, bytes: result.to_vec() })
}

/// The hash of all that a file says, its name too, so that a file under another name is damaged as well.
fn checksum(times: &[u8], result: &[u8], key: Digest) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(times);
    hasher.update(result);
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(bytes: &[u8], until: u64) -> KeptResult {
        KeptResult { kept_at: 7, until, bytes: bytes.to_vec() }
    }

    fn key(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[test]
    fn both_backends_keep_the_last_result_of_a_key_until_it_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        for results in [Results::memory(), Results::folder(folder.path())] {
            assert_eq!(results.find(key(1)).unwrap(), None);
            assert_eq!(results.sweep(9).unwrap(), Swept::default());
            results.keep(key(1), result(b"old", 10)).unwrap();
            results.keep(key(1), result(b"new", 20)).unwrap();
            results.keep(key(2), result(b"", 10)).unwrap();
            assert_eq!(results.clone().find(key(1)).unwrap(), Some(result(b"new", 20)));
            assert_eq!(results.find(key(2)).unwrap(), Some(result(b"", 10)));
            assert_eq!(results.sweep(10).unwrap().results, 1);
            assert_eq!(results.find(key(2)).unwrap(), None);
            assert_eq!(results.find(key(1)).unwrap(), Some(result(b"new", 20)));
        }
    }

    #[test]
    fn a_damaged_or_renamed_result_is_told_and_swept() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::folder(folder.path());
        results.keep(key(1), result(b"result", 20)).unwrap();
        let Backend::Folder(inner) = &results.0 else { panic!("it is a folder") };
        let (file, other) = (inner.file_of(key(1)), inner.file_of(key(2)));
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&file, &bytes).unwrap();
            assert!(matches!(results.find(key(1)), Err(StoreError::CorruptResult { .. })), "bit at {at}");
            fs::write(&file, &whole[..at]).unwrap();
            assert!(matches!(results.find(key(1)), Err(StoreError::CorruptResult { .. })), "cut at {at}");
        }
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(&other, &whole).unwrap();
        assert!(matches!(results.find(key(2)), Err(StoreError::CorruptResult { .. })));
        assert_eq!(results.sweep(0).unwrap().results, 2);
        assert_eq!(results.find(key(2)).unwrap(), None);
    }

    #[test]
    fn the_oldest_make_place() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::bounded(folder.path(), 4_000);
        let bytes = [0; 400];
        for number in 0..40 {
            results.keep(key(number), result(&bytes, 20)).unwrap();
            let Backend::Folder(inner) = &results.0 else { panic!("it is a folder") };
            let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(number));
            fs::File::open(inner.file_of(key(number))).unwrap().set_modified(old).unwrap();
            let total: u64 = inner.list().unwrap().iter().map(|file| file.bytes).sum();
            assert!(total <= 4_000 + 1_000, "{total}");
        }
        assert_eq!(results.find(key(0)).unwrap(), None);
        assert!(results.find(key(38)).unwrap().is_some());
    }
}
