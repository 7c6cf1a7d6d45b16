//! Whether a certificate is accepted.

use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    RootCertStore, SignatureScheme,
};

use crate::connect::Expected;
use crate::identity::Identity;
use crate::refusals::Refusal;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// The cryptography of all connections, whatever else the process has installed.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// Whether an authority has signed the certificate of a server, which is valid at `now`.
pub(crate) fn is_signed(
    roots: &RootCertStore,
    certificate: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let algorithms = PROVIDER.signature_verification_algorithms.all;
    let parsed = ParsedCertificate::try_from(certificate)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, between, now, algorithms).map_err(by_another)
}

/// A signature that is wrong is that of another authority of the same name, which is what the other side is to hear.
pub(crate) fn by_another(error: Error) -> Error {
    if matches!(error, Error::InvalidCertificate(CertificateError::BadSignature)) {
        CertificateError::UnknownIssuer.into()
    } else {
        error
    }
}

/// Accepts as a server the workers that are expected.
#[derive(Debug)]
pub(crate) struct ExpectedWorkers {
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) expected: Expected,
}

impl ServerCertVerifier for ExpectedWorkers {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        is_signed(&self.roots, certificate, between, now)?;
        // Whom it names counts, and not under which address it was found.
        let identity = Identity::of(certificate).map_err(other)?;
        self.expected.check(&identity).map_err(other)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts as a client whom an authority has signed, if the certificate names somebody. What they may ask for is
/// judged by the [`Gate`](crate::Gate) of each service.
#[derive(Debug)]
pub(crate) struct NamedCallers {
    pub(crate) signed: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for NamedCallers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.signed.verify_client_cert(certificate, between, now).map_err(by_another)?;
        Identity::of(certificate).map_err(other)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

/// What a failure of TLS says, in words.
pub(crate) fn words(error: &Error) -> String {
    let words = if let Error::InvalidCertificate(CertificateError::Other(OtherError(why))) = error {
        return why.to_string();
    } else if matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
        "no authority in ca.crt has signed the certificate"
    } else if matches!(error, Error::InvalidMessage(_)) {
        "what was sent is no TLS"
    } else if matches!(error, Error::AlertReceived(AlertDescription::UnknownCA)) {
        "the certificate is not of an authority that is trusted there"
    } else if matches!(error, Error::AlertReceived(AlertDescription::CertificateExpired)) {
        "it is said there that the certificate has expired"
    } else {
        return error.to_string();
    };
    words.to_owned()
}

/// Why a caller is refused with whom TLS has failed so; none if the caller has left, or refuses on its side.
pub(crate) fn refusal(error: &Error) -> Option<Refusal> {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext, Other};
    if matches!(error, Error::InvalidMessage(_)) {
        return Some(Refusal::Plaintext);
    }
    if matches!(error, Error::NoCertificatesPresented) {
        return Some(Refusal::NoCertificate);
    }
    let Error::InvalidCertificate(why) = error else { return None };
    let of_time = matches!(why, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. });
    Some(if of_time {
        Refusal::Expired
    } else if matches!(why, Other(_)) {
        Refusal::Unnamed
    } else {
        Refusal::Untrusted
    })
}
