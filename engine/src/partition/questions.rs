//! Questions to the outside, and their answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::element::Stage;
use super::flight::Flight;
use super::{AfterDurable, Partition};
use crate::defect::{self, Defect};
use crate::ids::{ActivationId, ActivationKey, QuestionId, Timestamp};
use crate::payload::Payload;
use crate::program::{ProgramResult, Question, Resumption};
use crate::proposal::Proposal;
use crate::protocol::Report;
use crate::record::{CallKey, Record};

/// The questions of activations that are not committed yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Questions {
    asked: BTreeMap<ActivationId, Vec<Asked>>,
    /// What a person said of calls in doubt that their programs have not come to again.
    told: BTreeMap<CallKey, Payload>,
}

#[derive(Clone, Debug)]
struct Asked {
    /// The call that it is about, if it is about one in doubt.
    doubt: Option<CallKey>,
    answered: bool,
    /// In a replay: the answer, of which the log does not say when it was taken up.
    answer: Option<Payload>,
}

impl Questions {
    /// The open question about a call in doubt, if there is one.
    fn about(&self, call: &CallKey) -> Option<QuestionId> {
        let asked = self.asked.get(&call.activation)?;
        let is = |asked: &Asked| !asked.answered && asked.doubt.as_ref() == Some(call);
        let number = (0u32..).zip(asked).find(|(_, asked)| is(asked))?.0;
        Some(QuestionId { activation: call.activation.clone(), number })
    }

    fn add(&mut self, activation: ActivationId, doubt: Option<CallKey>) -> QuestionId {
        let asked = self.asked.entry(activation.clone()).or_default();
        asked.push(Asked { doubt, answered: false, answer: None });
        let number = u32::try_from(asked.len() - 1).unwrap_or(u32::MAX);
        QuestionId { activation, number }
    }

    /// Takes down that a question was answered; the call that it was about.
    fn answered(&mut self, id: &QuestionId) -> Option<CallKey> {
        let asked = self.asked.get_mut(&id.activation)?.get_mut(id.number as usize)?;
        asked.answered = true;
        asked.doubt.clone()
    }

    /// What a person said of a call in doubt.
    pub(super) fn take_told(&mut self, call: &CallKey) -> Option<Payload> {
        self.told.remove(call)
    }

    /// Drops what is known of an activation that is committed or gone.
    pub(super) fn forget(&mut self, flight: &Flight) {
        if self.asked.is_empty() {
            return;
        }
        for element in 0..flight.elements.len() {
            let activation = flight.element_id(element);
            if self.asked.remove(&activation).is_some() {
                self.told.retain(|call, _| call.activation != activation);
            }
        }
    }
}

impl Partition {
    /// Lets an element ask: what its program wants to know, or what became of a call.
    pub(super) fn ask(&mut self, key: ActivationKey, question: Question, doubt: Option<(u32, CallKey)>) {
        let (ticket, call) = doubt.unzip();
        if let (Some(ticket), Some(call)) = (ticket, &call)
            && self.questions.about(call).is_some()
        {
            // It was asked before a crash, and everybody knows of it.
            self.set_stage(key.flight, key.element, Stage::InDoubt { ticket });
            return self.after_element(key.flight);
        }
        let Some(activation) = self.flights.resolve(key).map(|flight| flight.element_id(key.element)) else {
            return;
        };
        let id = self.questions.add(activation, call.clone());
        let stage = Stage::Asking { number: id.number, question: question.clone(), ticket };
        self.set_stage(key.flight, key.element, stage);
        self.append(Record::Suspended { id, question, doubt: call }, AfterDurable::Suspend(key));
    }

    /// The question of an element is durable: it waits.
    pub(super) fn suspended(&mut self, key: ActivationKey) {
        let Some(flight) = self.flights.resolve(key) else { return };
        let activation = flight.element_id(key.element);
        let Some(Stage::Asking { number, question, ticket }) =
            flight.elements.get(key.element).map(|element| element.stage().clone())
        else {
            return;
        };
        let stage = match ticket {
            Some(ticket) => Stage::InDoubt { ticket },
            None => Stage::Suspended { number, question: question.clone() },
        };
        self.set_stage(key.flight, key.element, stage);
        self.report(Report::Asked { id: QuestionId { activation, number }, question });
        self.after_element(key.flight);
    }

