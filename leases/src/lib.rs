//! Who of several should lead.
//!
//! A [`Lease`] names who should, and nothing more: what only one may do is decided where it is done. Runs are fenced by the
//! epochs of their logs, so that a leader who loses his lease goes on with them until he finds a higher one, and clocks
//! that disagree do no harm. [`Election`] has the rules, [`Leases`] keeps the lease: [`FileLease`] in a folder,
//! `KubernetesLease` in a cluster.

mod election;
mod file;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod lease;

pub use election::{Election, Pace, Standing};
pub use file::FileLease;
#[cfg(feature = "kubernetes")]
pub use kubernetes::{KubernetesLease, RENEWALS};
pub use lease::{Lease, LeaseError, Leases};
