//! The authority of an installation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use superstep_transport::{
    Authority, CredentialsError, Identity, IdentityError, IssueError, Issued, Validity,
};

/// What it is called in its certificate.
const NAME: &str = "superstep";
/// The name of the operator's server, and of its client in every namespace.
const SERVER: &str = "superstep-operator";
const CLIENT: &str = "operator";

/// One that signs, and those that are trusted: several while one is replaced by another.
pub(crate) struct Root {
    signing: Authority,
    trusted: Arc<str>,
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootError {
    /// Its certificate and its key are none.
    #[error("the authority has no certificate and key that belong together")]
    Pair(#[source] IssueError),
    /// What it signs is not accepted.
    #[error("nobody would accept what the authority signs")]
    Useless(#[source] CredentialsError),
    /// It cannot be made.
    #[error("no authority can be made")]
    Make(#[source] IssueError),
}

/// A certificate that was signed.
pub(crate) struct Signed {
    /// As PEM.
    pub(crate) chain: String,
    /// Until when it is valid, in seconds since 1970.
    pub(crate) ends_at: u64,
}

impl Root {
    /// One with a fresh key, which is the only one that is trusted.
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn make() -> Result<Self, RootError> {
        let signing = Authority::new(NAME).map_err(RootError::Make)?;
        let trusted = signing.certificate().into();
        Ok(Self { signing, trusted })
    }

    /// One that was made before. `others` are trusted as well.
    ///
    /// # Errors
    /// It is none, or what it signs would not be accepted.
    pub(crate) fn of(certificate: &str, key: &str, others: &str) -> Result<Self, RootError> {
        let signing = Authority::from_pem(certificate, key).map_err(RootError::Pair)?;
        let root = Self { signing, trusted: together(certificate, others).into() };
        let tried = root.client("any", Duration::from_secs(60)).map_err(RootError::Pair)?;
        tried.identity().map_err(RootError::Useless)?;
        Ok(root)
    }

    /// Its certificate and its key, as PEM.
    pub(crate) fn pair(&self) -> (&str, String) {
        (self.signing.certificate(), self.signing.key())
    }

    /// The authorities that are to be trusted, as PEM.
    pub(crate) fn trusted(&self) -> &Arc<str> {
        &self.trusted
    }

    /// A certificate of `identity` for the key of a request.
    ///
    /// # Errors
    /// The request is none.
    pub(crate) fn sign(
        &self,
        request: &[u8],
        identity: &Identity,
        life: Duration,
    ) -> Result<Signed, IssueError> {
        let validity = Validity::lasting(life);
        let chain = self.signing.sign(request, identity, validity)?;
        let ends_at = validity.ends.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Signed { chain, ends_at })
    }

    /// What the operator shows to those who want certificates.
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn server(&self, life: Duration) -> Result<Issued, IssueError> {
        self.signing.issue_server(SERVER, Validity::lasting(life))
    }

    /// What the operator shows to the workers of a namespace.
    ///
    /// # Errors
    /// The namespace has no name.
    pub(crate) fn client(&self, namespace: &str, life: Duration) -> Result<Issued, IssueError> {
        let identity =
            Identity::client(namespace, CLIENT).map_err(|why: IdentityError| IssueError::from(why))?;
        let issued = self.signing.issue(&identity, Validity::lasting(life))?;
        Ok(issued.trusting_pem(&*self.trusted))
    }
}

/// The certificates of both texts, each once, the first one first.
fn together(first: &str, others: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    let mut known = BTreeSet::new();
    let mut all = String::new();
    for certificate in [first, others].into_iter().flat_map(|text| text.split_inclusive(END)) {
        let certificate = certificate.trim();
        if certificate.ends_with(END) && known.insert(certificate) {
            all.push_str(certificate);
            all.push('\n');
        }
    }
    all
}
