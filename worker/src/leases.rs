//! Who should lead.
//!
//! A lease says who should try to lead, and nothing more: who may write to the log of a run is decided there
//! ([`superstep_engine::Epoch`]). So a leader that loses its lease goes on with its runs until it finds a higher
//! term in a log, and clocks that disagree do no harm.

mod election;
mod file;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use election::{Election, Pace, Standing};
pub use file::FileLease;

/// What a lease says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The worker that has it; none if it was given back.
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
}

/// Keeps one lease for a group of workers.
pub trait Leases: Send + Sync {
    /// What the lease says; none if nobody ever had it.
    fn read(&self) -> BoxFuture<'_, Result<Option<Lease>, LeaseError>>;

    /// Writes `next`, whose renewals are one more, if the lease still says `seen`; whether it did.
    fn replace(&self, seen: Option<Lease>, next: Lease) -> BoxFuture<'_, Result<bool, LeaseError>>;
}
