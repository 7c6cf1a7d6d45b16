//! What a worker is started with, and why it cannot start.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use superstep_leases::Pace;
use superstep_store::StoreError;
use superstep_transport::{AddressError, Identity, Security, check_address, is_of_this_machine};

use crate::discovery::{DiscoveryError, is_name};

/// What a worker is started with.
pub struct NodeConfig {
    /// Its name, unique in the group and the same after a restart.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others reach it, if that is not where it listens: a URI. One that listens everywhere has to say it.
    pub address: Option<String>,
    /// What it has, such as `gpu`.
    pub labels: BTreeSet<String>,
    /// How fast a lease changes hands.
    pub pace: Pace,
    /// How its connections are kept from others.
    pub security: Security,
}

impl NodeConfig {
    pub(super) fn check(&self) -> Result<(), NodeError> {
        if !is_name(&self.name) {
            return Err(NodeError::Name { name: self.name.clone() });
        }
        match &self.security {
            Security::Plaintext if !is_of_this_machine(&self.listen.ip().to_string()) => {
                return Err(NodeError::Plaintext { address: self.listen });
            }
            Security::Plaintext | Security::Within(_) => {}
            Security::Mutual(credentials) => match credentials.identity() {
                Identity::Worker { name, .. } if name.as_str() == self.name => {}
                identity @ (Identity::Worker { .. } | Identity::Client { .. }) => {
                    let (name, identity) = (self.name.clone(), Box::new(identity.clone()));
                    return Err(NodeError::Certificate { name, identity });
                }
            },
        }
        match &self.address {
            Some(address) => Ok(check_address(address, &self.security)?),
            None if self.listen.ip().is_unspecified() => Err(NodeError::Unreachable { address: self.listen }),
            None => Ok(()),
        }
    }
}

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its name is none.
    #[error("{name:?} is no name of a worker: 1 to 63 of a-z, 0-9 and -")]
    Name {
        /// What it was to be.
        name: String,
    },
    /// Its certificate is another's.
    #[error("the worker is to be {name:?}, and its certificate names {identity}")]
    Certificate {
        /// What it was to be.
        name: String,
        /// Whom the certificate names.
        identity: Box<Identity>,
    },
    /// Others would reach it without encryption.
    #[error(
        "without encryption a worker listens on loopback only, and {address} is not: show certificates, or listen on \
         127.0.0.1"
    )]
    Plaintext {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// Where it listens is no place that others could be told.
    #[error(
        "a worker that listens on {address}, which is everywhere, has to say where others reach it: --address URL"
    )]
    Unreachable {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// Others could not reach it so.
    #[error("the address of the worker cannot be used")]
    Address(#[from] AddressError),
    /// It cannot listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store does not keep what it must.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The others cannot be told.
    #[error("the other workers cannot be told")]
    Discovery(#[from] DiscoveryError),
    /// The service of reflection cannot be made.
    #[error("the services cannot describe themselves")]
    Reflection(#[from] tonic_reflection::server::Error),
}
