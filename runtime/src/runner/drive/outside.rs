//! What is asked of a run from outside while it is driven.

use superstep_engine::{CoordinatorEvent, Event, RunStatus};

use super::Driver;
use crate::runner::acknowledge::Offered;
use crate::runner::{Control, RunState};

impl Driver {
    pub(super) fn control(&mut self, control: Control) {
        self.now = self.clock.now();
        match control {
            Control::Cancel(waiting) => {
                self.cancelling.extend(waiting);
                self.solo.handle(Event::Cancel, self.now);
            }
            Control::Answer(Offered { what, reply }) => {
                let event = self.requests.answer(self.solo.coordinator(), what, reply);
                self.take(event);
            }
            Control::Patch(Offered { what, reply }) => {
                let event = self.requests.patch(self.solo.coordinator(), what, reply);
                self.take(event);
            }
            Control::Suspend(suspended, reply) => {
                let event = self.requests.suspend(self.solo.coordinator(), suspended, reply);
                self.take(event);
            }
            Control::State(reply) => {
                if reply.send(RunState::of(self.solo.coordinator())).is_err() {
                    tracing::trace!("nobody waits for the state of the run");
                }
            }
            Control::Detach => self.detached = true,
        }
    }

    fn take(&mut self, event: Option<CoordinatorEvent>) {
        let event = match event {
            Some(CoordinatorEvent::Answer(question, answer)) => Event::Answer(question, answer),
            Some(CoordinatorEvent::Patch(patch)) => Event::Patch(patch),
            Some(CoordinatorEvent::Suspend(suspended)) => Event::Suspend(suspended),
            // Requests ask for nothing else.
            Some(CoordinatorEvent::Report(..) | CoordinatorEvent::Durable(_) | CoordinatorEvent::Cancel)
            | None => return,
        };
        self.solo.handle(event, self.now);
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
