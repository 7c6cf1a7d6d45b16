//! Runs that have ended and keep only their last supersteps.

use std::sync::Arc;

use superstep_engine::{CompactError, Record, ReplayError};
use superstep_store::{RunName, Store};

use super::{RunError, config_of};
use crate::expressions::EdgeExpressions;
use crate::programs::Programs;

/// What compacting a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compaction {
    /// The run has no older supersteps than those that are to be kept.
    Whole,
    /// The records of older supersteps are gone.
    Compacted {
        /// The bytes that the run took before.
        before: u64,
        /// The bytes that it takes.
        after: u64,
    },
}

/// Removes from the log of a run that has ended all records but its start, what its last `keep` supersteps told,
/// its outputs and its end. It can be listed, inspected, watched and continued by another run as before; it cannot
/// be replayed, nor forked but from superstep 0. A crash leaves all of the records or the compacted log.
///
/// # Errors
/// The run has not ended, another process has it open, or its log is corrupt; the log is left as it is.
pub fn compact(
    store: &Store<Record>,
    name: &RunName,
    programs: &Arc<Programs>,
    keep: u64,
) -> Result<Compaction, RunError> {
    let before = store.entry(name)?.bytes;
    let rewritten = store.rewrite(name, "compacting it", |records| {
        let expressions = Arc::new(EdgeExpressions::new(Arc::clone(programs)));
        superstep_engine::compact(config_of(name, &records)?, expressions, &records, keep)
            .map_err(|source| failed(name, source))
    })?;
    if !rewritten {
        return Ok(Compaction::Whole);
    }
    Ok(Compaction::Compacted { before, after: store.entry(name)?.bytes })
}

fn failed(name: &RunName, source: CompactError) -> RunError {
    let run = name.clone();
    match source {
        CompactError::Replay(source @ ReplayError { .. }) => RunError::Replay { run, source },
        source @ CompactError::NotEnded => RunError::Compact { run, source },
    }
}

#[cfg(test)]
mod tests;
