//! What is asked of a run from outside while it is driven.

use superstep_engine::{Event, Patch, PatchStanding, Payload, QuestionId, RunStatus};
use tokio::sync::oneshot;

use super::Driver;
use crate::runner::acknowledge::{Expected, Offered};
use crate::runner::questions::judge;
use crate::runner::{AnswerError, Control, PatchError, RunState};

impl Driver {
    pub(super) fn control(&mut self, control: Control) {
        self.now = self.clock.now();
        match control {
            Control::Cancel(waiting) => {
                self.cancelling.extend(waiting);
                self.solo.handle(Event::Cancel, self.now);
            }
            Control::Answer(offered) => self.answer(offered),
            Control::Patch(offered) => self.patch(offered),
            Control::State(reply) => {
                if reply.send(self.state()).is_err() {
                    tracing::trace!("nobody waits for the state of the run");
                }
            }
            Control::Detach => self.detached = true,
        }
    }

    /// Takes an answer that fits what is asked, and acknowledges it once it is durable.
    fn answer(&mut self, offered: Offered<(QuestionId, Payload), AnswerError>) {
        let Offered { what: (question, answer), reply } = offered;
        let coordinator = self.solo.coordinator();
        let taken = match judge(coordinator, &question, &answer) {
            Ok(()) if coordinator.is_over() => Err(AnswerError::NotAsked { question: question.clone() }),
            judged => judged,
        };
        match taken {
            Ok(()) => {
                self.acknowledgements.expect(Expected::Answer(question.clone(), reply));
                self.solo.handle(Event::Answer(question, answer), self.now);
            }
            Err(why) => refuse(reply, why),
        }
    }

    /// Takes a patch, and acknowledges it once it is durable.
    fn patch(&mut self, Offered { what: patch, reply }: Offered<Patch, PatchError>) {
        let coordinator = self.solo.coordinator();
        let name = patch.requester.clone();
        match coordinator.standing_of(&patch) {
            PatchStanding::Known => self.acknowledgements.known(Expected::Patch(name, reply)),
            PatchStanding::NameTaken => refuse(reply, PatchError::NameTaken { name }),
            PatchStanding::New if coordinator.is_over() => refuse(reply, PatchError::Ended),
            PatchStanding::New => {
                self.acknowledgements.expect(Expected::Patch(name, reply));
                self.solo.handle(Event::Patch(patch), self.now);
            }
        }
    }

    fn state(&self) -> RunState {
        let coordinator = self.solo.coordinator();
        RunState {
            superstep: coordinator.superstep(),
            epoch: coordinator.epoch().0,
            paused: coordinator.is_paused(),
            questions: coordinator.questions().map(|(id, _)| id.clone()).collect(),
            totals: coordinator.totals(),
        }
    }

    /// Tells those who cancelled how the run ended, durably.
    pub(super) fn tell_end(&mut self, status: &RunStatus) {
        for waiting in self.cancelling.drain(..) {
            if waiting.send(status.clone()).is_err() {
                tracing::trace!("nobody waits for the end of the run");
            }
        }
    }
}

fn refuse<E>(reply: oneshot::Sender<Result<(), E>>, why: E) {
    if reply.send(Err(why)).is_err() {
        tracing::trace!("nobody waits for what becomes of a request");
    }
}
