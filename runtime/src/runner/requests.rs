//! What is asked of a run from outside while a process drives it: judged by what its coordinator knows, and
//! acknowledged when it is durable.

use superstep_engine::{
    Coordinator, CoordinatorEvent, Patch, PatchStanding, Payload, Question, QuestionId, Record, Timestamp,
};
use tokio::sync::oneshot;

use super::acknowledge::{Acknowledgements, Expected};
use super::questions::{Deadlines, judge};
use super::{AnswerError, PatchError, RunState};

/// Takes what becomes of a request.
pub type Taken<E> = oneshot::Sender<Result<(), E>>;

/// The requests of a run whose answers are still out, and the deadlines of its questions. `T` marks an append.
#[derive(Debug)]
pub struct Requests<T> {
    acknowledgements: Acknowledgements<T>,
    deadlines: Deadlines,
}

impl<T: Copy + PartialEq> Default for Requests<T> {
    fn default() -> Self {
        Self { acknowledgements: Acknowledgements::new(), deadlines: Deadlines::default() }
    }
}

impl<T: Copy + PartialEq> Requests<T> {
    /// Takes an answer that fits what is asked; what the coordinator is to be told, if anything.
    pub fn answer(
        &mut self,
        coordinator: &Coordinator,
        (question, answer): (QuestionId, Payload),
        reply: Taken<AnswerError>,
    ) -> Option<CoordinatorEvent> {
        let taken = match judge(coordinator, &question, &answer) {
            Ok(()) if coordinator.is_over() => Err(AnswerError::NotAsked { question: question.clone() }),
            judged => judged,
        };
        match taken {
            Ok(()) => {
                self.acknowledgements.expect(Expected::Answer(question.clone(), reply));
                Some(CoordinatorEvent::Answer(question, answer))
            }
            Err(why) => refuse(reply, why),
        }
    }

    /// Takes a patch; what the coordinator is to be told, if anything.
    pub fn patch(
        &mut self,
        coordinator: &Coordinator,
        patch: Patch,
        reply: Taken<PatchError>,
    ) -> Option<CoordinatorEvent> {
        let name = patch.requester.clone();
        match coordinator.standing_of(&patch) {
            PatchStanding::Known => {
                self.acknowledgements.known(Expected::Patch(name, reply));
                None
            }
            PatchStanding::NameTaken => refuse(reply, PatchError::NameTaken { name }),
            PatchStanding::New if coordinator.is_over() => refuse(reply, PatchError::Ended),
            PatchStanding::New => {
                self.acknowledgements.expect(Expected::Patch(name, reply));
                Some(CoordinatorEvent::Patch(patch))
            }
        }
    }

    /// These records are on their way to the log.
    pub fn appending(&mut self, token: T, records: &[Record]) {
        self.acknowledgements.appending(token, records);
    }

    /// They are durable.
    pub fn durable(&mut self, token: T) {
        self.acknowledgements.durable(token);
    }

    /// Keeps the deadline of a question, if it has one; `now` is the clock of the run.
    pub fn asked(&mut self, id: &QuestionId, question: &Question, now: Timestamp) {
        self.deadlines.asked(id, question, now);
    }

    /// When the next deadline is.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.next()
    }

    /// The answers to questions whose deadlines have passed.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<(QuestionId, Payload)> {
        self.deadlines.take_due(now)
    }
}

impl RunState {
    /// Where a run stands by its coordinator.
    #[must_use]
    pub fn of(coordinator: &Coordinator) -> Self {
        Self {
            superstep: coordinator.superstep(),
            epoch: coordinator.epoch().0,
            paused: coordinator.is_paused(),
            questions: coordinator.questions().map(|(id, _)| id.clone()).collect(),
            totals: coordinator.totals(),
        }
    }
}

fn refuse<E>(reply: Taken<E>, why: E) -> Option<CoordinatorEvent> {
    if reply.send(Err(why)).is_err() {
        tracing::trace!("nobody waits for what becomes of a request");
    }
    None
}
