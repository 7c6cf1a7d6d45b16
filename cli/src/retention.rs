//! What the retention of a graph lets go: runs of it, and older supersteps of the one that has ended.

use superstep_engine::Record;
use superstep_graph::RetentionSpec;
use superstep_provision::{not_loaded, with_causes};
use superstep_runtime::{Compaction, Removal, RunError, compact, read_run, retain};
use superstep_store::{RunName, Store, StoreError};

use crate::exit::{CommandError, count};
use crate::log;
use crate::runs::size;

/// Removes what the retention of a graph lets go, now that a run of it has ended, and tells of it on stderr. A run
/// that cannot be removed is no reason for the one that has ended to fail.
pub(crate) fn apply(store: &Store<Record>, (graph, ended): (&str, &RunName), retention: RetentionSpec) {
    let gone = match retain(store, (graph, ended), retention) {
        Ok(gone) => gone,
        Err(error) => return complain(graph, &error),
    };
    let (mut removed, mut bytes) = (0, 0);
    for Removal { run, outcome } in gone {
        match outcome {
            Ok(()) => (removed, bytes) = (removed + 1, bytes + run.bytes),
            // Another process has it open, or has removed it.
            Err(StoreError::Locked { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => complain(graph, &RunError::Store(error)),
        }
    }
    if removed > 0 {
        let (runs, size) = (count(removed, "run"), size(bytes));
        log::say(&format!("the retention of graph {graph} has removed {runs}, {size}"));
    }
}

/// Keeps of a run that has ended only so many of its last supersteps, and tells of it on stderr.
pub(crate) fn shorten(store: &Store<Record>, ended: &RunName, keep: u64) {
    match compacted(store, ended, keep) {
        Ok(Compaction::Whole) => {}
        Ok(Compaction::Compacted { before, after }) => {
            let kept = count(usize::try_from(keep).unwrap_or(usize::MAX), "superstep");
            let (before, after) = (size(before), size(after));
            log::say(&format!("of run {ended} the last {kept} are kept: {before} became {after}"));
        }
        Err(error) => log::say(&format!("run {ended} is kept whole: {}", with_causes(&error))),
    }
}

/// Lets the older supersteps of a run go.
///
/// # Errors
/// The run has not ended, another process has it open, or its log is corrupt.
pub(crate) fn compacted(
    store: &Store<Record>,
    name: &RunName,
    keep: u64,
) -> Result<Compaction, CommandError> {
    let (started, _) = read_run(store, name)?;
    Ok(compact(store, name, &not_loaded(name, &started)?, keep)?)
}

fn complain(graph: &str, error: &RunError) {
    log::say(&format!("the retention of graph {graph}: {}", with_causes(error)));
}
