//! People, who are asked and who change their minds.

use serde_json::json;
use superstep_engine::{ActivationId, CoordinatorEvent, Payload, Record};

use super::{Item, World};

impl World<'_> {
    /// Somebody will answer, whatever becomes of the process until then.
    pub(super) fn question(&mut self, activation: &ActivationId) {
        *self.asked.entry(activation.clone()).or_default() += 1;
        if self.to_answer.insert(activation.clone()) {
            let at = self.now + self.random.between(100, 80_000);
            self.outside_at(at, Item::Answer(activation.clone()));
        }
    }

    pub(super) fn answer(&mut self, activation: ActivationId) {
        if self.process.is_none() {
            self.outside_at(self.now + 5_000, Item::Answer(activation));
            return;
        }
        self.to_answer.remove(&activation);
        let asked = self.asked.get(&activation).copied().unwrap_or(0);
        if self.answered(&activation) >= asked {
            return;
        }
        self.counters.answers += 1;
        let doubt = self.random.chance(70);
        let answer = if doubt { json!({"retry": true}) } else { json!({"result": {"text": 3, "nonce": 0}}) };
        self.say(|| format!("{activation} is answered {answer}"));
        self.coordinator(CoordinatorEvent::Answer(activation, Payload::from(answer)));
    }

    /// How often an activation was answered, as the log says or will say.
    fn answered(&self, wanted: &ActivationId) -> u64 {
        let waiting = self.store.waiting.iter().flat_map(|append| &append.records);
        let answers =
            self.store.log.iter().chain(waiting).filter(
                |record| matches!(record, Record::Answered { activation, .. } if activation == wanted),
            );
        answers.count() as u64
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
