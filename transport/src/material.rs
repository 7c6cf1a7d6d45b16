//! What connections are made of: what the files of a folder said at one time.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

use crate::caller::Certified;
use crate::connect::Expected;
use crate::files::{AUTHORITIES, CHAIN, CredentialsError, Files, KEY};
use crate::identity::Identity;
use crate::verify::{ExpectedWorkers, NamedCallers, by_another, is_signed, provider, words};

/// What is spoken inside.
pub(crate) const HTTP2: &[u8] = b"h2";

/// Authorities, certificate and key that belong together.
pub(crate) struct Material {
    pub(crate) me: Certified,
    roots: Arc<RootCertStore>,
    signed: Arc<dyn ClientCertVerifier>,
    key: Arc<CertifiedKey>,
    server: Arc<ServerConfig>,
}

impl Material {
    /// Reads what files hold, and checks that others would accept it.
    pub(crate) fn of(files: &Files, folder: &Path) -> Result<Self, CredentialsError> {
        let roots = Arc::new(roots(&files.authorities, &folder.join(AUTHORITIES))?);
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
        let signed = builder
            .build()
            .map_err(|source| CredentialsError::Verifier { path: folder.join(AUTHORITIES), source })?;
        let key = pair(files, folder)?;
        let me = Certified::of(&key.cert[0])
            .map_err(|source| CredentialsError::Identity { path: folder.join(CHAIN), source })?;
        let unusable = |source| CredentialsError::Pair { folder: folder.to_owned(), source };
        let server = Arc::new(server(Arc::clone(&signed), Arc::clone(&key)).map_err(unusable)?);
        let material = Self { me, roots, signed, key, server };
        material
            .check(UnixTime::now())
            .map_err(|error| CredentialsError::Refused { path: folder.join(CHAIN), why: words(&error) })?;
        Ok(material)
    }

    /// Whether others who trust the same authorities accept the certificate at `now`.
    pub(crate) fn check(&self, now: UnixTime) -> Result<(), Error> {
        let (certificate, between) =
            self.key.cert.split_first().expect("a chain begins with its certificate");
        self.signed.verify_client_cert(certificate, between, now).map_err(by_another)?;
        match self.me.identity {
            Identity::Worker { .. } => is_signed(&self.roots, certificate, between, now),
            Identity::Client { .. } => Ok(()),
        }
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    pub(crate) fn client(&self, expected: Expected) -> Result<ClientConfig, Error> {
        let verifier = ExpectedWorkers { roots: Arc::clone(&self.roots), expected };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&self.key))));
        config.alpn_protocols = vec![HTTP2.to_vec()];
        // Each connection is judged by what is trusted when it is made.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// A certificate and its key.
fn pair(files: &Files, folder: &Path) -> Result<Arc<CertifiedKey>, CredentialsError> {
    let chain = certificates(&files.chain, &folder.join(CHAIN))?;
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|source| CredentialsError::Pem { path: folder.join(KEY), source })?;
    let pair = CertifiedKey::from_der(chain, key, &provider());
    pair.map(Arc::new).map_err(|source| CredentialsError::Pair { folder: folder.to_owned(), source })
}

fn server(signed: Arc<dyn ClientCertVerifier>, key: Arc<CertifiedKey>) -> Result<ServerConfig, Error> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(NamedCallers { signed }))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    Ok(without_sessions(config))
}

/// What a server does that everybody may ask.
#[cfg(feature = "request")]
pub(crate) fn server_for_anybody(files: &Files, folder: &Path) -> Result<ServerConfig, CredentialsError> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]);
    let builder = builder.map_err(|source| CredentialsError::Pair { folder: folder.to_owned(), source })?;
    let resolver = Arc::new(SingleCertAndKey::from(pair(files, folder)?));
    Ok(without_sessions(builder.with_no_client_auth().with_cert_resolver(resolver)))
}

fn without_sessions(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// The authorities that a file holds.
pub(crate) fn roots(bytes: &[u8], path: &Path) -> Result<RootCertStore, CredentialsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(bytes, path)? {
        let unusable = |source| CredentialsError::Authority { path: path.to_owned(), source };
        roots.add(certificate).map_err(unusable)?;
    }
    Ok(roots)
}

/// At least one.
fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let read = read.map_err(|source| CredentialsError::Pem { path: path.to_owned(), source })?;
    if read.is_empty() { Err(CredentialsError::NoCertificate { path: path.to_owned() }) } else { Ok(read) }
}
