//! An authority that makes certificates, for groups on one machine and for tests.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use crate::files::{AUTHORITIES, CHAIN, KEY};
use crate::identity::{Identity, IdentityError};

/// The key of an authority.
const AUTHORITY_KEY: &str = "ca.key";
/// By how much clocks may differ.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// How long an authority is one.
const AUTHORITY_LASTS: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Its parts do not fit.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
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

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// The first moment.
    pub begins: SystemTime,
    /// The last.
    pub ends: SystemTime,
}

impl Validity {
    /// From now on, for so long, and a little before, since clocks differ.
    #[must_use]
    pub fn lasting(length: Duration) -> Self {
        let now = SystemTime::now();
        Self { begins: now - SKEW, ends: now + length }
    }
}

/// Whoever signs certificates.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key and its authority, each as PEM.
pub struct Issued {
    authorities: String,
    chain: String,
    key: String,
}

impl Authority {
    /// One of this name, with a fresh key.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new(name: &str) -> Result<Self, IssueError> {
        let key = KeyPair::generate()?;
        let params = params_of_authority(name);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// The one that is kept in a folder, and is made there if there is none.
    ///
    /// # Errors
    /// The folder cannot be read or written, or what it has is no authority.
    pub fn kept_in(folder: &Path, name: &str) -> Result<Self, IssueError> {
        let keep = |source| IssueError::Keep { path: folder.display().to_string(), source };
        let key = match fs::read_to_string(folder.join(AUTHORITY_KEY)) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::new(name)?;
                make_folder(folder).map_err(keep)?;
                // The key comes last: a folder that has it is complete.
                write(&folder.join(AUTHORITIES), &made.certificate).map_err(keep)?;
                write(&folder.join(AUTHORITY_KEY), &made.issuer.key().serialize_pem()).map_err(keep)?;
                return Ok(made);
            }
            Err(error) => return Err(keep(error)),
        };
        let certificate = fs::read_to_string(folder.join(AUTHORITIES)).map_err(keep)?;
        let key = KeyPair::from_pem(&key)?;
        Ok(Self { certificate, issuer: Issuer::new(params_of_authority(name), key) })
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for one who is both client and server.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn issue(&self, identity: &Identity, validity: Validity) -> Result<Issued, IssueError> {
        self.issue_uris(&[&identity.to_string()], validity)
    }

    /// As [`issue`](Self::issue), for whatever these URIs name.
    ///
    /// # Errors
    /// One is not of ASCII.
    pub fn issue_uris(&self, uris: &[&str], validity: Validity) -> Result<Issued, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = uris
            .iter()
            .map(|uri| Ok(SanType::URI((*uri).try_into()?)))
            .collect::<Result<_, rcgen::Error>>()?;
        params.not_before = validity.begins.into();
        params.not_after = validity.ends.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            authorities: self.certificate.clone(),
            chain: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn params_of_authority(name: &str) -> CertificateParams {
    let validity = Validity::lasting(AUTHORITY_LASTS);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = validity.begins.into();
    params.not_after = validity.ends.into();
    params
}

impl Issued {
    /// The same, trusting these authorities as well.
    #[must_use]
    pub fn trusting_also(mut self, others: &[&Authority]) -> Self {
        others.iter().for_each(|other| self.authorities.push_str(&other.certificate));
        self
    }

    /// The same, trusting these authorities only.
    #[must_use]
    pub fn trusting(mut self, others: &[&Authority]) -> Self {
        self.authorities.clear();
        self.trusting_also(others)
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

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}
