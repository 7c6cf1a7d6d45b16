//! External calls: each has an intent in the log before it is made, and an outcome there before it
//! is used. What has an outcome is never made again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use superstep_graph::OnUnknown;

use super::activation::on_unknown;
use super::flight::Flight;
use super::journal::{Known, Open, Step};
use super::{AfterDurable, CallDecision, Effect, Partition};
use crate::call::{CallOutcome, CallRequest};
use crate::defect::{self, Defect};
use crate::ids::{ActivationId, ActivationKey};
use crate::notice::{Called, Notice};
use crate::payload::Payload;
use crate::program::{Failure, Question, Usage};
use crate::protocol::Report;
use crate::record::{CallKey, Record};

impl Partition {
    pub(super) fn call_asked(
        &mut self,
        key: ActivationKey,
        ticket: u32,
        request: CallRequest,
        under_way: bool,
    ) {
        let Some(flight) = self.flights.resolve(key) else { return };
        let activation = flight.element_id(key.element);
        let policy = on_unknown(&flight.spec, &request);
        let Some(element) = flight.elements.get(key.element).filter(|element| element.stage().may_call())
        else {
            return;
        };
        let attempt = element.attempts;
        let occurrence = self.journal.occurrence(&activation, request.digest);
        let wanted = CallKey { activation, digest: request.digest, occurrence, attempt };
        match self.journal.look_up(&wanted) {
            Known::Outcome(call) => self.reuse(key, ticket, call),
            Known::Nothing => self.reserve(key, ticket, Open { key: wanted, request, step: Step::Reserving }),
            // The intent of a call that goes on is in the log, with its reservation.
            Known::InDoubt(sent) if under_way => {
                let call = sent.clone();
                self.journal.open.insert((key, ticket), Open { key: sent, request, step: Step::Intended });
                self.perform(key, ticket, &call);
            }
            Known::InDoubt(sent) => match policy {
                OnUnknown::Retry => {
                    self.reserve(key, ticket, Open { key: sent, request, step: Step::Reserving })
                }
                OnUnknown::Fail => {
                    let decision = CallDecision::Refused(unknown(&request.target));
                    self.effects.push_back(Effect::Decide { key, ticket, decision });
                }
                OnUnknown::Ask => {
                    self.ask_about(key, ticket, Open { key: sent, request, step: Step::Reserving })
                }
            },
        }
    }

    /// Whether the program behind a handle runs, and waits for what becomes of its calls.
    fn runs(&mut self, key: ActivationKey) -> bool {
        let flight = self.flights.resolve(key);
        let element = flight.and_then(|flight| flight.elements.get(key.element));
        element.is_some_and(|element| element.stage().may_call())
    }

    fn step(&mut self, key: ActivationKey, ticket: u32, step: Step) {
        if let Some(open) = self.journal.open.get_mut(&(key, ticket)) {
            open.step = step;
        }
    }

    fn reserve(&mut self, key: ActivationKey, ticket: u32, open: Open) {
        let (frame, usage) = (open.key.activation.frame, open.request.reserve);
        self.journal.open.insert((key, ticket), open);
        self.report(Report::Reserve { frame, key, ticket, usage });
    }

    /// Asks a person what became of a call, and whether to make it again.
    fn ask_about(&mut self, key: ActivationKey, ticket: u32, open: Open) {
        let activation = open.key.activation.clone();
        if self.find(&activation).is_some_and(|(_, stage)| stage.is_in_doubt()) {
            self.journal.doubts.push((key, ticket, open));
            return;
        }
        let call = open.key.clone();
        let ask = json!({
            "unknownCall": open.request.target,
            "idempotencyKey": call.idempotency_key(&self.run),
            "answerWith": {"retry": true, "or": {"result": "what the call gave"}},
        });
        self.journal.open.insert((key, ticket), open);
        match self.questions.take_told(&call) {
            Some(answer) => self.call_answered(key, ticket, &answer),
            None => self.ask(key, Question { ask: Payload::from(ask), state: None }, Some((ticket, call))),
        }
    }

    /// Whether an open call is `wanted`.
    pub(super) fn is_about(&self, open: (ActivationKey, u32), wanted: &CallKey) -> bool {
        self.journal.open.get(&open).is_some_and(|open| open.key == *wanted)
    }

