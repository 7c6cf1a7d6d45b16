//! Runs that the retention of their graph lets go.

use superstep_engine::Record;
use superstep_graph::RetentionSpec;
use superstep_provision::with_causes;
use superstep_runtime::{Removal, RunError, retain};
use superstep_store::{RunName, Store, StoreError};

use crate::exit::count;
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

fn complain(graph: &str, error: &RunError) {
    log::say(&format!("the retention of graph {graph}: {}", with_causes(error)));
}
