//! Whether connections are encrypted.

use std::net::IpAddr;
use std::sync::Arc;

use crate::credentials::Credentials;
use crate::network::Network;
use crate::refusals::Refusals;

/// How connections are kept from others.
#[derive(Clone)]
pub enum Security {
    /// Not at all, and hence on this machine only: anybody who reaches the port may ask for anything.
    Plaintext,
    /// By TLS in which both sides show certificates.
    Mutual(Arc<Credentials>),
    /// Not at all, on a network that nobody else reaches.
    Within(Arc<dyn Network>),
}

impl Security {
    /// What addresses begin with.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Plaintext | Self::Within(_) => "http",
            Self::Mutual(_) => "https",
        }
    }

    /// Who was refused.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        match self {
            Self::Plaintext | Self::Within(_) => Refusals::default(),
            Self::Mutual(credentials) => credentials.refusals().clone(),
        }
    }
}

/// Whether a host, as a URI has it, is this machine whatever a resolver says.
#[must_use]
pub fn is_of_this_machine(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
