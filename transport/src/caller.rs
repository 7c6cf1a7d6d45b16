//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::identity::{Identity, IdentityError};

/// Whom a certificate that was verified names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Who.
    pub identity: Identity,
    /// The number that its authority gave the certificate, in hexadecimal digits.
    pub serial: String,
}

impl Certified {
    /// Reads a certificate, whoever signed it.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let identity = Identity::of(certificate)?;
        let read =
            webpki::EndEntityCert::try_from(certificate).map_err(|why| IdentityError::Unreadable { why })?;
        let serial = read.serial().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { identity, serial })
    }
}

/// Who calls: each request of a connection has it among its extensions.
#[derive(Clone, Debug)]
pub struct Caller {
    /// From where, if that is known.
    pub address: Option<SocketAddr>,
    /// Who; none without encryption, on this machine, or where everybody may ask.
    pub certified: Option<Arc<Certified>>,
}
