//! What a run's log holds. The log is the only truth: a run is resumed by replaying it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use superstep_graph::{GraphSpec, Mutation, PriorityClass, Revision, ValidatedGraph, VertexName};

use crate::call::{CallOutcome, CallRequest};
use crate::compaction::Remains;
use crate::costs::{Costs, Measured};
use crate::ids::{ActivationId, Epoch, FrameId, QuestionId};
use crate::notice::{Notice, RunStatus};
use crate::payload::{Payload, as_json};
use crate::program::{Failure, ProgramResult, Question, Usage};
use crate::values::holds;

/// One entry of a run's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// The first entry: all that a run begins with.
    RunStarted(Arc<RunStarted>),
    /// A leader has taken over; records of lower epochs end here.
    EpochTaken {
        /// The new term.
        epoch: Epoch,
        /// Who took it.
        owner: String,
    },
    /// A call is about to be made; its reservation is charged until the outcome is known.
    CallIntent {
        /// Which call.
        call: CallKey,
        /// What is asked.
        request: CallRequest,
    },
    /// A call has ended.
    CallEnded {
        /// Which call.
        call: CallKey,
        /// How.
        outcome: CallOutcome,
    },
    /// An attempt failed and will be made again.
    AttemptFailed {
        /// The activation.
        activation: ActivationId,
        /// Its attempts so far.
        attempts: u32,
        /// Why the last one failed.
        failure: Failure,
    },
    /// An activation waits for an answer from outside.
    Suspended {
        /// Which question.
        id: QuestionId,
        /// What it asks.
        question: Question,
        /// The call that was in flight at a crash, if the question is what became of it: then the
        /// program runs again, up to that call.
        doubt: Option<CallKey>,
    },
    /// An answer from outside. It is taken up when a superstep starts.
    Answered {
        /// The question.
        question: QuestionId,
        /// The answer.
        answer: Payload,
    },
    /// A change asked for from outside. It is judged at the next barrier.
    Patched(Patch),
    /// A superstep has ended: the one record that makes its results count.
    Committed(Arc<Commit>),
    /// The run has ended.
    Ended(RunStatus),
    /// What earlier runs have measured of the graphs of this one, with which its routers begin. It stands
    /// beside the start of the run.
    Known(Costs),
    /// What activations have cost that are in the commit after it, in order of (frame, vertex).
    Measured(Vec<Measured>),
    /// The run begins with a part of another run: the records from here to the commit before
    /// `superstep` are that run's, apart from changes that were asked for when it was forked.
    Forked {
        /// The other run.
        run: String,
        /// The first superstep of its own.
        superstep: u64,
    },
    /// The run continues another one that has ended. It stands with the start of the run.
    Continued(Arc<Carried>),
    /// The workers among which the vertices are from here on, in the order of their partitions. It stands with
    /// the start of a term on a cluster.
    Placed(Vec<Placed>),
    /// The run has ended, and its records of older supersteps are gone: what it has come to. It stands with the
    /// start of the run, and behind it what the supersteps told that are kept.
    Compacted(Arc<Remains>),
    /// What a record told that is gone.
    Told(Box<Notice>),
    /// Somebody wants the run to stand still at its next barrier, or to go on. Commits behind it in the log obey it.
    RunSuspended(bool),
}

impl Record {
    /// What the log of a run says that its routers knew of costs when it began.
    pub fn known_costs(records: &[Self]) -> Costs {
        // It is in the batch that begins the log.
        let known = records.iter().take(5).find_map(|record| match record {
            Self::Known(costs) => Some(costs.clone()),
            Self::RunStarted(_)
            | Self::EpochTaken { .. }
            | Self::CallIntent { .. }
            | Self::CallEnded { .. }
            | Self::AttemptFailed { .. }
            | Self::Suspended { .. }
            | Self::Answered { .. }
            | Self::Patched(_)
            | Self::Committed(_)
            | Self::Ended(_)
            | Self::Measured(_)
            | Self::Forked { .. }
            | Self::Continued(_)
            | Self::Placed(_)
            | Self::Compacted(_)
            | Self::Told(_)
            | Self::RunSuspended(_) => None,
        });
        known.unwrap_or_default()
    }

    /// How many supersteps a run has committed.
    pub fn supersteps(records: &[Self]) -> u64 {
        let committed = records.iter().filter(|record| matches!(record, Self::Committed(_))).count() as u64;
        Remains::of(records).map_or(committed, |remains| remains.totals.supersteps)
    }
}

