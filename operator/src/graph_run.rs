//! Runs: handed to the workers of their graph, and told of in their status.

mod adopt;
mod documents;
mod ending;
mod former;
mod mirror;
mod place;
mod proposals;
mod reconcile;
mod servers;
mod status;
mod submission;
mod triggers;

pub(crate) use adopt::Compared;
pub(crate) use ending::has_ended;
pub(crate) use former::former;
pub(crate) use mirror::{MIRRORED, Mirrored};
pub(crate) use proposals::Unpatched;
pub(crate) use reconcile::run;
pub(crate) use submission::name_of;
