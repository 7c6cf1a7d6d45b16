//! Runs that come from others: forked from a superstep, or continuing what another one has left.

use std::sync::Arc;

use superstep_engine::{Carried, Expressions, Fork, ForkError, FrameId, Record};
use superstep_graph::ValidatedGraph;
use superstep_store::{RunName, Store};

use super::{RunError, config_of, fresh_log, replayed};
use crate::expressions::EdgeExpressions;
use crate::programs::Programs;

/// The run's own graph as it is before a superstep, with the changes of all barriers before it.
///
/// # Errors
/// The run has no such superstep, or its records do not follow from each other.
pub fn graph_before(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
    superstep: u64,
) -> Result<ValidatedGraph, RunError> {
    let mutations = Vec::new();
    let plain = Fork { run: name.to_string(), superstep, mutations, started_at: 0 };
    let part = records_of(&plain, name, records, programs)?;
    let solo = replayed(name, &part, programs)?;
    let graph = solo.coordinator().graph(FrameId::ROOT).cloned();
    graph.ok_or_else(|| RunError::Empty { run: name.clone() })
}

/// Makes a run of what `of`, whose log holds `records`, had committed before a superstep. Its log is whole when
/// this returns, or there is no such run; it goes on when it is resumed. No call that had ended is made again.
///
/// # Errors
/// The run has no such superstep, a change is refused, the name is taken, or the store fails.
pub async fn fork(
    store: &Store<Record>,
    (of, records): (&RunName, &[Record]),
    programs: &Arc<Programs>,
    owner: &str,
    fork: &Fork,
) -> Result<RunName, RunError> {
    let name: RunName = fork.run.parse()?;
    let forked = records_of(fork, of, records, programs)?;
    let mut log = fresh_log(store, &name, owner)?;
    let appended = log.append(forked).await;
    appended.map_err(|source| RunError::Append { run: name.clone(), source })?;
    Ok(name)
}

/// What another run takes over that continues the run `name`: the values of the vertices of its own graph that
/// are not those of the graph, and what its persistent aggregators hold. How the run ended does not matter.
///
/// # Errors
/// The run has not ended, or its records do not follow from each other.
pub fn carried(name: &RunName, records: &[Record], programs: &Arc<Programs>) -> Result<Carried, RunError> {
    let solo = replayed(name, records, programs)?;
    if solo.has_ended() { Ok(solo.carried()) } else { Err(RunError::NotEnded { run: name.clone() }) }
}

fn records_of(
    fork: &Fork,
    of: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
) -> Result<Vec<Record>, RunError> {
    let config = config_of(of, records)?;
    let expressions: Arc<dyn Expressions + Send + Sync> =
        Arc::new(EdgeExpressions::new(Arc::clone(programs)));
    let forked = fork.records(config, &expressions, records);
    forked.map_err(|source| match source {
        ForkError::Replay(source) => RunError::Replay { run: of.clone(), source },
        source @ (ForkError::Empty
        | ForkError::Future { .. }
        | ForkError::Over { .. }
        | ForkError::Compacted
        | ForkError::Refused(_)
        | ForkError::Graph(_)) => RunError::Fork { run: of.clone(), source },
    })
}

#[cfg(test)]
mod tests;
