//! Who the workers of a group are, and where.

mod folder;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use folder::MemberFolder;

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
}

/// Finds the workers of a group. What it says may be old: who is there is known by talking to him.
pub trait Discovery: Send + Sync {
    /// Tells the others of `me`.
    fn announce<'a>(&'a self, me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>>;

    /// Takes that back.
    fn withdraw<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), DiscoveryError>>;

    /// The workers, by name.
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, DiscoveryError>>;
}
