//! What is asked of a run from outside while a process drives it: judged by what its coordinator knows, and
//! acknowledged when it is durable.

use std::collections::BTreeMap;

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
    answered: Answered,
}

/// The answers that were taken.
#[derive(Debug, Default)]
struct Answered {
    all: BTreeMap<QuestionId, Payload>,
    last: Option<QuestionId>,
}

impl Answered {
    fn take(&mut self, question: &QuestionId, answer: &Payload) {
        self.all.insert(question.clone(), answer.clone());
        self.last = Some(question.clone());
    }

    fn is(&self, question: &QuestionId, answer: &Payload) -> bool {
        self.all.get(question) == Some(answer)
    }
}

impl<T: Copy + PartialEq> Default for Requests<T> {
    fn default() -> Self {
        let (deadlines, answered) = (Deadlines::default(), Answered::default());
        Self { acknowledgements: Acknowledgements::new(), deadlines, answered }
    }
}

impl<T: Copy + PartialEq> Requests<T> {
    /// Takes note of what the log has: whoever asks for the same again has it done.
    pub fn remember(&mut self, records: &[Record]) {
        for record in records {
            if let Record::Answered { question, answer } = record {
                self.answered.take(question, answer);
            }
        }
    }

    /// The question that is meant when none is named: the only one that is open; where none is, the last one that was
    /// answered, if it was answered like this.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn meant(&self, coordinator: &Coordinator, answer: &Payload) -> Result<QuestionId, AnswerError> {
        let mut open: Vec<QuestionId> = coordinator.questions().map(|(id, _)| id.clone()).collect();
        match (open.pop(), open.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                open.push(last);
                Err(AnswerError::Several { asking: open })
            }
            (None, _) => {
                let last = self.answered.last.as_ref().filter(|last| self.answered.is(last, answer));
                last.cloned().ok_or(AnswerError::Nothing)
            }
        }
    }

    /// Takes an answer that fits what is asked; what the coordinator is to be told, if anything. An answer that was
    /// taken before is taken again, and changes nothing more.
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
            Err(AnswerError::NotAsked { .. }) if self.answered.is(&question, &answer) => {
                self.acknowledgements.known(Expected::Answer(question, reply));
                None
            }
            Ok(()) => {
                self.answered.take(&question, &answer);
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

    /// Takes in that the run is to stand still, or to go on; what the coordinator is to be told, if anything. One that
    /// is over stays as it is.
    pub fn suspend(
        &mut self,
        coordinator: &Coordinator,
        suspended: bool,
        reply: oneshot::Sender<()>,
    ) -> Option<CoordinatorEvent> {
        let expected = Expected::Suspension(suspended, reply);
        if coordinator.is_over() || coordinator.is_suspended() == suspended {
            self.acknowledgements.known(expected);
            return None;
        }
        self.acknowledgements.expect(expected);
        Some(CoordinatorEvent::Suspend(suspended))
    }

    /// These records are on their way to the log.
    pub fn appending(&mut self, token: T, records: &[Record]) {
        // A deadline answers too.
        self.remember(records);
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
            suspended: coordinator.is_suspended(),
            stands_still: coordinator.stands_still(),
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
