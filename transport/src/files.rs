//! The files that certificates are read from, as Kubernetes mounts them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem;

use crate::identity::{Identity, IdentityError};
use crate::limits::FILE;

/// The authorities that are trusted.
pub(crate) const AUTHORITIES: &str = "ca.crt";
/// The certificate, and those between it and its authority.
pub(crate) const CHAIN: &str = "tls.crt";
/// Its key.
pub(crate) const KEY: &str = "tls.key";

/// Why the files of a folder are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// One cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One is larger than any of its kind.
    #[error("{} has more than {FILE} bytes", path.display())]
    Large {
        /// Which.
        path: PathBuf,
    },
    /// One is no PEM.
    #[error("{} is no PEM", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// One has no certificate.
    #[error("{} has no certificate", path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// An authority cannot be used.
    #[error("{} has an authority that cannot be used", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The key is not the certificate's, or neither can be used.
    #[error("{KEY} and {CHAIN} in {} are no pair", folder.display())]
    Pair {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The certificate names nobody.
    #[error("{} cannot be shown", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why.
        source: IdentityError,
    },
    /// The certificate would be refused by whoever trusts the same authorities.
    #[error("{} cannot be shown: {why}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The authorities cannot judge anybody.
    #[error("{} cannot be used", path.display())]
    Verifier {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::server::VerifierBuilderError,
    },
    /// The certificate names another than the one before it.
    #[error("{} names {is}, and this process is {was}", path.display())]
    Another {
        /// The file.
        path: PathBuf,
        /// Who it was.
        was: Box<Identity>,
        /// Who it is.
        is: Box<Identity>,
    },
}

/// What the files hold. It has a key, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) authorities: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Files {
    pub(crate) fn read(folder: &Path) -> Result<Self, CredentialsError> {
        Ok(Self {
            authorities: read(folder.join(AUTHORITIES))?,
            chain: read(folder.join(CHAIN))?,
            key: read(folder.join(KEY))?,
        })
    }
}

fn read(path: PathBuf) -> Result<Vec<u8>, CredentialsError> {
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(FILE + 1).read_to_end(&mut bytes)) {
        Ok(count) if count as u64 <= FILE => Ok(bytes),
        Ok(_) => Err(CredentialsError::Large { path }),
        Err(source) => Err(CredentialsError::Read { path, source }),
    }
}
