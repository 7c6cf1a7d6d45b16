//! What is done once a run has ended.

use std::sync::Arc;

use superstep_engine::{Notice, Record, RunStarted, RunStatus};
use superstep_graph::RetentionSpec;
use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said;
use superstep_runtime::{RunEnd, is_left, note_end, retain, tell};
use superstep_store::{RunName, Store, StoreError};

use super::Shared;
use super::run::{LeadError, RunLead};
use crate::blocking::blocking;

/// Does what follows the end of a run that the log tells of, if nobody else has lived to do it: the leader that wrote
/// the end was killed before, or did not hear that it had become durable.
///
/// Whether it was done stands in a note beside the log, which may be lost: then the span of the run is sent twice, under
/// one id. It is not sent at all if whoever noted that was killed before the collector had the span.
///
/// # Errors
/// What the run needs cannot be known, or its log does not lead to its end.
pub(super) async fn see_to(lead: &mut RunLead, records: Vec<Record>) -> Result<(), LeadError> {
    let (Some(Record::RunStarted(started)), Some((status, epoch, owner))) =
        (records.first(), end_of(&records))
    else {
        return Ok(());
    };
    let (started, unheard) = (Arc::clone(started), lead.has_led() && owner == &*lead.shared.name);
    let (store, run) = (lead.shared.store.clone(), lead.run.clone());
    if !unheard && !blocking(move || is_left(&store, &run)).await {
        return Ok(());
    }
    tracing::info!(?status, "the run has ended, and what follows that is done now");
    // Those that have partitions of it attend in a moment.
    if lead.workers(&records).await.is_none() {
        return Ok(());
    }
    let had = lead.parted(&records, &[]);
    let programs = lead.shared.provisions.not_loaded(&lead.run, &started).map_err(LeadError::Provisions)?;
    let (run, mut past) = (lead.run.clone(), lead.spans.past(&started));
    let told = blocking(move || {
        let tell_past = |notice: Notice| past.iter_mut().for_each(|past| past.tell(&notice));
        tell(&run, &records, &programs, tell_past).map(|(outputs, totals)| (outputs, totals, past))
    });
    let (outputs, totals, past) = told.await?;
    lead.spans.finish_past(past);
    for worker in had {
        worker.say(Said::Release(v1::Release { run: lead.run.to_string(), epoch }));
    }
    settle(&lead.shared, &lead.run, started, RunEnd { status, outputs, totals }).await;
    Ok(())
}

/// How a run has ended, in which term, and who led that; none if workers had no part in it, or its records are gone.
fn end_of(records: &[Record]) -> Option<(RunStatus, u64, &str)> {
    if records.iter().any(|record| matches!(record, Record::Compacted(_))) {
        return None;
    }
    let last = |record: &&Record| matches!(record, Record::EpochTaken { .. });
    let Some(Record::EpochTaken { epoch, owner }) = records.iter().rfind(last) else { return None };
    let is_placed = records.iter().any(|record| matches!(record, Record::Placed(_)));
    let ended = records
        .iter()
        .rev()
        .find_map(|record| if let Record::Ended(status) = record { Some(status.clone()) } else { None });
    ended.filter(|_| is_placed).map(|status| (status, epoch.0, owner.as_str()))
}

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
