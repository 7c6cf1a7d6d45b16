//! Who the workers of a group are, and where.

mod folder;
mod pods;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use folder::MemberFolder;
pub use pods::Pods;

/// A worker as others know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name, unique in the group and the same after a restart.
    pub name: String,
    /// Where its services are, as a URI.
    pub address: String,
}

/// Why the workers cannot be found at the moment.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The folder that knows them.
    #[error("cannot {what} {path}")]
    Folder {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} names no worker")]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Nobody can have this name.
    #[error("{name:?} is no name of a worker")]
    Name {
        /// The name.
        name: String,
    },
    /// A name of the network cannot be looked up.
    #[error("cannot look {host} up")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Whether a worker can have this name: 1 to 63 of a-z, 0-9 and `-`, as a host has it.
pub(crate) fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(is_good)
}

/// Finds the workers of a group. What it says may be old: who is there is known by talking to him.
pub trait Discovery: Send + Sync {
    /// Tells the others of `me`.
    fn announce<'a>(&'a self, me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>>;

    /// Takes that back, unless another process has the name by then.
    fn withdraw<'a>(&'a self, me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>>;

    /// Where the worker of this name is; none if that is not known.
    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, DiscoveryError>>;

    /// Whether there is any other worker than that of this name.
    fn has_others<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, DiscoveryError>>;
}
