//! What is of a term that is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use superstep_store::RunName;

/// Refuses what is of a term that is over, as leader and as peer, and counts it. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stale(Arc<AtomicU64>);

impl Stale {
    pub(crate) fn refuse(&self, run: &RunName, what: &'static str, epoch: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%run, what, epoch, "what is of a term that is over is refused");
    }

    pub(crate) fn refused(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
