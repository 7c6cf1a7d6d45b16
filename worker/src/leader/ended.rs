//! What is done in the store once a run has ended.

use std::sync::Arc;

use superstep_engine::{Record, RunStarted};
use superstep_graph::RetentionSpec;
use superstep_runtime::{RunEnd, note_end, retain};
use superstep_store::{RunName, Store, StoreError};

use super::Shared;

/// Notes how a run ended, and removes the other runs of its graph that the retention of the graph lets go. One that
/// cannot be removed is told of, and stays. Its own older supersteps stay too: somebody may be watching the end.
pub(super) async fn settle(shared: &Shared, run: &RunName, started: Arc<RunStarted>, end: RunEnd) {
    let (store, name) = (shared.store.clone(), run.clone());
    let retention = started.graphs.get(&started.root).and_then(|graph| graph.retention);
    let noted = tokio::task::spawn_blocking(move || {
        note_end(&store, &name, (&started.root, started.started_at), None, &end);
        if let Some(retention) = retention {
            let_go(&store, (&started.root, &name), retention);
        }
    });
    noted.await.expect("noting the end of a run does not panic");
}

fn let_go(store: &Store<Record>, (graph, ended): (&str, &RunName), retention: RetentionSpec) {
    let removals = match retain(store, (graph, ended), retention) {
        Ok(removals) => removals,
        Err(error) => {
            let why = crate::with_causes(&error);
            return tracing::warn!(graph, %why, "the retention of the graph cannot be applied");
        }
    };
    for removal in removals {
        let run = &removal.run.name;
        match removal.outcome {
            Ok(()) => tracing::info!(graph, %run, "the retention of the graph has removed a run"),
            // Somebody has it open, or has removed it.
            Err(StoreError::Locked { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => {
                let why = crate::with_causes(&error);
                tracing::warn!(graph, %run, %why, "a run cannot be removed that is to go");
            }
        }
    }
}