    /// Gives up the calls of an activation that is cancelled. What a call under way has used is not
    /// known: all that was reserved for it counts as used.
    pub(super) fn give_up_calls(&mut self, flight: &Flight) {
        if self.journal.open.is_empty() {
            return;
        }
        let ids: BTreeSet<ActivationId> =
            (0..flight.elements.len()).map(|element| flight.element_id(element)).collect();
        let mut under_way: BTreeMap<CallKey, Open> = BTreeMap::new();
        for open in self.journal.open.values() {
            let known = || self.journal.outcome(&open.key).is_some();
            if open.step != Step::Reserving && ids.contains(&open.key.activation) && !known() {
                under_way.insert(open.key.clone(), open.clone());
            }
        }
        for (call, Open { request, step, .. }) in under_way {
            let used = if step == Step::Performing { request.reserve } else { Usage::default() };
            self.report(Report::Settle { frame: call.activation.frame, reserved: request.reserve, used });
            let answer = Err(Failure::permanent(format!("the call of {} was given up", request.target)));
            let outcome = CallOutcome { answer, usage: used };
            let target = request.target;
            let called = Called { call: call.clone(), target, outcome: outcome.clone() };
            self.append(Record::CallEnded { call, outcome }, AfterDurable::GaveUp(Box::new(called)));
        }
    }

    /// Goes on with a call in doubt as a person said.
    pub(super) fn call_answered(&mut self, key: ActivationKey, ticket: u32, answer: &Payload) {
        let Some(open) = self.journal.open.get(&(key, ticket)).cloned() else { return };
        if answer.value().get("retry") == Some(&Value::Bool(true)) {
            self.reserve(key, ticket, open);
        } else {
            self.call_told(key, ticket, &open, answer);
        }
        if let Some(next) = self.journal.doubts.iter().position(|(other, _, _)| *other == key) {
            let (key, ticket, open) = self.journal.doubts.remove(next);
            self.ask_about(key, ticket, open);
        }
    }

    /// A person says what a call in doubt gave.
    fn call_told(&mut self, key: ActivationKey, ticket: u32, open: &Open, answer: &Payload) {
        let result = answer.value().get("result").cloned().unwrap_or(Value::Null);
        // What the call used is not known: what was reserved for it stays charged.
        let outcome = CallOutcome { answer: Ok(Payload::from(result)), usage: open.request.reserve };
        self.ended(key, ticket, outcome, true);
    }

    pub(super) fn reserved(&mut self, key: ActivationKey, ticket: u32, refused: Option<Failure>) {
        let Some(open) = self.journal.open.get(&(key, ticket)).cloned() else { return };
        if let Some(failure) = refused {
            self.journal.open.remove(&(key, ticket));
            self.effects.push_back(Effect::Decide { key, ticket, decision: CallDecision::Refused(failure) });
            return;
        }
        let known = self.journal.entry(&open.key).is_some_and(|entry| entry.outcome.is_some());
        if known || !self.runs(key) {
            // It has ended meanwhile, or its program was stopped: there is no call to be made.
            self.journal.open.remove(&(key, ticket));
            let (frame, reserved) = (open.key.activation.frame, open.request.reserve);
            self.report(Report::Settle { frame, reserved, used: Usage::default() });
            if known {
                self.reuse(key, ticket, open.key);
            }
            return;
        }
        self.journal.intend(&open.key);
        self.step(key, ticket, Step::Intended);
        let then = AfterDurable::Perform { key, ticket, call: open.key.clone() };
        self.append(Record::CallIntent { call: open.key, request: open.request }, then);
    }

    /// Lets a call be made whose intent is durable, unless it has ended meanwhile: an attempt that ran
    /// out of time may have left it behind.
    pub(super) fn perform(&mut self, key: ActivationKey, ticket: u32, call: &CallKey) {
        if !self.journal.open.contains_key(&(key, ticket)) {
            return;
        }
        if !self.runs(key) {
            // It was stopped meanwhile, and nobody would make the call.
            self.journal.open.remove(&(key, ticket));
            return;
        }
        if self.journal.entry(call).is_some_and(|entry| entry.outcome.is_some()) {
            // The log has its second intent, which stays charged.
            self.journal.open.remove(&(key, ticket));
            self.reuse(key, ticket, call.clone());
            return;
        }
        self.step(key, ticket, Step::Performing);
        let idempotency_key = call.idempotency_key(&self.run);
        let decision = CallDecision::Perform { call: call.clone(), idempotency_key };
        self.effects.push_back(Effect::Decide { key, ticket, decision });
    }

