//! What is known of the calls of activations that are not committed yet.

use std::collections::BTreeMap;

use super::flight::Flight;
use crate::call::{CallOutcome, CallRequest};
use crate::ids::{ActivationId, ActivationKey};
use crate::program::Usage;
use crate::record::CallKey;

/// The calls of activations that are not committed yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    pub(super) entries: BTreeMap<ActivationId, Vec<Entry>>,
    /// How often each digest was asked for in the present attempt.
    pub(super) cursors: BTreeMap<ActivationId, Vec<([u8; 16], u32)>>,
    pub(super) open: BTreeMap<(ActivationKey, u32), Open>,
    /// Who waits until the outcome of a call is durable that an attempt before theirs has left.
    pub(super) waiting: Vec<(CallKey, ActivationKey, u32)>,
    /// Calls in doubt of activations that ask about another one of theirs already.
    pub(super) doubts: Vec<(ActivationKey, u32, Open)>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: CallKey,
    pub(super) outcome: Option<CallOutcome>,
    pub(super) durable: bool,
    /// In a replay: in which attempt its outcome came.
    pub(super) ended_in: u32,
    /// In a replay: whether it was made before a question, behind which its program does not make it again.
    pub(super) past: bool,
}

/// A call that a running program waits for.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) key: CallKey,
    pub(super) request: CallRequest,
    pub(super) step: Step,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing but its reservation is asked for, if that.
    Reserving,
    /// Its intent is on its way to the log.
    Intended,
    /// It is made.
    Performing,
}

/// What the journal knows of a call that is asked for.
pub(super) enum Known {
    Nothing,
    /// How this call has ended; perhaps not yet durable.
    Outcome(CallKey),
    /// Its intent is there, from before a crash.
    InDoubt(CallKey),
}

/// What a replay knows of a call.
pub(super) struct Recalled {
    /// How it ended, if it has.
    pub(super) outcome: Option<CallOutcome>,
    /// Whether an attempt before had left it behind, and it ended while the present one was under way: that may
    /// have asked for it earlier, or later.
    pub(super) late: bool,
}

impl Journal {
    pub(super) fn begin_attempt(&mut self, activation: &ActivationId) {
        if !self.cursors.is_empty() {
            self.cursors.remove(activation);
        }
    }

    /// What the calls of an activation used.
    pub(super) fn usage(&self, flight: &Flight) -> Usage {
        let mut usage = Usage::default();
        if self.entries.is_empty() {
            return usage;
        }
        for element in 0..flight.elements.len() {
            let entries = self.entries.get(&flight.element_id(element)).into_iter().flatten();
            for outcome in entries.filter_map(|entry| entry.outcome.as_ref()) {
                usage += outcome.usage;
            }
        }
        usage
    }

    /// Drops what is known of an activation that is committed or gone.
    pub(super) fn forget(&mut self, flight: &Flight) {
        if self.entries.is_empty() {
            return;
        }
        for element in 0..flight.elements.len() {
            let id = flight.element_id(element);
            self.entries.remove(&id);
            self.cursors.remove(&id);
            // Whoever grants a reservation hears that it is not needed any more.
            self.open.retain(|_, open| open.key.activation != id || open.step == Step::Reserving);
            self.waiting.retain(|(call, _, _)| call.activation != id);
            self.doubts.retain(|(_, _, open)| open.key.activation != id);
        }
    }

