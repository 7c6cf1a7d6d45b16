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
const HTTP2: &[u8] = b"h2";

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
        let roots = Arc::new(authorities(&files.authorities, folder)?);
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
        let signed = builder
            .build()
            .map_err(|source| CredentialsError::Verifier { path: folder.join(AUTHORITIES), source })?;
        let chain = certificates(&files.chain, folder, CHAIN)?;
        let key = PrivateKeyDer::from_pem_slice(&files.key)
            .map_err(|source| CredentialsError::Pem { path: folder.join(KEY), source })?;
        let me = Certified::of(&chain[0])
            .map_err(|source| CredentialsError::Identity { path: folder.join(CHAIN), source })?;
        let pair = |source| CredentialsError::Pair { folder: folder.to_owned(), source };
        let key = Arc::new(CertifiedKey::from_der(chain, key, &provider()).map_err(pair)?);
        let server = Arc::new(server(Arc::clone(&signed), Arc::clone(&key)).map_err(pair)?);
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

fn server(signed: Arc<dyn ClientCertVerifier>, key: Arc<CertifiedKey>) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(NamedCallers { signed }))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn authorities(bytes: &[u8], folder: &Path) -> Result<RootCertStore, CredentialsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(bytes, folder, AUTHORITIES)? {
        let unusable = |source| CredentialsError::Authority { path: folder.join(AUTHORITIES), source };
        roots.add(certificate).map_err(unusable)?;
    }
    Ok(roots)
}

/// At least one.
fn certificates(
    bytes: &[u8],
    folder: &Path,
    file: &str,
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let read = read.map_err(|source| CredentialsError::Pem { path: folder.join(file), source })?;
    if read.is_empty() { Err(CredentialsError::NoCertificate { path: folder.join(file) }) } else { Ok(read) }
}
