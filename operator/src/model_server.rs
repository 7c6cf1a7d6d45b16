//! Models: the pods that serve them, whatever the engine, and where they are asked.

mod autoscaling;
mod build;
mod fit;
mod reconcile;
mod status;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use autoscaling::Scaled;
pub(crate) use reconcile::run;
