//! What observers are told, in the order in which it became true.

use serde::{Deserialize, Serialize};
use superstep_graph::{Mutation, Port, Revision, Verdict, VertexName, WhenIncomplete};

use crate::call::CallOutcome;
use crate::coordinator::Opener;
use crate::ids::{ActivationId, Epoch, FrameId, QuestionId};
use crate::message::MessageStatus;
use crate::payload::{Payload, as_json};
use crate::program::{Failure, Question, Usage};
use crate::record::{CallKey, Totals};

/// Something that happened in a run. Nothing of a superstep's results is told before its commit is
/// durable. A resumed run tells again what its log holds, and then [`Self::Resumed`].
///
/// The logs of compacted runs hold notices, so that what was told of records stays: variants are only appended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Notice {
    /// A superstep has started its activations.
    SuperstepStarted {
        /// The superstep.
        superstep: u64,
        /// How many activations started, each element counted.
        started: u64,
        /// How many groups are carried over from before.
        carried: u64,
    },
    /// An activation, or a forEach group, has started.
    Started {
        /// Which; without element.
        activation: ActivationId,
        /// How many elements it has, if it is a group.
        elements: Option<u32>,
    },
    /// A sub-graph was opened; what it starts is told with its number.
    Opened {
        /// The number.
        frame: FrameId,
        /// The name of the graph.
        graph: String,
        /// Who opened it.
        by: Opener,
    },
    /// A call has ended, and how is durable.
    Called(Box<Called>),
    /// An attempt failed and is made again after a pause.
    Retrying {
        /// Which.
        activation: ActivationId,
        /// Attempts so far.
        attempts: u32,
        /// Why.
        failure: Failure,
    },
    /// An activation waits for an answer.
    Asked {
        /// Which question.
        id: QuestionId,
        /// What it asks.
        question: Question,
    },
    /// An activation is in the commit.
    Completed {
        /// Which; without element.
        activation: ActivationId,
        /// Its output, if it sent any.
        output: Option<Payload>,
        /// Why it failed, if it did.
        failure: Option<Failure>,
        /// What its calls used.
        usage: Usage,
    },
    /// An activation was cancelled: a quorum fired without it, its vertex was removed, or its run
    /// or frame ended.
    Cancelled {
        /// Which; without element.
        activation: ActivationId,
    },
    /// A join was incomplete and nothing was left that could complete it.
    JoinIncomplete {
        /// The frame.
        frame: FrameId,
        /// The vertex.
        vertex: VertexName,
        /// What it did.
        action: WhenIncomplete,
        /// The predecessors from which nothing had come.
        missing: Vec<VertexName>,
    },
    /// A message has its final status.
    Settled {
        /// The frame.
        frame: FrameId,
        /// The sender.
        from: VertexName,
        /// The port.
        port: Port,
        /// The receiver.
        to: VertexName,
        /// The superstep in which the activation started that sent it. With frame and sender it names that
        /// activation, for a vertex starts at most one in a superstep.
        sent: u64,
        /// The superstep in which the activation of the receiver started that took it from the inbox; none
        /// if no activation did, as for what is kept on arrival over a passive edge.
        taken: Option<u64>,
        /// The status.
        status: MessageStatus,
    },
    /// A mutation was judged.
    Mutated {
        /// The frame.
        frame: FrameId,
        /// Who asked.
        requester: String,
        /// What was asked.
        #[serde(with = "as_json")]
        mutation: Mutation,
        /// What became of it.
        verdict: Verdict,
    },
    /// A superstep is durable.
    Committed {
        /// The superstep.
        superstep: u64,
        /// How many groups completed in it.
        completed: u64,
        /// The revision of the run's own graph from here on.
        revision: Revision,
    },
    /// Everything in flight waits for an answer from outside.
    Paused,
    /// All that was told before is of the past, from the log of a run that is resumed; what comes is new.
    Resumed {
        /// The term that has begun.
        epoch: Epoch,
    },
    /// The run has ended.
    Ended {
        /// How.
        status: RunStatus,
        /// What it used.
        totals: Totals,
    },
    /// The run stands still, because somebody has suspended it.
    Suspended,
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Called {
    /// Which.
    pub call: CallKey,
    /// What was called, for people: `model small`.
    pub target: String,
    /// How it ended; one that was given up has failed, and its usage is what was reserved for it.
    pub outcome: CallOutcome,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunStatus {
    /// Nothing was left to do.
    Succeeded,
    /// A vertex failed.
    Failed {
        /// The activation.
        activation: ActivationId,
        /// Why.
        failure: Failure,
    },
    /// A limit was reached; outputs are partial.
    LimitReached(LimitKind),
    /// Somebody cancelled it; outputs are partial.
    Cancelled,
}

/// The limits of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LimitKind {
    /// `limits.supersteps`
    Supersteps,
    /// `limits.activations`
    Activations,
    /// `limits.calls`
    Calls,
    /// `limits.tokens`
    Tokens,
    /// `limits.cost`
    Cost,
    /// `limits.duration`
    Duration,
    /// `limits.fanOut`
    FanOut,
    /// `limits.depth`
    Depth,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Supersteps,
        Self::Activations,
        Self::Calls,
        Self::Tokens,
        Self::Cost,
        Self::Duration,
        Self::FanOut,
        Self::Depth,
    ];

    /// The member of `limits` that it is.
    pub fn field(self) -> &'static str {
        match self {
            Self::Supersteps => "supersteps",
            Self::Activations => "activations",
            Self::Calls => "calls",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Duration => "duration",
            Self::FanOut => "fanOut",
            Self::Depth => "depth",
        }
    }
}
