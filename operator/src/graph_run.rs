//! Runs: handed to the workers of their graph, and told of in their status.

mod dereference;
mod documents;
mod ending;
mod mirror;
mod reconcile;
mod status;
mod submission;

pub(crate) use ending::has_ended;
pub(crate) use mirror::{MIRRORED, Mirrored};
pub(crate) use reconcile::reconcile;
pub(crate) use submission::name_of;
