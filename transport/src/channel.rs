//! Channels to workers, with the limits that both ends have.

use std::sync::Arc;

use tonic::transport::{Channel, Endpoint};

use crate::connect::{Connector, Expected};
use crate::identity::Name;
use crate::limits::{CONNECT, KEEPALIVE, KEEPALIVE_ANSWER};
use crate::network::Within;
use crate::security::{Security, is_of_this_machine};

/// Why an address is not used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is none.
    #[error("{address:?} is no address of a worker, such as https://workers:7101")]
    Invalid {
        /// The address.
        address: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// It has no scheme that workers have.
    #[error("{address:?} is no address of a worker: it begins with neither https:// nor http://")]
    Scheme {
        /// The address.
        address: String,
    },
    /// It is of another machine, and nothing is to be encrypted.
    #[error(
        "{address} is not on this machine, and http:// is not encrypted: other machines are reached by https://, \
         with certificates"
    )]
    Plaintext {
        /// The address.
        address: String,
    },
    /// A server cannot be called so.
    #[error("{name:?} is no name of a server")]
    Name {
        /// What it was to be.
        name: String,
    },
    /// It wants certificates, and there are none.
    #[error("{address} needs certificates: --tls DIR, a folder with ca.crt, tls.crt and tls.key")]
    NoCertificates {
        /// The address.
        address: String,
    },
    /// There are certificates, and it wants none.
    #[error("{address} is not encrypted, and there are certificates: its address begins with https://")]
    NotEncrypted {
        /// The address.
        address: String,
    },
}

/// Whether what an address says of encryption fits: `https://` where there are certificates, and `http://` to this
/// machine only.
///
/// # Errors
/// It does not, or is no address.
pub fn check_address(address: &str, security: &Security) -> Result<(), AddressError> {
    endpoint(address, security).map(drop)
}

/// A channel to the worker at `address`, which is made when it is used and made anew when it was lost. With
/// certificates it leads to a worker of the own group only, for clients to one of their namespace and of `graph`, if
/// they name it.
///
/// # Errors
/// The address is none, or does not fit the security.
pub fn channel(address: &str, security: &Security, graph: Option<&Name>) -> Result<Channel, AddressError> {
    let endpoint = endpoint(address, security)?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_ANSWER)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    Ok(match security {
        Security::Plaintext => endpoint.connect_lazy(),
        Security::Within(network) => endpoint.connect_with_connector_lazy(Within(Arc::clone(network))),
        Security::Mutual(credentials) => {
            let mut expected = Expected::by(credentials.identity());
            if let Some(graph) = graph {
                expected.graph = Some(graph.clone());
            }
            endpoint.connect_with_connector_lazy(Connector::new(Arc::clone(credentials), expected))
        }
    })
}

/// An address that is encrypted.
pub(crate) fn encrypted(address: &str) -> Result<Endpoint, AddressError> {
    let endpoint = parsed(address)?;
    if endpoint.uri().scheme_str() == Some("https") {
        Ok(endpoint)
    } else {
        Err(AddressError::NotEncrypted { address: address.to_owned() })
    }
}

fn parsed(address: &str) -> Result<Endpoint, AddressError> {
    let address = address.to_owned();
    // Some other schemes mean something to the library.
    if !["http://", "https://"].iter().any(|scheme| address.starts_with(scheme)) {
        return Err(AddressError::Scheme { address });
    }
    Endpoint::from_shared(address.clone()).map_err(|source| AddressError::Invalid { address, source })
}

fn endpoint(address: &str, security: &Security) -> Result<Endpoint, AddressError> {
    let endpoint = parsed(address)?;
    let address = address.to_owned();
    let is_here = endpoint.uri().host().is_some_and(is_of_this_machine);
    match (endpoint.uri().scheme_str(), security) {
        (Some("https"), Security::Mutual(_)) => Ok(endpoint),
        (Some("https"), Security::Plaintext | Security::Within(_)) => {
            Err(AddressError::NoCertificates { address })
        }
        (Some("http"), Security::Within(_)) => Ok(endpoint),
        (Some("http"), Security::Mutual(_)) => Err(AddressError::NotEncrypted { address }),
        (Some("http"), Security::Plaintext) if is_here => Ok(endpoint),
        (Some("http"), Security::Plaintext) => Err(AddressError::Plaintext { address }),
        (_, Security::Plaintext | Security::Within(_) | Security::Mutual(_)) => {
            Err(AddressError::Scheme { address })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_encrypted_stays_on_this_machine() {
        let check = |address| check_address(address, &Security::Plaintext);
        for address in
            ["http://127.0.0.1:7101", "http://localhost:1", "http://[::1]:7101", "http://127.8.9.1"]
        {
            assert!(check(address).is_ok(), "{address}");
        }
        for address in [
            "http://10.0.0.1:7101",
            "http://workers:7101",
            "http://0.0.0.0:7101",
            "http://localhost.example:1",
            "http://127.0.0.1.example:1",
            "http://127.0.0.1@example:1",
            "http://[::]:7101",
        ] {
            assert!(matches!(check(address), Err(AddressError::Plaintext { .. })), "{address}");
        }
        assert!(matches!(check("https://127.0.0.1:1"), Err(AddressError::NoCertificates { .. })));
        assert!(matches!(check("unix:/tmp/socket"), Err(AddressError::Scheme { .. })));
        assert!(check("a b").is_err());
    }
}
