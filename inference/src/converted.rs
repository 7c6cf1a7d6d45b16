//! Converted weights in a file, so that the next process maps them instead of converting them again.
//!
//! The file has the blocks of every matrix at a multiple of [`ALIGNMENT`], then a directory as JSON that tells where each
//! begins, and of which model and which [`LAYOUT`] they are; then the place and the digest of the directory. It is
//! written under a name of its own, synced, and put in place by renaming: under its name there is a whole file, which is
//! to be read only and which nobody writes again. What is in the directory is checked before it is used; the blocks are not read for that.

mod identity;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::identity::Identity;
use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::mapped::Mapping;

/// Says how weights are converted and laid out. Whoever changes that raises it, so that no file of before is taken.
const LAYOUT: u32 = 1;
/// No page has blocks of two matrices, and blocks of any type may begin at it.
const ALIGNMENT: u64 = 4096;
const MAGIC: &[u8; 8] = b"SSWGHTS1";
/// Two numbers, a digest and the magic.
const TRAILER: u64 = 8 + 8 + 32 + 8;
/// More than any directory has.
const DIRECTORY: u64 = 64 << 20;
/// How old a file must be that somebody began and never finished, before it is removed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Where the weights of a loaded model are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kept {
    /// In memory: nobody asked for a file.
    Memory,
    /// In a file that was there.
    Found,
    /// In a file that this load has written.
    Written,
    /// In memory, because no file could be written: why.
    Failed(String),
}

/// What a file has, and of which model.
#[derive(Debug, Serialize, Deserialize)]
struct Directory {
    layout: u32,
    identity: Identity,
    /// The SHA-256 of the model's file, in hex.
    sha256: String,
    /// Where the blocks of tensors are: the first byte, and how many.
    blocks: BTreeMap<String, (u64, u64)>,
}

/// Where the weights of a model come from, and go to.
pub(crate) enum Place {
    Memory,
    Found(Found),
    New(New),
    Failed(String),
}

/// The blocks of a matrix.
pub(crate) enum Blocks {
    Memory(Vec<u8>),
    File(Arc<Mapping>),
}

impl Place {
    /// The place for the weights of a model, in `folder` if there is one; the digest is checked as it is by
    /// [`LoadOptions`](crate::LoadOptions).
    pub(crate) fn of(gguf: &Gguf, folder: Option<&Path>, sha256: Option<&str>) -> Result<Self, LoadError> {
        let Some(folder) = folder else {
            return sha256.map_or(Ok(()), |expected| gguf.check_digest(expected)).map(|()| Self::Memory);
        };
        let identity = Identity::of(gguf)?;
        let path = folder.join(identity::file_name(gguf.path()));
        if let Ok(found) = Found::open(&path)
            && found.is_of(&identity, sha256)
        {
            return Ok(Self::Found(found));
        }
        let digest = gguf.digest()?;
        if let Some(expected) = sha256.filter(|expected| !digest.eq_ignore_ascii_case(expected)) {
            let (path, expected) = (gguf.path().to_owned(), expected.to_owned());
            return Err(LoadError::Digest { path, expected, found: digest });
        }
        let directory = Directory { layout: LAYOUT, identity, sha256: digest, blocks: BTreeMap::new() };
        // A model is worth more than the time that its next load takes.
        Ok(New::create(path, directory).map_or_else(|error| Self::Failed(error.to_string()), Self::New))
    }

    /// The blocks called `name`, `length` bytes: from the file that has them, or converted and written.
    pub(crate) fn blocks(
        &mut self,
        name: &str,
        length: u64,
        convert: impl FnOnce() -> Result<Vec<u8>, LoadError>,
    ) -> Result<Blocks, LoadError> {
        if let Self::Found(found) = self
            && let Some(mapping) = found.blocks(name, length)
        {
            let mapping = mapping.map_err(|source| LoadError::Read { path: found.path.clone(), source })?;
            return Ok(Blocks::File(Arc::new(mapping)));
        }
        let bytes = convert()?;
        let Self::New(new) = self else { return Ok(Blocks::Memory(bytes)) };
        match new.put(name, &bytes) {
            Ok(mapping) => Ok(Blocks::File(Arc::new(mapping))),
            Err(error) => {
                *self = Self::Failed(error.to_string());
                Ok(Blocks::Memory(bytes))
            }
        }
    }

    /// Puts what was written of a model in place, and says where the weights are.
    pub(crate) fn finish(self, gguf: &Gguf) -> Kept {
        match self {
            Self::Memory => Kept::Memory,
            Self::Found(_) => Kept::Found,
            Self::New(new) => {
                new.finish(gguf).map_or_else(|error| Kept::Failed(error.to_string()), |()| Kept::Written)
            }
            Self::Failed(reason) => Kept::Failed(reason),
        }
    }
}

