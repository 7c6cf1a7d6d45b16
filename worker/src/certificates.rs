//! The certificate of a worker that asks for it: a key of its own, and the operator's signature under whom it is.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use superstep_proto::v1::SignRequest;
use superstep_proto::v1::certificates_client::CertificatesClient;
use superstep_transport::{
    AddressError, Credentials, CredentialsError, Identity, IssueError, KeyRequest, channel_to_named,
};
use tokio::time::{sleep, timeout};

/// The name in the certificate of whoever signs.
const SIGNER: &str = "superstep-operator";
/// How long a signature may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the signer is left alone at first when it did not sign.
const FIRST: Duration = Duration::from_millis(500);
/// The same at last.
const LONGEST: Duration = Duration::from_secs(60);

/// Who signs the certificates of a worker, and where they are kept.
#[derive(Clone, Debug)]
pub struct Signing {
    /// The address of the signer.
    pub signer: String,
    /// A file with the authorities of which one has to have signed the certificate of the signer.
    pub authorities: PathBuf,
    /// A file with the token that says to the signer who the worker is. It is replaced by others from time to time.
    pub token: PathBuf,
    /// Where `ca.crt`, `tls.crt` and `tls.key` are written.
    pub folder: PathBuf,
    /// Whom the certificate has to name.
    pub identity: Identity,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The token cannot be read.
    #[error("cannot read the token {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address of the signer cannot be used.
    #[error("the signer cannot be asked")]
    Address(#[from] AddressError),
    /// There is no key, or no place for it.
    #[error("the certificate cannot be kept")]
    Keep(#[from] IssueError),
    /// The signer says no, or nothing.
    #[error("the signer at {signer} has not signed: {why}")]
    Refused {
        /// Its address.
        signer: String,
        /// What it says.
        why: String,
    },
    /// What it has signed is of no use.
    #[error("what the signer at {signer} has signed cannot be used")]
    Useless {
        /// Its address.
        signer: String,
        /// Why.
        source: CredentialsError,
    },
    /// It has signed the certificate of another.
    #[error("the signer has signed a certificate of {is}, and this worker is {was}")]
    Another {
        /// Who the worker is.
        was: Box<Identity>,
        /// Who it would be.
        is: Box<Identity>,
    },
}

impl Signing {
    /// Credentials that are followed every `look`, and whose certificate is replaced before half of its life has gone, for as
    /// long as the process lives. One that is kept from before is used at once; otherwise the first one is waited for.
    ///
    /// # Errors
    /// What was kept cannot be read again.
    pub async fn credentials(self, look: Duration) -> Result<Arc<Credentials>, CredentialsError> {
        if let Some(credentials) = self.kept(look) {
            // Nothing says how much of its life has gone.
            tokio::spawn(self.renew(Duration::ZERO));
            return Ok(credentials);
        }
        tracing::info!(signer = self.signer, identity = %self.identity, "the worker waits for its first certificate");
        let life = self.sign().await;
        let credentials = Credentials::open(&self.folder, look)?;
        tokio::spawn(self.renew(life));
        Ok(credentials)
    }

    /// What an earlier process of this worker has kept, if it is still of use.
    fn kept(&self, look: Duration) -> Option<Arc<Credentials>> {
        match Credentials::open(&self.folder, look) {
            Ok(credentials) if *credentials.identity() == self.identity => Some(credentials),
            Ok(credentials) => {
                tracing::warn!(identity = %credentials.identity(), "the certificate that was kept is another's");
                None
            }
            Err(CredentialsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let why = crate::with_causes(&error);
                tracing::info!(why, "the certificate that was kept cannot be used");
                None
            }
        }
    }

    async fn renew(self, mut life: Duration) {
        loop {
            // Workers that began together do not come together: from three to nine twentieths of the life.
            sleep(life.mul_f64(0.15 + 0.3 * chance())).await;
            life = self.sign().await;
        }
    }

    /// Asks until there is a certificate, and tells how long it lives.
    async fn sign(&self) -> Duration {
        let mut pause = FIRST;
        loop {
            match self.sign_once().await {
                Ok(life) => {
                    tracing::info!(identity = %self.identity, ?life, "the certificate of this worker was signed");
                    return life;
                }
                Err(error) => {
                    let why = crate::with_causes(&error);
                    let again_in = pause.mul_f64(0.75 + 0.25 * chance());
                    tracing::warn!(%why, ?again_in, "the certificate of this worker was not signed");
                    sleep(again_in).await;
                    pause = (pause * 2).min(LONGEST);
                }
            }
        }
    }

    async fn sign_once(&self) -> Result<Duration, SigningError> {
        let token = tokio::fs::read_to_string(&self.token)
            .await
            .map_err(|source| SigningError::Token { path: self.token.clone(), source })?;
        let key = KeyRequest::new()?;
        // A channel of its own: an operator that was replaced is found again.
        let channel = channel_to_named(&self.signer, SIGNER, &self.authorities)?;
        let request = SignRequest { request: key.der().to_vec().into(), token: token.trim().to_owned() };
        let refused = |why: String| SigningError::Refused { signer: self.signer.clone(), why };
        let mut client = CertificatesClient::new(channel);
        let signed = match timeout(PATIENCE, client.sign(request)).await {
            Ok(Ok(signed)) => signed.into_inner(),
            Ok(Err(status)) => return Err(refused(crate::with_causes(&status))),
            Err(_) => return Err(refused(format!("there is no answer after {PATIENCE:?}"))),
        };
        let issued = key.answered(signed.chain, signed.authorities);
        let useless = |source| SigningError::Useless { signer: self.signer.clone(), source };
        let is = issued.identity().map_err(useless)?;
        if is != self.identity {
            return Err(SigningError::Another { was: Box::new(self.identity.clone()), is: Box::new(is) });
        }
        let folder = self.folder.clone();
        crate::blocking::blocking(move || issued.write(&folder)).await?;
        let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(signed.ends_at);
        // A clock that is late by more than the life of a certificate has not accepted it.
        Ok(ends.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

/// From 0 to 1, another one each time.
fn chance() -> f64 {
    let random = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
    f64::from(random) / f64::from(u32::MAX)
}
