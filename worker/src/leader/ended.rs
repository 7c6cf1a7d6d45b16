//! What is done once a run has ended.

use std::sync::Arc;

use superstep_engine::{Notice, Payload, Record, RunStarted, RunStatus, Totals};
use superstep_graph::RetentionSpec;
use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said;
use superstep_runtime::{RunEnd, is_left, note_end, note_seen_to, retain, tell};
use superstep_store::{RunName, Store, StoreError};

use super::Shared;
use super::run::{LeadError, RunLead};
use crate::blocking::blocking;

/// Does what follows the end of a run that the log tells of, if nobody else has lived to do it: the leader that wrote
/// the end was killed before, or did not hear that it had become durable. What cannot be done is told of and left: the
/// run has ended all the same.
///
/// Whether it was done stands in a note beside the log, which may be lost: then the span of the run is sent twice, under
/// one id. It is not sent at all if whoever noted that was killed before the collector had the span.
pub(super) async fn see_to(lead: &mut RunLead, records: Vec<Record>) {
    let (Some(Record::RunStarted(started)), Some((status, epoch, owner))) =
        (records.first(), end_of(&records))
    else {
        return;
    };
    let (started, unheard) = (Arc::clone(started), lead.has_led() && owner == &*lead.shared.name);
    let (store, run) = (lead.shared.store.clone(), lead.run.clone());
    if !unheard && !blocking(move || is_left(&store, &run)).await {
        return;
    }
    tracing::info!(?status, "the run has ended, and what follows that is done now");
    // Those that have partitions of it attend in a moment.
    if lead.workers(&records).await.is_none() {
        return;
    }
    for worker in lead.parted(&records, &[]) {
        worker.say(Said::Release(v1::Release { run: lead.run.to_string(), epoch }));
    }
    // Nobody has a part of it, and whoever wants to leave need not wait for what follows.
    lead.place(Vec::new());
    let end = match told(lead, &started, records).await {
        Ok((outputs, totals)) => unheard.then_some(RunEnd { status, outputs, totals }),
        Err(error) => {
            let why = crate::with_causes(&error);
            tracing::warn!(%why, "what the run came to cannot be told, and its trace has no end");
            None
        }
    };
    settle(&lead.shared, &lead.run, started, end).await;
}

/// Tells the trace of a run what its log tells, and gives the outputs and totals at its end.
async fn told(
    lead: &mut RunLead,
    started: &RunStarted,
    records: Vec<Record>,
) -> Result<(Payload, Totals), LeadError> {
    let programs = lead.shared.provisions.not_loaded(&lead.run, started).map_err(LeadError::Provisions)?;
    let (run, mut past) = (lead.run.clone(), lead.spans.past(started));
    let told = blocking(move || {
        let tell_past = |notice: Notice| past.iter_mut().for_each(|past| past.tell(&notice));
        tell(&run, &records, &programs, tell_past).map(|(outputs, totals)| (outputs, totals, past))
    });
    let (outputs, totals, past) = told.await?;
    lead.spans.finish_past(past);
    Ok((outputs, totals))
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

/// Notes how a run ended, or only that its end was seen to, and removes the other runs of its graph that the retention
/// of the graph lets go. One that cannot be removed is told of, and stays. Its own older supersteps stay too: somebody
/// may be watching the end.
pub(super) async fn settle(shared: &Shared, run: &RunName, started: Arc<RunStarted>, end: Option<RunEnd>) {
    let (store, name) = (shared.store.clone(), run.clone());
    let retention = started.graphs.get(&started.root).and_then(|graph| graph.retention);
    let noted = tokio::task::spawn_blocking(move || {
        match end {
            Some(end) => note_end(&store, &name, (&started.root, started.started_at), None, &end),
            // Long after the end the name may be that of another run, and a note of an end that of its log.
            None => note_seen_to(&store, &name),
        }
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
