//! The process that works on runs: as leader, as peer, or both.
//!
//! Workers of a group elect a leader ([`superstep_leases`]). It has a task for every run that goes on, with the run's
//! coordinator and its log, and gives the run's partitions to the workers that attend to it; itself it is one of them.
//! Messages between vertices go from worker to worker. What a worker notes of its calls stands in journals beside
//! the run's log. Whatever happens to a worker or the leader, the run goes on in another *term*: its log and journals
//! are read, a higher epoch is written to it, and its partitions are given out anew. What still runs in workers that
//! are there is not begun again ([`superstep_runtime::Hands`]). A vertex is at a worker that has what it requires, and the models
//! inside workers that it calls; no other worker loads these.

mod blocking;
mod certificates;
mod channels;
mod counts;
mod discovery;
mod health;
mod labels;
mod leader;
mod limits;
mod log_span;
mod node;
mod off_thread;
mod peer;
mod pieces;
mod provisions;
mod runs;
mod services;
mod stale;
mod vitals;

pub use certificates::{Signing, SigningError};
pub use channels::Channels;
pub use discovery::{Discovery, DiscoveryError, Member, MemberFolder, Pods};
pub use health::{Health, HealthError};
pub use labels::labels_of_models;
pub use node::{Node, NodeConfig, NodeError, Surroundings};
pub use provisions::{Loader, Provisions, ProvisionsError};
pub use vitals::Vitals;

use superstep_provision::with_causes;
