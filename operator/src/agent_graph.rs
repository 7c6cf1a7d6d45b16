//! Graphs: worker pods, and what these need to find each other, to be asked, and to reach nothing else.

mod build;
mod dereference;
mod history;
mod needs;
mod reconcile;
mod status;
#[cfg(test)]
mod tests;
mod triggers;
mod validate;

pub(crate) use dereference::{Namespace, Referenced, Server, dereference};
pub(crate) use reconcile::run;