    /// Hands answers to elements that asked.
    pub(super) fn answer(&mut self, answers: Vec<(QuestionId, Payload)>, now: Timestamp) {
        for (id, answer) in answers {
            let call = self.questions.answered(&id);
            let Some((key, stage)) = self.find(&id.activation) else { continue };
            self.skip_pause(key.flight, now);
            match (stage, call) {
                (Stage::InDoubt { ticket }, Some(call)) if self.is_about((key, ticket), &call) => {
                    self.set_stage(key.flight, key.element, Stage::Running { deadline: None });
                    self.call_answered(key, ticket, &answer);
                    self.after_element(key.flight);
                }
                (_, Some(call)) => {
                    self.questions.told.insert(call, answer);
                }
                (Stage::Suspended { number, question }, None) if number == id.number => {
                    self.go_on_with(key, question, answer, now);
                }
                (
                    Stage::Running { .. }
                    | Stage::BackingOff { .. }
                    | Stage::Asking { .. }
                    | Stage::Suspended { .. }
                    | Stage::InDoubt { .. }
                    | Stage::InFrame
                    | Stage::Ended(_),
                    None,
                ) => {}
            }
        }
    }

    /// The answer is the output; or it decides on the result that is there; or the program goes on with it, if it left
    /// a state.
    fn go_on_with(&mut self, key: ActivationKey, question: Question, answer: Payload, now: Timestamp) {
        if let Some(result) = Proposal::decided(&question, &answer) {
            self.set_stage(key.flight, key.element, Stage::Ended(Ok(Arc::new(result))));
            return self.after_element(key.flight);
        }
        match question.state {
            None => {
                let end = Ok(Arc::new(ProgramResult::output(answer)));
                self.set_stage(key.flight, key.element, Stage::Ended(end));
            }
            Some(state) => {
                let flight = self.flights.resolve(key);
                if let Some(element) = flight.and_then(|flight| flight.elements.get_mut(key.element)) {
                    let anew = defect::is(Defect::BegunAnew);
                    element.resumption = (!anew).then_some(Resumption { state, answer });
                }
                self.run_element(key, now);
            }
        }
        self.after_element(key.flight);
    }

    /// Takes a question in from the log.
    pub(crate) fn replay_question(&mut self, id: &QuestionId, question: Question, doubt: Option<CallKey>) {
        let Some((key, stage)) = self.find(&id.activation) else { return };
        self.take_up(key, &id.activation, stage);
        if doubt.is_none() {
            self.journal.pass(&id.activation);
        }
        // No program waits for this ticket: after the replay it runs again, and comes to the call anew.
        let ticket = doubt.is_some().then_some(u32::MAX);
        let id = self.questions.add(id.activation.clone(), doubt);
        self.set_stage(key.flight, key.element, Stage::Asking { number: id.number, question, ticket });
        self.suspended(key);
    }

    /// Lets an element that has gone on do so from the answer before: its program has had it.
    pub(super) fn take_up(&mut self, key: ActivationKey, activation: &ActivationId, stage: Stage) {
        let Stage::Suspended { number, question: Question { state: Some(state), .. } } = stage else {
            return;
        };
        let Some(answer) = self.answer_to(activation, number).cloned() else { return };
        let flight = self.flights.resolve(key);
        if let Some(element) = flight.and_then(|flight| flight.elements.get_mut(key.element)) {
            element.resumption = Some(Resumption { state, answer });
        }
    }

    /// The answer to a question, if there is one.
    pub(super) fn answer_to(&self, activation: &ActivationId, number: u32) -> Option<&Payload> {
        self.questions.asked.get(activation)?.get(number as usize)?.answer.as_ref()
    }

    /// Takes an answer in from the log; true if it is about a call in doubt and is kept here until the
    /// program comes to that call again.
    pub(crate) fn replay_answer(&mut self, id: &QuestionId, answer: &Payload) -> bool {
        let call = self.questions.answered(id);
        let about_call = call.is_some();
        self.questions.told.extend(call.map(|call| (call, answer.clone())));
        if let Some(asked) = self.questions.asked.get_mut(&id.activation)
            && let Some(asked) = asked.get_mut(id.number as usize)
        {
            asked.answer = Some(answer.clone());
        }
        about_call
    }
}
