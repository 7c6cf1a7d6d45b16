//! Reaching into a run from the process that drives it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use superstep_engine::{Patch, Payload, QuestionId, RunStatus, Totals};
use tokio::sync::{mpsc, oneshot};

use super::AnswerError;
use super::acknowledge::Offered;
use crate::events::{Hub, RunEvents};

/// Reaches into a run while it is driven. What comes after its end is ignored.
#[derive(Clone, Debug)]
pub struct RunHandle {
    control: mpsc::UnboundedSender<Control>,
    hub: Arc<Hub>,
}

/// Why a patch is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum PatchError {
    /// The run knows another patch of this name.
    #[error("the run has a patch {name:?} with other mutations already: give this one another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// No barrier is left that could judge it.
    #[error("the run has ended")]
    Ended,
    /// Nobody drives the run any more; whether the patch is in the log, the log tells.
    #[error("the run is not driven any more")]
    Gone,
}

/// Where a run stands that is driven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunState {
    /// The superstep that runs, or would run next.
    pub superstep: u64,
    /// How often a process has begun to drive the run.
    pub epoch: u64,
    /// Whether everything in flight waits for an answer from outside.
    pub paused: bool,
    /// Whether it is suspended, or is to be at its next barrier.
    #[serde(default)]
    pub suspended: bool,
    /// Whether it stands still because of that.
    #[serde(default)]
    pub stands_still: bool,
    /// The questions that wait for an answer.
    pub questions: Vec<QuestionId>,
    /// What was used so far.
    pub totals: Totals,
}

/// What the driver is asked.
#[derive(Debug)]
pub(super) enum Control {
    /// Told how the run ended, once that is durable, if anybody waits for it.
    Cancel(Option<oneshot::Sender<RunStatus>>),
    Answer(Offered<(QuestionId, Payload), AnswerError>),
    Patch(Offered<Patch, PatchError>),
    /// Told once that is durable.
    Suspend(bool, oneshot::Sender<()>),
    State(oneshot::Sender<RunState>),
    Detach,
}

impl RunHandle {
    pub(super) fn new(hub: Arc<Hub>) -> (Self, mpsc::UnboundedReceiver<Control>) {
        let (control, controls) = mpsc::unbounded_channel();
        (Self { control, hub }, controls)
    }

    /// Ends the run with what it has. It cannot be resumed.
    pub fn cancel(&self) {
        self.send(Control::Cancel(None));
    }

    /// Ends the run with what it has, and waits until that is durable: how it ended, which is otherwise than
    /// cancelled if its end had come already; none if it is not driven any more.
    pub async fn cancelled(&self) -> Option<RunStatus> {
        let (reply, ended) = oneshot::channel();
        self.send(Control::Cancel(Some(reply)));
        ended.await.ok()
    }

    /// Stops driving the run, which can be resumed.
    pub fn detach(&self) {
        self.send(Control::Detach);
    }

    /// Answers a question. The answer is on its way when this returns; the future tells whether it was taken,
    /// once it is durable, and need not be awaited.
    ///
    /// # Errors
    /// Nothing asks, the answer does not fit, or the run is over. Nothing was recorded then, unless the
    /// error is [`AnswerError::Gone`]: then the log tells.
    pub fn answer(
        &self,
        question: QuestionId,
        answer: Payload,
    ) -> impl Future<Output = Result<(), AnswerError>> + Send + use<> {
        let (reply, taken) = oneshot::channel();
        self.send(Control::Answer(Offered { what: (question, answer), reply }));
        async move { taken.await.unwrap_or(Err(AnswerError::Gone)) }
    }

    /// Changes the graph at the next barrier. The patch is on its way when this returns; the future tells
    /// whether it was taken, once it is durable, and need not be awaited. What the barrier makes of it is told
    /// as [`Notice::Mutated`](superstep_engine::Notice::Mutated), for each mutation.
    ///
    /// A patch is known by its requester: the same one again changes nothing more.
    ///
    /// # Errors
    /// Another one has its name, or the run is over. Nothing was recorded then, unless the error is
    /// [`PatchError::Gone`]: then the log tells.
    pub fn patch(&self, patch: Patch) -> impl Future<Output = Result<(), PatchError>> + Send + use<> {
        let (reply, taken) = oneshot::channel();
        self.send(Control::Patch(Offered { what: patch, reply }));
        async move { taken.await.unwrap_or(Err(PatchError::Gone)) }
    }

    /// Lets the run stand still at its next barrier, or go on from there. It is on its way when this returns; the future
    /// tells whether the run has taken it in, once it is durable, and need not be awaited. It has not if it is not driven
    /// any more: then the log tells. A run that is over stays as it is.
    pub fn suspend(&self, suspended: bool) -> impl Future<Output = bool> + Send + use<> {
        let (reply, taken) = oneshot::channel();
        self.send(Control::Suspend(suspended, reply));
        async move { taken.await.is_ok() }
    }

    /// Where the run stands; none if it is not driven any more.
    pub async fn state(&self) -> Option<RunState> {
        let (reply, state) = oneshot::channel();
        self.send(Control::State(reply));
        state.await.ok()
    }

    /// What the run tells from now on: notices, and the texts of models as they come. To miss nothing that is
    /// durable, whoever drives the run and from any place on, take [`Watch`](crate::Watch).
    pub fn events(&self) -> RunEvents {
        self.hub.events()
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    fn send(&self, control: Control) {
        if self.control.send(control).is_err() {
            tracing::debug!("the run has ended already");
        }
    }
}