/// A file that is there.
pub(crate) struct Found {
    path: PathBuf,
    file: File,
    directory: Directory,
}

impl Found {
    /// Opens a file and reads its directory. An error says that there is none, or that it is of no use.
    fn open(path: &Path) -> io::Result<Self> {
        let wrong = || io::Error::from(io::ErrorKind::InvalidData);
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let end = size.checked_sub(TRAILER).ok_or_else(wrong)?;
        file.seek(SeekFrom::Start(end))?;
        let mut number = || -> io::Result<u64> {
            let mut bytes = [0; 8];
            file.read_exact(&mut bytes)?;
            Ok(u64::from_le_bytes(bytes))
        };
        let (start, length) = (number()?, number()?);
        let (mut digest, mut magic) = ([0; 32], [0; 8]);
        file.read_exact(&mut digest)?;
        file.read_exact(&mut magic)?;
        if &magic != MAGIC || length > DIRECTORY || start.checked_add(length) != Some(end) {
            return Err(wrong());
        }
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| wrong())?];
        file.read_exact(&mut bytes)?;
        if Sha256::digest(&bytes).as_slice() != digest {
            return Err(wrong());
        }
        let directory: Directory = serde_json::from_slice(&bytes)?;
        let is_inside = |(at, length): &(u64, u64)| at.checked_add(*length).is_some_and(|end| end <= start);
        if !directory.blocks.values().all(is_inside) {
            return Err(wrong());
        }
        Ok(Self { path: path.to_owned(), file, directory })
    }

    /// Whether it has what this version makes of this model, which has the digest if one is given.
    fn is_of(&self, identity: &Identity, sha256: Option<&str>) -> bool {
        let Directory { layout, identity: own, sha256: known, .. } = &self.directory;
        let is_expected = sha256.is_none_or(|expected| known.eq_ignore_ascii_case(expected));
        *layout == LAYOUT && own == identity && is_expected
    }

    fn blocks(&self, name: &str, length: u64) -> Option<io::Result<Mapping>> {
        let (at, own) = *self.directory.blocks.get(name)?;
        let bytes = usize::try_from(length).ok().filter(|_| own == length)?;
        Some(Mapping::of(&self.file, at, bytes))
    }
}

/// A file that is being written, removed unless it is finished.
pub(crate) struct New {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    end: u64,
    directory: Directory,
}

impl New {
    fn create(path: PathBuf, directory: Directory) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder)?;
        remove_abandoned(&path);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mark = format!(".{}-{}.part", process::id(), since.as_nanos());
        let temporary = beside(&path, &mark);
        // Only through this handle: others that have the folder do not write into what is mapped by mistake.
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o444).open(&temporary)?;
        Ok(Self { path, temporary, file, end: 0, directory })
    }

    /// Writes the blocks called `name` and maps them.
    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<Mapping> {
        let at = self.end.next_multiple_of(ALIGNMENT);
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)?;
        self.end = at + bytes.len() as u64;
        self.directory.blocks.insert(name.to_owned(), (at, bytes.len() as u64));
        Mapping::of(&self.file, at, bytes.len())
    }

    fn finish(mut self, gguf: &Gguf) -> io::Result<()> {
        // Whoever wrote into the model meanwhile has left blocks of two models here.
        if !Identity::of(gguf).is_ok_and(|identity| identity == self.directory.identity) {
            return Err(io::Error::other("the model was changed while it was loaded"));
        }
        let directory = serde_json::to_vec(&self.directory)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&directory)?;
        self.file.write_all(&self.end.to_le_bytes())?;
        self.file.write_all(&(directory.len() as u64).to_le_bytes())?;
        self.file.write_all(&Sha256::digest(&directory))?;
        self.file.write_all(MAGIC)?;
        // Without it a machine that loses power could keep the name and not the blocks, which are not checked.
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // After a finished one there is nothing under that name, and what cannot be removed goes when it is old.
        drop(fs::remove_file(&self.temporary));
    }
}

/// Removes what processes that were killed have begun of this file, as far as it can: others that load the model may do
/// so at the same time, or be done with theirs, and what is left is removed by a later load.
fn remove_abandoned(path: &Path) {
    let begin = beside(path, ".");
    let entries = fs::read_dir(path.parent().unwrap_or(Path::new(""))).into_iter().flatten().flatten();
    for entry in entries {
        let own = entry.path().to_string_lossy().starts_with(&*begin.to_string_lossy());
        let is_part = entry.path().extension().is_some_and(|end| end == "part");
        let age = || entry.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
        if own && is_part && age().is_ok_and(|age| age.is_ok_and(|age| age > ABANDONED)) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