    pub(super) fn occurrence(&mut self, activation: &ActivationId, digest: [u8; 16]) -> u32 {
        let counts = self.cursors.entry(activation.clone()).or_default();
        match counts.iter_mut().find(|(known, _)| *known == digest) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                counts.push((digest, 0));
                0
            }
        }
    }

    /// What is known of the call `wanted`, whose `attempt` is the activation's present one.
    pub(super) fn look_up(&self, wanted: &CallKey) -> Known {
        let same =
            |entry: &&Entry| entry.key.digest == wanted.digest && entry.key.occurrence == wanted.occurrence;
        let entries = self.entries.get(&wanted.activation).map(Vec::as_slice).unwrap_or_default();
        let Some(last) = entries.iter().filter(same).max_by_key(|entry| entry.key.attempt) else {
            return Known::Nothing;
        };
        match &last.outcome {
            None => Known::InDoubt(last.key.clone()),
            Some(outcome) => match &outcome.answer {
                // What failed in a way that may pass is made anew by the next attempt, not by this one.
                Err(failure) if failure.class.is_retryable() && last.key.attempt < wanted.attempt => {
                    Known::Nothing
                }
                Ok(_) | Err(_) => Known::Outcome(last.key.clone()),
            },
        }
    }

    /// What is known of the next call of that digest.
    pub(super) fn recall(
        &mut self,
        activation: &ActivationId,
        digest: [u8; 16],
        attempt: u32,
    ) -> Option<Recalled> {
        let occurrence = self.occurrence(activation, digest);
        let wanted = CallKey { activation: activation.clone(), digest, occurrence, attempt };
        match self.look_up(&wanted) {
            Known::Nothing => {
                self.came_late(&wanted).map(|outcome| Recalled { outcome: Some(outcome), late: true })
            }
            Known::InDoubt(_) => Some(Recalled { outcome: None, late: false }),
            Known::Outcome(call) => {
                let late = call.attempt < attempt && self.came_late(&wanted).is_some();
                Some(Recalled { outcome: self.outcome(&call).cloned(), late })
            }
        }
    }

    /// How a call ended that an attempt before had left behind, and that failed while the present attempt
    /// waited for it: had that asked for it later, the log would have a new call.
    fn came_late(&self, wanted: &CallKey) -> Option<CallOutcome> {
        let entries = self.entries.get(&wanted.activation)?;
        let same =
            |entry: &&Entry| entry.key.digest == wanted.digest && entry.key.occurrence == wanted.occurrence;
        let last = entries.iter().filter(same).max_by_key(|entry| entry.key.attempt)?;
        last.outcome.clone().filter(|_| last.ended_in == wanted.attempt)
    }

    /// Takes down that an activation goes on from an answer: what it has called is behind it.
    pub(super) fn pass(&mut self, activation: &ActivationId) {
        self.entries.get_mut(activation).into_iter().flatten().for_each(|entry| entry.past = true);
    }

    /// The calls that an attempt has made since its last question, and was not asked for since it was begun
    /// again.
    pub(super) fn unasked(&self, activation: &ActivationId, attempt: u32) -> Vec<CallKey> {
        let asked = self.cursors.get(activation).map(Vec::as_slice).unwrap_or_default();
        let was_asked = |key: &CallKey| {
            asked.iter().any(|(digest, last)| *digest == key.digest && *last >= key.occurrence)
        };
        let entries = self.entries.get(activation).map(Vec::as_slice).unwrap_or_default();
        let made = entries.iter().filter(|entry| !entry.past && entry.key.attempt == attempt);
        made.map(|entry| &entry.key).filter(|key| !was_asked(key)).cloned().collect()
    }

    pub(super) fn intend(&mut self, key: &CallKey) {
        let entries = self.entries.entry(key.activation.clone()).or_default();
        if !entries.iter().any(|entry| entry.key == *key) {
            entries.push(Entry { key: key.clone(), outcome: None, durable: false, ended_in: 0, past: false });
        }
    }

    pub(super) fn outcome(&self, key: &CallKey) -> Option<&CallOutcome> {
        let entries = self.entries.get(&key.activation)?;
        entries.iter().find(|entry| entry.key == *key)?.outcome.as_ref()
    }

    pub(super) fn entry(&mut self, key: &CallKey) -> Option<&mut Entry> {
        self.entries.get_mut(&key.activation)?.iter_mut().find(|entry| entry.key == *key)
    }
}
