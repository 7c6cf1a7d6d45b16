//! People, who are asked and who change their minds.

use serde_json::json;
use superstep_engine::{CoordinatorEvent, Payload, Proposal, Question, QuestionId, Record};

use super::{Item, World};
use crate::store::Append;

impl World<'_> {
    /// Somebody will answer, whatever becomes of the process until then.
    pub(super) fn question(&mut self, id: &QuestionId, question: &Question) {
        if Proposal::of(question).is_some() {
            self.proposals.insert(id.clone());
        }
        if self.to_answer.insert(id.clone()) {
            let at = self.now + self.random.between(100, 80_000);
            self.outside_at(at, Item::Answer(id.clone()));
        }
    }

    pub(super) fn answer(&mut self, id: QuestionId) {
        if self.process.is_none() {
            self.outside_at(self.now + 5_000, Item::Answer(id));
            return;
        }
        self.to_answer.remove(&id);
        if self.is_answered(&id) {
            return;
        }
        self.counters.answers += 1;
        let doubt = self.random.chance(70);
        let answer = if self.proposals.contains(&id) {
            json!({"approved": doubt})
        } else if doubt {
            json!({"retry": true})
        } else {
            json!({"result": {"text": 3, "nonce": 0}})
        };
        self.say(|| format!("{id} is answered {answer}"));
        self.coordinator(CoordinatorEvent::Answer(id, Payload::from(answer)));
    }

    /// Whether a question is answered, as the log says or will say.
    fn is_answered(&self, wanted: &QuestionId) -> bool {
        let waiting = self.store.waiting.iter().flat_map(|append| &append.records);
        let is = |record: &Record| matches!(record, Record::Answered { question, .. } if question == wanted);
        self.store.log.iter().chain(waiting).any(is)
    }

    /// Somebody suspends the run, or lets it go on, which he asks for until it is so: nothing else would move it.
    pub(super) fn suspend(&mut self, suspended: bool) {
        let waits =
            |append: &Append| append.records.iter().any(|of| matches!(of, Record::RunSuspended(true)));
        let open = self.store.suspended || self.store.waiting.iter().any(waits);
        if !suspended && (open || self.process.is_none()) {
            self.outside_at(self.now + 5_000, Item::Suspend(false));
        }
        self.coordinator(CoordinatorEvent::Suspend(suspended));
    }

    /// Hands something in from outside, which tries again while the process is down.
    pub(super) fn hand_in(&mut self, item: Item, event: CoordinatorEvent) {
        if self.process.is_none() {
            self.outside_at(self.now + 5_000, item);
            return;
        }
        self.say(|| format!("from outside: {event:?}"));
        self.coordinator(event);
    }
}
