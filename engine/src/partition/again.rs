//! Programs run again beside a replay: what each saw, and what its calls gave.

use std::sync::Arc;

use superstep_graph::{OnUnknown, VertexName};

use super::activation::on_unknown;
use super::calls::unknown;
use super::element::Stage;
use super::journal::Recalled;
use super::{Job, Partition};
use crate::call::{CallOutcome, CallRequest};
use crate::ids::{ActivationId, FrameId};
use crate::program::{Failure, FailureClass, Outcome, ProgramResult};
use crate::proposal::Proposal;
use crate::record::CallKey;

/// What ends an attempt of an activation in flight, as far as the log tells.
#[derive(Clone, Debug)]
pub enum Again {
    /// A program that runs so.
    Program(Job),
    /// What the answer to a question makes of it alone: it is the output, where the program left no state, or decides
    /// on the result that was proposed.
    Answer(ProgramResult),
}

/// What the log has of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Recall {
    /// It was made, and ended so.
    Ended(CallOutcome),
    /// It was not made.
    Refused(Failure),
    /// Nothing, and the attempt failed. No record tells that a budget refuses a call, so that may have been why;
    /// or another failure had come first.
    NoRoom(Failure),
    /// Nothing, and the attempt did not fail.
    Unknown,
}

impl Partition {
    /// The activation, without element, that a vertex has in flight.
    pub(crate) fn in_flight(&self, frame: FrameId, vertex: &VertexName) -> Option<ActivationId> {
        let frame = self.frames.get(&frame)?;
        let at = frame.topology.find(vertex)?;
        let flight = self.flights.get(frame.vertices.flight(at)?)?;
        Some(flight.id.clone())
    }

    /// The present attempt of an element in flight. Its calls are counted anew.
    pub(crate) fn again(&mut self, activation: &ActivationId) -> Option<Again> {
        let (key, stage) = self.find(activation)?;
        if let Stage::Suspended { number, question } = &stage {
            let answer = self.answer_to(activation, *number);
            if question.state.is_none() {
                return Some(Again::Answer(ProgramResult::output(answer?.clone())));
            }
            if let Some(result) = answer.and_then(|answer| Proposal::decided(question, answer)) {
                return Some(Again::Answer(result));
            }
        }
        self.take_up(key, activation, stage);
        self.journal.begin_attempt(activation);
        let flight = self.flights.resolve(key)?;
        let element = flight.elements.get(key.element)?;
        Some(Again::Program(Job {
            key,
            activation: activation.clone(),
            vertex: Arc::clone(&flight.spec),
            view: element.view.clone(),
            resumption: element.resumption.clone(),
            attempts: element.attempts,
        }))
    }

    /// What the log has of a call that the program of [`Self::again`] asks for. How the attempt has `ended` tells
    /// whether a call that an attempt before had left behind was asked for before it had ended.
    pub(crate) fn recall(
        &mut self,
        activation: &ActivationId,
        request: &CallRequest,
        ended: &Outcome,
    ) -> Recall {
        let Some((key, _)) = self.find(activation) else { return absent(ended) };
        let Some(flight) = self.flights.resolve(key) else { return absent(ended) };
        let policy = on_unknown(&flight.spec, request);
        let attempt = flight.elements.get(key.element).map_or(0, |element| element.attempts);
        let was_refused = policy == OnUnknown::Fail && *ended == Outcome::Failed(unknown(&request.target));
        let no_room = matches!(ended, Outcome::Failed(failure) if failure.class == FailureClass::Limit);
        match self.journal.recall(activation, request.digest, attempt) {
            Some(Recalled { late: true, .. }) if was_refused => Recall::Refused(unknown(&request.target)),
            // It ended for want of room, and made no call after this one: this one had none, whatever came of the
            // call that was left behind.
            Some(Recalled { late: true, .. })
                if no_room && self.journal.unasked(activation, attempt).is_empty() =>
            {
                absent(ended)
            }
            Some(Recalled { outcome: Some(outcome), .. }) => Recall::Ended(outcome),
            Some(Recalled { outcome: None, .. }) if policy == OnUnknown::Fail => {
                Recall::Refused(unknown(&request.target))
            }
            Some(Recalled { outcome: None, .. }) | None => absent(ended),
        }
    }

    /// The calls of the present attempt that the log has, and that its program has not asked for again.
    pub(crate) fn unasked(&self, activation: &ActivationId) -> Vec<CallKey> {
        let element = self.find(activation).and_then(|(key, _)| {
            let flight = self.flights.get(key.flight)?;
            flight.elements.get(key.element)
        });
        self.journal.unasked(activation, element.map_or(0, |element| element.attempts))
    }
}

/// What is said of a call that the log does not have, by how its attempt ended.
fn absent(ended: &Outcome) -> Recall {
    match ended {
        Outcome::Failed(failure) if failure.class == FailureClass::Limit => Recall::NoRoom(failure.clone()),
        Outcome::Failed(_) => {
            Recall::NoRoom(Failure::new(FailureClass::Limit, "there was no room for the call"))
        }
        Outcome::Done(_) | Outcome::Suspended(_) => Recall::Unknown,
    }
}
