//! The superstep protocol, without IO: no clock, no randomness, no threads, no async.
//!
//! A run is a [`Coordinator`] (the leader side: the superstep clock, the barrier, joins that wait,
//! mutations, limits, the commit record) and one or more [`Partition`]s (the worker side: inboxes,
//! activations, routing, calls). Each takes events in by `handle`, and says what it wants done by
//! `poll_*`. It emits an append and goes on only when the driver says that it is durable. [`Solo`]
//! joins both in one process. The same events in the same order give the same actions, byte for
//! byte; a run is resumed by replaying its log.

mod call;
mod compaction;
mod coordinator;
mod costs;
#[doc(hidden)]
pub mod defect;
mod expressions;
mod fork;
mod homes;
mod ids;
mod message;
mod misfit;
mod notice;
mod partition;
mod payload;
mod program;
mod proposal;
mod protocol;
mod record;
mod solo;
mod values;

pub use call::{CallOutcome, CallRequest};
pub use compaction::{CompactError, Remains, compact};
pub use coordinator::{Coordinator, CoordinatorAction, CoordinatorEvent, Opener, PatchStanding, RunConfig};
pub use costs::{Costs, EdgeCosts, EdgeEstimate, Measured, Route, Spent, choose, cost_of};
pub use expressions::{EdgeView, Expressions};
pub use fork::{Fork, ForkError};
pub use homes::{Home, Homes};
pub use ids::{
    ActivationId, ActivationKey, Epoch, FrameId, PartitionId, Place, QuestionId, Timestamp, Token,
};
pub use message::{MessageKey, MessageStatus, Routed, Target, Trail};
pub use misfit::Misfit;
pub use notice::{Called, LimitKind, Notice, RunStatus};
pub use partition::{Again, CallDecision, Effect, Job, Partition, PartitionEvent, Recall};
pub use payload::{Payload, Reference};
pub use program::{
    Direct, Emission, Failure, FailureClass, Outcome, ProgramResult, Question, Received, Resumption, Scene,
    Usage, ValueChange, View,
};
pub use proposal::{Decision, Proposal};
pub use protocol::{
    Closing, Command, Committed, Completed, FrameWanted, JoinReport, Opening, Planned, Report, Start,
};
pub use record::{CallKey, Carried, Commit, Completion, End, Patch, Placed, Record, RunStarted, Totals};
pub use solo::{Action, Event, LogToken, ReplayError, Solo};
