//! Why a run could not be begun, or not be driven to its end.

use superstep_engine::{CompactError, ForkError, ReplayError, RunStatus};
use superstep_graph::{Problems, VertexName};
use superstep_store::{AppendError, RunName, StoreError};

use super::{AnswerError, PatchError};
use crate::control::ControlError;
use crate::programs::PrepareError;

/// Why a run could not be begun, or not be driven to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store failed, or the log is corrupt.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log did not take records: the run stops here and can be resumed.
    #[error("the log of run {run} took no more records: {source}")]
    Append {
        /// The run.
        run: RunName,
        /// Why.
        source: AppendError,
    },
    /// The log has no records, or does not begin with the start of a run.
    #[error("the log of run {run} holds no run")]
    Empty {
        /// The run.
        run: RunName,
    },
    /// The records of the log do not follow from each other.
    #[error("run {run} cannot go on: {source}")]
    Replay {
        /// The run.
        run: RunName,
        /// Which record.
        source: ReplayError,
    },
    /// There is no such fork of the run.
    #[error("run {run} cannot be forked: {source}")]
    Fork {
        /// The run.
        run: RunName,
        /// Why.
        source: ForkError,
    },
    /// The run was compacted, and what is asked for needs all of its records.
    #[error("the log of run {run} was compacted: nothing is left of what happened before superstep {from}")]
    Compacted {
        /// The run.
        run: RunName,
        /// The first superstep of which its log tells what happened.
        from: u64,
    },
    /// The run that was watched was removed, and another one begun under its name.
    #[error(
        "run {run} was removed, and another run of that name was begun: watch that one from its beginning"
    )]
    Recreated {
        /// The run.
        run: RunName,
    },
    /// The run cannot be compacted.
    #[error("run {run} cannot be compacted: {source}")]
    Compact {
        /// The run.
        run: RunName,
        /// Why.
        source: CompactError,
    },
    /// The run goes on, and cannot be continued by another one before it has ended.
    #[error("run {run} has not ended, so that no other run can continue it: resume it first")]
    NotEnded {
        /// The run.
        run: RunName,
    },
    /// The answer is not taken.
    #[error("run {run}: {source}")]
    Answer {
        /// The run.
        run: RunName,
        /// Why.
        source: AnswerError,
    },
    /// The patch is not taken.
    #[error("run {run}: {source}")]
    Patch {
        /// The run.
        run: RunName,
        /// Why.
        source: PatchError,
    },
    /// The run has ended, and nothing changes it any more.
    #[error("run {run} has ended")]
    Over {
        /// The run.
        run: RunName,
        /// How it ended.
        status: RunStatus,
    },
    /// A process drives the run and cannot be reached.
    #[error("run {run} is driven by {holder}, which does not listen")]
    Unreachable {
        /// The run.
        run: RunName,
        /// The process.
        holder: String,
    },
    /// Whoever drives the run was reached and not understood.
    #[error("whoever drives run {run}: {source}")]
    Control {
        /// The run.
        run: RunName,
        /// Why.
        source: ControlError,
    },
    /// A graph of the log is not valid to this version.
    #[error("graph {graph:?} of the run is not valid: {problems}")]
    Graph {
        /// The graph.
        graph: String,
        /// What is wrong.
        problems: Problems,
    },
    /// A graph that the run needs is not there.
    #[error("no graph is named {0:?}")]
    NoGraph(String),
    /// The program of a vertex cannot be prepared.
    #[error("vertex {vertex:?} of graph {graph:?} cannot run: {source}")]
    Program {
        /// The graph.
        graph: String,
        /// The vertex.
        vertex: VertexName,
        /// Why.
        source: Box<PrepareError>,
    },
}
