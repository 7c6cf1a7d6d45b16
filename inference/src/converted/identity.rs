//! By what a model's file is known again without reading all of it.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::LoadError;
use crate::gguf::Gguf;

/// Bytes at the end of the file that are read.
const TAIL: u64 = 1 << 16;

/// What two files have in common only if they are one and the same, or somebody wants it so: their sizes, the time of
/// their last change, all that stands before the tensors, and the end of these.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    bytes: u64,
    modified: u64,
    sample: String,
}

impl Identity {
    /// That of the file which is open: somebody may put another one in its place at any time.
    pub(super) fn of(gguf: &Gguf) -> Result<Self, LoadError> {
        let read = |source| LoadError::Read { path: gguf.path().to_owned(), source };
        let mut file = gguf.file();
        let metadata = file.metadata().map_err(read)?;
        let modified = metadata.modified().map_err(read)?;
        let mut hasher = Sha256::new();
        let start = gguf.data_start().min(metadata.len());
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        file.by_ref().take(start).read_to_end(&mut bytes).map_err(read)?;
        hasher.update(&bytes);
        bytes.clear();
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL).max(start))).map_err(read)?;
        file.take(TAIL).read_to_end(&mut bytes).map_err(read)?;
        hasher.update(&bytes);
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            bytes: metadata.len(),
            modified: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            sample: hex(&hasher.finalize()),
        })
    }
}

/// The name of the converted weights of the model at `path`: another for each path, so that a model which is replaced
/// leaves nothing behind.
pub(super) fn file_name(path: &Path) -> String {
    let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let digest = hex(&Sha256::digest(whole.as_os_str().as_encoded_bytes()));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem:.64}-{digest:.16}.weights")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
