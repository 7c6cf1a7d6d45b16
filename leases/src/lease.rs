//! A lease, and whoever keeps it.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// What a lease says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who has it; none if it was given back.
    pub holder: Option<String>,
    /// How often the lease was written: one more whenever it is.
    pub renewals: u64,
}

/// Why a lease cannot be read or written at the moment.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The file that has it.
    #[error("cannot {what} lease file {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("lease file {path} is damaged")]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The API server says no, or nothing that is understood.
    #[cfg(feature = "kubernetes")]
    #[error("cannot {what} lease {name:?} of namespace {namespace:?}")]
    Cluster {
        /// What was tried.
        what: &'static str,
        /// Where the lease is.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The API server does not answer in time.
    #[cfg(feature = "kubernetes")]
    #[error("cannot {what} lease {name:?} of namespace {namespace:?}: there is no answer after {after:?}")]
    Silent {
        /// What was tried.
        what: &'static str,
        /// Where the lease is.
        namespace: String,
        /// Its name.
        name: String,
        /// How long was waited.
        after: std::time::Duration,
    },
}

/// Keeps one lease for those who may have it.
pub trait Leases: Send + Sync {
    /// What the lease says; none if it is not there: nobody ever had it, or somebody has deleted it.
    fn read(&self) -> BoxFuture<'_, Result<Option<Lease>, LeaseError>>;

    /// Writes `next`, whose renewals are one more, if the lease still says `seen`; whether it did.
    fn replace(&self, seen: Option<Lease>, next: Lease) -> BoxFuture<'_, Result<bool, LeaseError>>;
}
