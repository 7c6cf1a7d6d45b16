//! Asking for a certificate.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use crate::issued::{IssueError, Issued};

/// A fresh key, and the request (PKCS #10) for a certificate for it. Whom that is to name is for the authority to know.
pub struct KeyRequest {
    key: KeyPair,
    der: Vec<u8>,
}

impl KeyRequest {
    /// A key that nobody else has.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new() -> Result<Self, IssueError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let der = params.serialize_request(&key)?.der().to_vec();
        Ok(Self { key, der })
    }

    /// The request, as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key with the certificate that an authority has signed, and the authorities that are to be trusted, as PEM.
    #[must_use]
    pub fn answered(&self, chain: String, authorities: String) -> Issued {
        Issued { authorities, chain, key: self.key.serialize_pem() }
    }
}
