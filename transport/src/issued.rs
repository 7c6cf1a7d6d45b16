//! A certificate as it comes from an authority, with its key.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::files::{AUTHORITIES, CHAIN, CredentialsError, Files, KEY};
use crate::identity::{Identity, IdentityError};
use crate::material::Material;

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Its parts do not fit.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// What is to be signed is no request.
    #[error("the request for a certificate cannot be used")]
    Request {
        /// Why.
        source: rcgen::Error,
    },
    /// Whom it should name is nobody.
    #[error("cannot make a certificate")]
    Name(#[from] IdentityError),
    /// A file cannot be written or read.
    #[error("cannot keep certificates in {path}")]
    Keep {
        /// The folder.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// A certificate with its key and its authorities, each as PEM.
#[derive(Clone)]
pub struct Issued {
    pub(crate) authorities: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Issued {
    /// The same, trusting these authorities only, given as PEM.
    #[must_use]
    pub fn trusting_pem(self, authorities: impl Into<String>) -> Self {
        Self { authorities: authorities.into(), ..self }
    }

    /// Whom it names, if others who trust the same authorities would accept it.
    ///
    /// # Errors
    /// They would not.
    pub fn identity(&self) -> Result<Identity, CredentialsError> {
        Ok(Material::of(&self.files(), Path::new(""))?.me.identity)
    }

    pub(crate) fn files(&self) -> Files {
        let bytes = |text: &String| text.clone().into_bytes();
        Files { authorities: bytes(&self.authorities), chain: bytes(&self.chain), key: bytes(&self.key) }
    }

    /// Writes the files that [`Credentials`](crate::Credentials) follow, each as a whole.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), IssueError> {
        let files = [(AUTHORITIES, &self.authorities), (KEY, &self.key), (CHAIN, &self.chain)];
        let written = make_folder(folder)
            .and_then(|()| files.into_iter().try_for_each(|(name, text)| write(&folder.join(name), text)));
        written.map_err(|source| IssueError::Keep { path: folder.display().to_string(), source })
    }
}

pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}
