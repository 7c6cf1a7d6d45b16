//! What is asked of a run from outside.

use superstep_engine::{CoordinatorEvent, FrameId};
use superstep_graph::ValidatedGraph;
use superstep_runtime::RunState;
use tokio::time::Instant;

use super::Term;
use crate::leader::ask::{Ask, Standing};
use crate::leader::texts;

/// What a run waits for that has nowhere to record what it does.
const AWAY: &str = "the store, which is away";

impl Term {
    pub(super) fn ask(&mut self, ask: Ask) {
        let now = self.clock.now();
        let event = match ask {
            Ask::State(reply) => {
                let waits_for = self.awaited.told(&self.workers, Instant::now());
                if reply.send(waits_for.map_or_else(|| Ok(self.standing()), Err)).is_err() {
                    tracing::trace!("nobody waits for the state of the run");
                }
                None
            }
            Ask::Answer(question, answer, reply) => {
                let meant = question.map_or_else(|| self.requests.meant(&self.coordinator, &answer), Ok);
                match meant {
                    Ok(question) => self.requests.answer(&self.coordinator, (question, answer), reply),
                    Err(why) => {
                        if reply.send(Err(why)).is_err() {
                            tracing::trace!("nobody waits for what becomes of an answer");
                        }
                        None
                    }
                }
            }
            Ask::Texts(reply) => {
                texts::attach(&self.hub, reply);
                texts::listen(&self.workers, &self.run, true);
                None
            }
            Ask::Patch(patch, reply) => self.requests.patch(&self.coordinator, patch, reply),
            Ask::Suspend(suspended, reply) => self.requests.suspend(&self.coordinator, suspended, reply),
            Ask::Cancel(reply) => {
                self.cancelling.push(reply);
                Some(CoordinatorEvent::Cancel)
            }
        };
        if let Some(event) = event {
            self.coordinator.handle(event, now);
        }
    }

    fn standing(&self) -> Standing {
        let questions = self.coordinator.questions();
        Standing {
            graph: self.started.root.clone(),
            started_at: self.started.started_at,
            state: RunState::of(&self.coordinator),
            revision: self.coordinator.graph(FrameId::ROOT).map(ValidatedGraph::revision),
            base: self.coordinator.base(),
            outputs: self.coordinator.outputs(),
            questions: questions.map(|(id, question)| (id.clone(), question.clone())).collect(),
            waits_for: self.shared.store.away_since().map_or_else(String::new, |_| AWAY.to_owned()),
        }
    }
}
