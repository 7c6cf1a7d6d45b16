//! Files beside a manifest.

use std::path::{Path, PathBuf};

/// Whether documents may name files beside themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// They are files of this machine, and what they name is seen from their folder.
    Read,
    /// They were sent, and what they name is on another machine.
    Refused,
}

/// A document that was sent names a file.
#[derive(Debug, thiserror::Error)]
#[error("file {name:?} is not sent with this document: what it holds has to stand in the document itself")]
pub(super) struct NotSent {
    name: String,
}

impl Beside {
    /// The file `name` seen from the folder of the manifest; a manifest from stdin is in the working directory.
    ///
    /// # Errors
    /// There is none that came with the manifest.
    pub(super) fn file(self, manifest: &str, name: &str) -> Result<PathBuf, NotSent> {
        match self {
            Self::Read => {
                let folder = Path::new(manifest).parent();
                Ok(folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name)))
            }
            Self::Refused => Err(NotSent { name: name.to_owned() }),
        }
    }
}