impl Carried {
    /// What of it a run of `graph` can begin with, and the names of what has no place there: vertices that the
    /// graph does not have, and aggregators that are not there, do not persist, or hold something else.
    #[must_use]
    pub fn onto(self, graph: &ValidatedGraph) -> (Self, Vec<VertexName>) {
        let mut left = Vec::new();
        let mut kept = |map: BTreeMap<VertexName, Payload>, has: &dyn Fn(&VertexName, &Payload) -> bool| {
            let (kept, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
                map.into_iter().partition(|(name, value)| has(name, value));
            left.extend(others.into_keys());
            kept
        };
        let values = kept(self.values, &|name, _| graph.topology().find(name).is_some());
        let aggregates = kept(self.aggregates, &|name, value| {
            let declared = graph.spec().aggregators.iter().find(|declared| declared.name == *name);
            declared.is_some_and(|declared| declared.persistent && holds(declared.fold, value))
        });
        (Self { run: self.run, values, aggregates }, left)
    }
}

/// What a run takes over from the one that it continues.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// The run that is continued.
    pub run: String,
    /// The values with which vertices of the run's own graph begin, in place of those of the graph.
    pub values: BTreeMap<VertexName, Payload>,
    /// What persistent aggregators hold from the start on.
    pub aggregates: BTreeMap<VertexName, Payload>,
}

/// A worker that has a partition of a run for one term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its name.
    pub worker: String,
    /// What it has, such as `gpu`.
    pub labels: BTreeSet<String>,
    /// The journal beside the log of the run to which it writes its calls in this term, and nobody else ever.
    pub journal: String,
}

/// All that a run begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The run's name.
    pub run: String,
    /// The name of the run's own graph.
    pub root: String,
    /// That graph and those it opens as sub-graphs, by name.
    #[serde(with = "as_json")]
    pub graphs: BTreeMap<String, Arc<GraphSpec>>,
    /// The input.
    pub input: Payload,
    /// What the driver needs to resume the run, kept as it is.
    pub attachment: Payload,
    /// Seconds since 1970 when the run was started, for people.
    pub started_at: u64,
}

/// The end of one superstep, as a delta.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// The superstep.
    pub superstep: u64,
    /// Time that the run was worked on so far, in microseconds.
    pub elapsed: u64,
    /// The activations that completed in it, in order of (frame, vertex).
    pub completed: Vec<Completion>,
    /// Who asked from outside for the changes that were judged at this barrier.
    pub patches: Vec<String>,
    /// The revisions that its mutations made.
    pub revisions: Vec<(FrameId, Revision)>,
    /// How the run ends with this commit, if it does; what is in flight is cancelled.
    pub closing: Option<RunStatus>,
}

/// One activation, or one forEach group, in a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The frame.
    pub frame: FrameId,
    /// The vertex.
    pub vertex: VertexName,
    /// How it ended.
    pub end: End,
}

/// How an activation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum End {
    /// As the state before it determines: a sub-graph that ended, a join that failed, an empty list.
    Derived,
    /// With a result or, after all retries, a failure.
    Single(Result<Arc<ProgramResult>, Failure>),
    /// A forEach group: the same for every element, in order.
    Each(Vec<Result<Arc<ProgramResult>, Failure>>),
}

/// A list of changes asked for from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// Who asks, as a class.
    pub class: PriorityClass,
    /// Who asks, by name; unique among the patches of a run.
    pub requester: String,
    /// The changes.
    #[serde(with = "as_json")]
    pub mutations: Vec<Mutation>,
}

/// The identity of a call: it is the same in every replay, whatever the order of concurrent calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallKey {
    /// The activation that calls.
    pub activation: ActivationId,
    /// The digest of the request.
    pub digest: [u8; 16],
    /// Its number among the activation's calls of equal digest.
    pub occurrence: u32,
    /// The activation's attempt that makes it, from 0.
    pub attempt: u32,
}

impl CallKey {
    /// The key that the call carries so that its receiver can recognise a repetition: 32 hex
    /// digits, the same whenever this call of this run is sent.
    pub fn idempotency_key(&self, run: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [run.as_bytes(), self.activation.to_string().as_bytes(), &self.digest] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(&self.occurrence.to_le_bytes());
        hasher.update(&self.attempt.to_le_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// What a run used in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Supersteps committed.
    pub supersteps: u64,
    /// Activations started, each element counted.
    pub activations: u64,
    /// Mutations applied.
    pub mutations: u64,
    /// What calls used.
    pub usage: Usage,
    /// Time worked on, in microseconds.
    pub elapsed: u64,
}
