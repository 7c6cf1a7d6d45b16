//! A log read again: it leads to the same history, and every message of it has exactly one status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use superstep_engine::{
    Action, Commit, End, FrameId, Notice, ProgramResult, Record, ReplayError, RunStatus, Solo,
};
use superstep_graph::{Port, ValidatedGraph, VertexName};

use crate::again::run_again;
use crate::budget::Inner;
use crate::history::History;
use crate::letters::{Letters, Sender};
use crate::scenario::Scenario;
use crate::unreported::unreported;
use crate::words::Words;

/// What a log says.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) history: History,
    /// A message that has no status, or several, or that nobody sent, if there is one.
    pub(crate) astray: Option<String>,
    /// The budget of a sub-graph that was passed, if one was.
    pub(crate) overdrawn: Option<String>,
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
    let mut letters = Letters::default();
    let mut inner = Inner::default();
    let mut overdrawn = None;
    let mut again = 0;
    for (position, record) in log.iter().enumerate() {
        let graphs = graphs_of(record, &solo);
        again += run_again(&mut solo, record).map_err(|why| AuditError::Again { position, why })?;
        solo.replay(std::slice::from_ref(record))
            .map_err(|error| ReplayError { position, why: error.why })?;
        overdrawn = overdrawn.or(inner.charge(record));
        let before = notices.len();
        while let Some(action) = solo.poll_action() {
            match action {
                Action::Notify(notice) => notices.push(notice),
                Action::Ended(how) => status = Some(how),
                Action::Append(..) | Action::Run(_) | Action::Abort(_) | Action::Decide { .. } => {}
            }
        }
        notices[before..].iter().for_each(|notice| inner.open(scenario, notice));
        if let Record::Committed(commit) = record {
            sent_by(commit, &notices[before..], &graphs, &mut letters);
        }
    }
    notices.iter().for_each(|notice| letters.settle(notice));
    let outputs = solo.coordinator().outputs().value().clone();
    let ended: Option<RunStatus> = status;
    let unreported = unreported(scenario, &notices, ended.as_ref());
    Ok(Audit {
        history: History::of(&notices, ended, outputs),
        astray: letters.astray(),
        overdrawn,
        unreported,
        again,
    })
}

/// The graphs by which the results of a commit are routed: those before its mutations.
fn graphs_of(record: &Record, solo: &Solo) -> BTreeMap<FrameId, ValidatedGraph> {
    let Record::Committed(commit) = record else { return BTreeMap::new() };
    let frames: BTreeSet<FrameId> = commit.completed.iter().map(|completion| completion.frame).collect();
    let graph = |frame| solo.coordinator().graph(frame).cloned().map(|graph| (frame, graph));
    frames.into_iter().filter_map(graph).collect()
}

/// Notes the messages that a commit sends, each by the name that its status tells.
fn sent_by(
    commit: &Commit,
    notices: &[Notice],
    graphs: &BTreeMap<FrameId, ValidatedGraph>,
    letters: &mut Letters,
) {
    let ends: BTreeMap<(FrameId, &VertexName), &End> = commit
        .completed
        .iter()
        .map(|completion| ((completion.frame, &completion.vertex), &completion.end))
        .collect();
    for notice in notices {
        let Notice::Completed { activation, failure, .. } = notice else { continue };
        let (Some(end), Some(graph)) =
            (ends.get(&(activation.frame, &activation.vertex)), graphs.get(&activation.frame))
        else {
            continue;
        };
        let sender = Sender::of(activation);
        let out = |port: &str| out(graph, &activation.vertex, port);
        let mut send = |port: &str, to: &VertexName| letters.send(&sender, port, to);
        match failure {
            // Where a condition of an error edge has no value either, nothing is sent.
            Some(_) if !has_values(graph, &activation.vertex) => {}
            Some(_) if out(Port::ERROR).iter().any(|(_, known)| *known) => {
                out(Port::ERROR).iter().for_each(|(to, _)| send(Port::ERROR, to));
            }
            Some(_) => {}
            None => {
                for port in emitted(end) {
                    out(&port).iter().for_each(|(to, _)| send(&port, to));
                }
                direct(end).for_each(|to| send(Port::DEFAULT, to));
            }
        }
    }
}

/// Whether the conditions of all error edges of a vertex have a value, whatever the message.
fn has_values(graph: &ValidatedGraph, vertex: &VertexName) -> bool {
    let edges = graph.spec().edges.iter();
    let mut errors = edges.filter(|edge| edge.from == *vertex && edge.port.as_str() == Port::ERROR);
    errors.all(|edge| edge.when.as_deref().is_none_or(Words::is_word))
}

/// The receiver of each edge that listens to a port, and whether it is there.
fn out<'a>(graph: &'a ValidatedGraph, vertex: &VertexName, port: &str) -> Vec<(&'a VertexName, bool)> {
    let edges = graph.spec().edges.iter();
    let own = edges.filter(|edge| edge.from == *vertex && edge.port.as_str() == port);
    own.map(|edge| (&edge.to, graph.topology().find(&edge.to).is_some())).collect()
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

/// The receivers of what an activation sends directly, one for each message.
fn direct(end: &End) -> impl Iterator<Item = &VertexName> {
    results(end).into_iter().flat_map(|result| &result.direct).map(|direct| &direct.to)
}