    pub(super) fn call_ended(&mut self, key: ActivationKey, ticket: u32, outcome: CallOutcome) {
        self.ended(key, ticket, outcome, false);
    }

    /// Takes the end of a call in: one that its program made, or that a person has told of.
    fn ended(&mut self, key: ActivationKey, ticket: u32, outcome: CallOutcome, told: bool) {
        let outcome = outcome.bounded();
        let Some(open) = self.journal.open.remove(&(key, ticket)) else { return };
        let frame = open.key.activation.frame;
        self.report(Report::Settle { frame, reserved: open.request.reserve, used: outcome.usage });
        self.journal.intend(&open.key);
        let called = Box::new(Called {
            call: open.key.clone(),
            target: open.request.target,
            outcome: outcome.clone(),
        });
        let Some(entry) = self.journal.entry(&open.key) else { return };
        if entry.outcome.is_some() {
            // It was sent by two attempts. The outcome that came first counts, and both were paid.
            self.effects.push_back(Effect::Notify(Notice::Called(called)));
            self.reuse(key, ticket, open.key);
            return;
        }
        entry.outcome = Some(outcome.clone());
        if defect::is(Defect::OutcomeBeforeRecord) {
            self.append(Record::CallEnded { call: open.key, outcome }, AfterDurable::Nothing);
            return self.recorded(key, ticket, called, told);
        }
        let then = AfterDurable::Recorded { key, ticket, called, told };
        self.append(Record::CallEnded { call: open.key, outcome }, then);
    }

    /// The outcome of a call is durable: whoever waits for it goes on.
    pub(super) fn recorded(&mut self, key: ActivationKey, ticket: u32, called: Box<Called>, told: bool) {
        let entry = self.journal.entry(&called.call).map(|entry| entry.durable = true);
        // A program that did not make the call itself waits for what it gave.
        let decision =
            if told { CallDecision::Reuse(called.outcome.clone()) } else { CallDecision::Recorded };
        self.effects.push_back(Effect::Notify(Notice::Called(called)));
        self.effects.push_back(Effect::Decide { key, ticket, decision });
        if entry.is_none() {
            return;
        }
        let waiting = std::mem::take(&mut self.journal.waiting);
        for (wanted, key, ticket) in waiting {
            self.reuse(key, ticket, wanted);
        }
    }

    /// Answers a call by the outcome that is known of it, once that is durable.
    fn reuse(&mut self, key: ActivationKey, ticket: u32, call: CallKey) {
        let Some(entry) = self.journal.entry(&call) else { return };
        match entry.outcome.clone().filter(|_| entry.durable) {
            Some(outcome) => {
                let decision = CallDecision::Reuse(outcome);
                self.effects.push_back(Effect::Decide { key, ticket, decision });
            }
            None => self.journal.waiting.push((call, key, ticket)),
        }
    }

    /// Takes a call in from the log.
    pub(crate) fn replay_intent(&mut self, call: &CallKey) {
        self.journal.intend(call);
        // A person's word counts for one more sending.
        self.questions.take_told(call);
    }

    /// Takes the end of a call in from the log.
    pub(crate) fn replay_outcome(&mut self, call: &CallKey, outcome: &CallOutcome) {
        let attempt = self.find(&call.activation).and_then(|(key, _)| {
            let flight = self.flights.get(key.flight)?;
            flight.elements.get(key.element).map(|element| element.attempts)
        });
        if let Some(entry) = self.journal.entry(call) {
            entry.outcome = Some(outcome.clone());
            entry.durable = true;
            entry.ended_in = attempt.unwrap_or(0);
        }
    }
}

/// The failure of a call of which nobody knows what became.
pub(super) fn unknown(target: &str) -> Failure {
    Failure::permanent(format!("what became of the call of {target} is unknown"))
}
