//! Changes of graphs: handed to the run that they are for, or folded into what later runs have.

mod judged;
mod reconcile;

pub(crate) use judged::{Judged, judged, status_of, waiting};
pub(crate) use reconcile::run;
