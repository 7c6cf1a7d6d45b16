//! What is asked of a run that goes on.

use superstep_engine::{Patch, Payload, Question, QuestionId, RunStatus};
use superstep_graph::Revision;
use superstep_runtime::{AnswerError, PatchError, RunEvents, RunState, Taken};
use tokio::sync::oneshot;

/// Something that is asked of a run. Whoever asks waits; if the run is not led here, he hears that by the end of
/// his channel.
pub(crate) enum Ask {
    /// Where it stands, or why it does not go on at the moment.
    State(oneshot::Sender<Result<Standing, String>>),
    /// Take this answer; the only question, if none is named.
    Answer(Option<QuestionId>, Payload, Taken<AnswerError>),
    /// Change the graph.
    Patch(Patch, Taken<PatchError>),
    /// Stand still at the next barrier, or go on. Told once that is durable.
    Suspend(bool, oneshot::Sender<()>),
    /// End with what there is. Told how the run ended.
    Cancel(oneshot::Sender<RunStatus>),
    /// Tell what its models write from now on, whichever terms it goes through here.
    Texts(oneshot::Sender<RunEvents>),
}

/// Where a run stands that goes on.
pub(crate) struct Standing {
    pub(crate) graph: String,
    pub(crate) started_at: u64,
    pub(crate) state: RunState,
    /// Of the run's own graph.
    pub(crate) revision: Option<Revision>,
    /// The same of the document beneath it.
    pub(crate) base: Option<Revision>,
    pub(crate) outputs: Payload,
    pub(crate) questions: Vec<(QuestionId, Question)>,
    /// What it waits for, though it is worked on; empty if it does not.
    pub(crate) waits_for: String,
}
