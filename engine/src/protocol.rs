//! What the coordinator and the partitions of a run say to each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use superstep_graph::{Mutation, SlotIx, ValidatedGraph, VertexName, WhenIncomplete};

use crate::costs::{EdgeCosts, Measured, Spent};
use crate::ids::{ActivationId, ActivationKey, FrameId, PartitionId, Place, QuestionId};
use crate::message::MessageStatus;
use crate::notice::{LimitKind, RunStatus};
use crate::payload::Payload;
use crate::program::{Failure, Question, Usage};
use crate::record::{Carried, End};

/// From the coordinator to a partition.
#[derive(Clone, Debug)]
pub enum Command {
    /// Deliver what was committed; answer with [`Report::Delivered`].
    Deliver {
        /// The superstep that begins.
        superstep: u64,
        /// How many messages come from other partitions.
        expect: u64,
        /// What the aggregators of each frame hold.
        aggregates: Vec<(FrameId, Arc<BTreeMap<VertexName, Payload>>)>,
        /// What edges cost, for frames in which a router weighs them.
        costs: Vec<(FrameId, Arc<EdgeCosts>)>,
        /// Whether nothing will be judged: then what was planned starts at once, as if [`Command::Start`] had come,
        /// and is answered with [`Report::Started`] too.
        starts: bool,
    },
    /// Hand answers to the activations that asked; each completes, or goes on.
    Answer(Vec<(QuestionId, Payload)>),
    /// Start what was planned at delivery, and what was judged; answer with [`Report::Started`].
    Start(Start),
    /// Open frames and start their entries; answer with [`Report::Started`].
    Open(Vec<Opening>),
    /// The reservation of a call was granted or refused.
    Reserved {
        /// The activation that calls.
        key: ActivationKey,
        /// Its ticket for the call.
        ticket: u32,
        /// Why not, if refused.
        refused: Option<Failure>,
    },
    /// The superstep's commit is durable.
    Commit(Committed),
    /// Cancel what is in flight and give every message its status.
    End(RunStatus),
}

/// What a partition starts in a superstep.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The superstep.
    pub superstep: u64,
    /// Activations, in flight or planned, that are cancelled.
    pub cancel: Vec<Place>,
    /// Owing slots that are cleared.
    pub pardons: Vec<(Place, SlotIx)>,
    /// Half-filled joins that act.
    pub verdicts: Vec<(Place, WhenIncomplete)>,
    /// Frames that ended, with what becomes of the activation that opened each.
    pub closed: Vec<Closing>,
}

/// The end of a frame.
#[derive(Clone, Debug)]
pub struct Closing {
    /// The frame.
    pub frame: FrameId,
    /// The activation that opened it, and which of its elements; none if that is gone too.
    pub parent: Option<(Place, u32)>,
    /// What it ended with.
    pub end: Result<Payload, Failure>,
    /// Whether its own limit ended it.
    pub limited: bool,
    /// What it has cost from its opening on, by the clock of the run.
    pub spent: Spent,
}

impl Closing {
    /// What becomes of messages that waited in half-filled joins of the frame.
    pub(crate) fn fate(&self) -> MessageStatus {
        if self.end.is_ok() || self.limited { MessageStatus::Buffered } else { MessageStatus::Cancelled }
    }
}

/// A frame to open.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its number.
    pub frame: FrameId,
    /// Its graph.
    pub graph: ValidatedGraph,
    /// Its input.
    pub input: Payload,
    /// The activation that opens it, and which of its elements.
    pub parent: Option<(Place, u32)>,
    /// What its edges cost, if a router of it weighs them.
    pub costs: Option<Arc<EdgeCosts>>,
    /// What vertices and aggregators begin with, of the run's own graph.
    pub carried: Option<Arc<Carried>>,
}

/// A superstep that is durable.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The superstep.
    pub superstep: u64,
    /// The activations in it.
    pub completed: Vec<Place>,
    /// Graphs that mutations changed, with the vertices removed.
    pub graphs: Vec<(FrameId, ValidatedGraph, Vec<VertexName>)>,
    /// Whether the run ends with it: then no message leaves its sender's partition any more.
    pub closing: bool,
}

/// From a partition to the coordinator.
#[derive(Clone, Debug)]
pub enum Report {
    /// What delivery has led to.
    Delivered {
        /// The superstep.
        superstep: u64,
        /// Activations that will start.
        planned: Vec<Planned>,
        /// Joins that are half-filled or have owing slots.
        joins: Vec<JoinReport>,
    },
    /// What was commanded has started.
    Started {
        /// Frames that activations want opened, in order.
        wanted: Vec<FrameWanted>,
        /// Groups that started, with their elements.
        started: Vec<Planned>,
    },
    /// An activation has ended, and waits for the barrier. Said again if a mutation changed the
    /// routes of its messages.
    Completed(Box<Completed>),
    /// Whether every unfinished element of an activation is suspended has changed.
    Suspension {
        /// The activation, without element.
        activation: ActivationId,
        /// Whether it is.
        suspended: bool,
    },
    /// An element asks the outside; durable.
    Asked {
        /// Which question.
        id: QuestionId,
        /// What it asks.
        question: Question,
    },
    /// A call wants its reservation.
    Reserve {
        /// The frame that pays.
        frame: FrameId,
        /// The activation.
        key: ActivationKey,
        /// Its ticket for the call.
        ticket: u32,
        /// What to reserve.
        usage: Usage,
    },
    /// A call has ended.
    Settle {
        /// The frame that pays.
        frame: FrameId,
        /// What was reserved.
        reserved: Usage,
        /// What was used.
        used: Usage,
    },
    /// A limit that the partition watches was reached.
    LimitReached(LimitKind),
}

/// An activation that will start, or did.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Where.
    pub place: Place,
    /// How many activations it counts for.
    pub weight: u64,
    /// Whether it is a join that fires, whose losers may be cancelled: then the slots that it owes.
    pub owed: Vec<SlotIx>,
}

/// The state of a join that is not settled.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinReport {
    /// Where.
    pub place: Place,
    /// Slots that nothing fills.
    pub missing: Vec<SlotIx>,
    /// Slots that owe.
    pub owing: Vec<SlotIx>,
    /// Whether it holds a message that waits.
    pub half_filled: bool,
    /// How many activations it would count for if it fired.
    pub weight: u64,
}

/// A frame that an activation wants opened.
#[derive(Clone, Debug)]
pub struct FrameWanted {
    /// The activation.
    pub parent: Place,
    /// Which of its elements.
    pub element: u32,
    /// The graph's name.
    pub graph: String,
    /// Its parameters, beside those that it has by default.
    pub parameters: Value,
    /// The frame's input.
    pub input: Payload,
}

/// An activation that has ended and waits for the barrier.
#[derive(Clone, Debug)]
pub struct Completed {
    /// Where.
    pub place: Place,
    /// Its name, without element.
    pub activation: ActivationId,
    /// How it ended, as the log will say.
    pub end: End,
    /// Its output, if it sends any.
    pub output: Option<Payload>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// Whether that fails the run, or the frame.
    pub fatal: bool,
    /// Changes to the graph that it asks for.
    pub mutations: Vec<Mutation>,
    /// What it contributes to aggregators.
    pub contributions: Vec<(VertexName, Payload)>,
    /// How many of its messages go to each other partition.
    pub outbound: Vec<(PartitionId, u64)>,
    /// What its calls used.
    pub usage: Usage,
    /// What it has cost the edges that woke it, if that is worth to be kept.
    pub measured: Option<Box<Measured>>,
}
