//! A log read again: it leads to the same history, and every message of it has exactly one status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use superstep_engine::{
    Action, Commit, End, FrameId, Notice, ProgramResult, Record, ReplayError, RunStatus, Solo,
};
use superstep_graph::{Port, ValidatedGraph, VertexName};

use crate::again::run_again;
use crate::history::History;
use crate::scenario::Scenario;
use crate::unreported::unreported;
use crate::words::Words;

/// What a log says.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) history: History,
    /// Messages that committed results have sent.
    pub(crate) sent: u64,
    /// Messages that have a final status.
    pub(crate) settled: u64,
    /// Where something waited at a good end that nobody was told of, if it did.
    pub(crate) unreported: Option<String>,
    /// Programs that were run again, and gave what the log has.
    pub(crate) again: u64,
}

/// What a log does not hold to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("record {position} of the log is not what its program gives again: {why}")]
    Again { position: usize, why: String },
}

/// Reads `log` record by record, and runs every program again whose end it tells.
///
/// # Errors
/// A record does not fit those before it, or a program does not give again what the log has.
pub(crate) fn audit(scenario: &Scenario, log: &[Record]) -> Result<Audit, AuditError> {
    let mut solo = Solo::new(scenario.config(1), Arc::new(Words));
    let mut notices = Vec::new();
    let mut status = None;
    let mut sent = 0;
    let mut again = 0;
    for (position, record) in log.iter().enumerate() {
        let graphs = graphs_of(record, &solo);
        again += run_again(&mut solo, record).map_err(|why| AuditError::Again { position, why })?;
        solo.replay(std::slice::from_ref(record))
            .map_err(|error| ReplayError { position, why: error.why })?;
        let before = notices.len();
        while let Some(action) = solo.poll_action() {
            match action {
                Action::Notify(notice) => notices.push(notice),
                Action::Ended(how) => status = Some(how),
                Action::Append(..) | Action::Run(_) | Action::Abort(_) | Action::Decide { .. } => {}
            }
        }
        if let Record::Committed(commit) = record {
            sent += sent_by(commit, &notices[before..], &graphs);
        }
    }
    let settled = notices.iter().filter(|notice| matches!(notice, Notice::Settled { .. })).count() as u64;
    let outputs = solo.coordinator().outputs().value().clone();
    let ended: Option<RunStatus> = status;
    let unreported = unreported(scenario, &notices, ended.as_ref());
    Ok(Audit { history: History::of(&notices, ended, outputs), sent, settled, unreported, again })
}

/// The graphs by which the results of a commit are routed: those before its mutations.
fn graphs_of(record: &Record, solo: &Solo) -> BTreeMap<FrameId, ValidatedGraph> {
    let Record::Committed(commit) = record else { return BTreeMap::new() };
    let frames: BTreeSet<FrameId> = commit.completed.iter().map(|completion| completion.frame).collect();
    let graph = |frame| solo.coordinator().graph(frame).cloned().map(|graph| (frame, graph));
    frames.into_iter().filter_map(graph).collect()
}

fn sent_by(commit: &Commit, notices: &[Notice], graphs: &BTreeMap<FrameId, ValidatedGraph>) -> u64 {
    let ends: BTreeMap<(FrameId, &VertexName), &End> = commit
        .completed
        .iter()
        .map(|completion| ((completion.frame, &completion.vertex), &completion.end))
        .collect();
    let mut sent = 0;
    for notice in notices {
        let Notice::Completed { activation, failure, .. } = notice else { continue };
        let (Some(end), Some(graph)) =
            (ends.get(&(activation.frame, &activation.vertex)), graphs.get(&activation.frame))
        else {
            continue;
        };
        let out = |port: &str| out(graph, &activation.vertex, port);
        sent += match failure {
            // Where a condition of an error edge has no value either, nothing is sent.
            Some(_) if !has_values(graph, &activation.vertex) => 0,
            Some(_) if out(Port::ERROR).iter().any(|known| *known) => out(Port::ERROR).len() as u64,
            Some(_) => 0,
            None => emitted(end).iter().map(|port| out(port).len() as u64).sum::<u64>() + direct(end),
        };
    }
    sent
}

/// Whether the conditions of all error edges of a vertex have a value, whatever the message.
fn has_values(graph: &ValidatedGraph, vertex: &VertexName) -> bool {
    let edges = graph.spec().edges.iter();
    let mut errors = edges.filter(|edge| edge.from == *vertex && edge.port.as_str() == Port::ERROR);
    errors.all(|edge| edge.when.as_deref().is_none_or(Words::is_word))
}

/// Of each edge that listens to a port, whether its receiver is there.
fn out(graph: &ValidatedGraph, vertex: &VertexName, port: &str) -> Vec<bool> {
    let edges = graph.spec().edges.iter();
    let own = edges.filter(|edge| edge.from == *vertex && edge.port.as_str() == port);
    own.map(|edge| graph.topology().find(&edge.to).is_some()).collect()
}

fn results(end: &End) -> Vec<&Arc<ProgramResult>> {
    match end {
        End::Derived => Vec::new(),
        End::Single(end) => end.iter().collect(),
        End::Each(ends) => ends.iter().filter_map(|end| end.as_ref().ok()).collect(),
    }
}

/// The ports of the messages of an activation, one for each.
fn emitted(end: &End) -> Vec<String> {
    let all = results(end).into_iter().flat_map(|result| &result.emissions);
    let ports = all.map(|emission| emission.port.to_string());
    match end {
        End::Derived => vec![Port::DEFAULT.to_owned()],
        End::Single(_) => ports.collect(),
        End::Each(_) => {
            // A group sends one list on each port.
            let ports: BTreeSet<String> = ports.collect();
            if ports.is_empty() { vec![Port::DEFAULT.to_owned()] } else { ports.into_iter().collect() }
        }
    }
}

fn direct(end: &End) -> u64 {
    results(end).into_iter().map(|result| result.direct.len() as u64).sum()
}
