//! Blobs: immutable bytes named by their hash.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{StoreError, folder::disk, object::blobs::ObjectBlobs};

/// The name of a blob: the BLAKE3 hash of its bytes. As text it is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest that has these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, blake3::HexError> {
        Ok(Self(*blake3::Hash::from_hex(text)?.as_bytes()))
    }
}

/// The blobs of one run. Clones name the same blobs.
///
/// Folders and object stores block; an async caller moves the call to a thread that may block.
#[derive(Clone, Debug)]
pub struct Blobs(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Memory(MemoryBlobs),
    Folder(PathBuf),
    Object(ObjectBlobs),
}

/// The blobs of a run in memory.
pub(crate) type MemoryBlobs = Arc<Mutex<HashMap<Digest, Arc<[u8]>>>>;

impl Blobs {
    pub(crate) fn memory(blobs: MemoryBlobs) -> Self {
        Self(Backend::Memory(blobs))
    }

    pub(crate) fn folder(path: PathBuf) -> Self {
        Self(Backend::Folder(path))
    }

    pub(crate) fn object(blobs: ObjectBlobs) -> Self {
        Self(Backend::Object(blobs))
    }

    /// Keeps `bytes`. They are durable when this returns; bytes that are there already are not written again.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refuses, or [`StoreError::Away`] and [`StoreError::Object`] of an object store.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        match &self.0 {
            Backend::Memory(blobs) => {
                lock(blobs).entry(digest).or_insert_with(|| bytes.into());
            }
            Backend::Folder(root) => put_file(root, digest, bytes)?,
            Backend::Object(blobs) => blobs.put(digest, bytes)?,
        }
        Ok(digest)
    }

    /// The bytes of a blob, checked against its digest.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`] when it is not there, [`StoreError::CorruptBlob`] when its content is not its own,
    /// [`StoreError::Io`] when the disk refuses.
    pub fn get(&self, digest: Digest) -> Result<Arc<[u8]>, StoreError> {
        match &self.0 {
            Backend::Memory(blobs) => lock(blobs).get(&digest).cloned().ok_or(StoreError::NoBlob { digest }),
            Backend::Folder(root) => read_file(&file_of(root, digest), digest).map(Into::into),
            Backend::Object(blobs) => blobs.get(digest),
        }
    }

    /// Whether a blob of this digest is there. Its content is not checked.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refuses.
    pub fn contains(&self, digest: Digest) -> Result<bool, StoreError> {
        match &self.0 {
            Backend::Memory(blobs) => Ok(lock(blobs).contains_key(&digest)),
            Backend::Folder(root) => {
                let file = file_of(root, digest);
                file.try_exists().map_err(disk::error("look for", &file))
            }
            Backend::Object(blobs) => blobs.contains(digest),
        }
    }

    /// Removes a blob; `false` if it was not there. No record may name it any more.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refuses.
    pub fn delete(&self, digest: Digest) -> Result<bool, StoreError> {
        match &self.0 {
            Backend::Memory(blobs) => Ok(lock(blobs).remove(&digest).is_some()),
            Backend::Folder(root) => {
                let file = file_of(root, digest);
                match fs::remove_file(&file) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                    Err(error) => Err(disk::error("remove", &file)(error)),
                }
            }
            Backend::Object(blobs) => blobs.delete(digest),
        }
    }
}

fn lock(blobs: &MemoryBlobs) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<[u8]>>> {
    // Every change is one call on the map, so a panic elsewhere leaves it whole.
    blobs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file of a blob: a folder of the first two digits keeps the folders small.
fn file_of(root: &Path, digest: Digest) -> PathBuf {
    let name = digest.to_string();
    let (shelf, rest) = name.split_at(2);
    root.join(shelf).join(rest)
}

fn put_file(root: &Path, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
    let file = file_of(root, digest);
    let shelf = file.parent().unwrap_or(root);
    match read_file(&file, digest) {
        // The rename that a crashed process made may not be on the disk yet.
        Ok(_) => disk::sync_folder(shelf),
        Err(StoreError::NoBlob { .. } | StoreError::CorruptBlob { .. }) => {
            disk::create_folder(shelf)?;
            disk::write_whole(&file, bytes)
        }
        Err(error) => Err(error),
    }
}

fn read_file(file: &Path, digest: Digest) -> Result<Vec<u8>, StoreError> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::NoBlob { digest }),
        Err(error) => return Err(disk::error("read", file)(error)),
    };
    if Digest::of(&bytes) == digest {
        Ok(bytes)
    } else {
        Err(StoreError::CorruptBlob { file: file.to_owned(), digest })
    }
}
