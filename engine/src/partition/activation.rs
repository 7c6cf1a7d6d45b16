//! Activations: drained, started, tried again, suspended, ended.

use std::sync::Arc;

use superstep_graph::{OnFailure, OnUnknown, WhenIncomplete};

use super::flight::{Flight, Stage};
use super::launch::Begun;
use super::{AfterDurable, Effect, Job, Partition};
use crate::ids::{ActivationId, ActivationKey, Place, Timestamp};
use crate::message::MessageStatus;
use crate::notice::Notice;
use crate::payload::Payload;
use crate::program::{Failure, FailureClass, Outcome, ProgramResult, Resumption};
use crate::protocol::{Closing, Opening, Planned, Report, Start};
use crate::record::Record;

impl Partition {
    pub(super) fn start(&mut self, start: Start, now: Timestamp) {
        let mut planned = std::mem::take(&mut self.planned);
        let cancel: Vec<Place> = start.cancel.iter().copied().filter(|place| self.owns(*place)).collect();
        for place in &cancel {
            if let Some(position) = planned.iter().position(|(other, _)| other == place) {
                let (_, fires) = planned.remove(position);
                self.discard(*place, fires, MessageStatus::Cancelled);
                self.notify_cancelled(*place);
            } else if self.flight_at(*place).is_some() {
                self.cancel(*place);
            } else {
                // A join that was about to fire incomplete.
                self.discard(*place, true, MessageStatus::Cancelled);
                self.notify_cancelled(*place);
            }
        }
        for (place, slot) in &start.pardons {
            if let Some(frame) = self.frames.get_mut(&place.0) {
                frame.vertices[place.1.0 as usize].pardon(*slot);
            }
        }
        for closing in start.closed {
            self.close(closing);
        }
        let mut begun = Begun::default();
        let mut failing = Vec::new();
        for (place, action) in start.verdicts {
            if !self.owns(place) {
                continue;
            }
            match action {
                WhenIncomplete::Fire => planned.push((place, true)),
                WhenIncomplete::Skip => self.discard(place, true, MessageStatus::Buffered),
                WhenIncomplete::Fail => failing.push(place),
            }
        }
        planned.sort_unstable();
        for (place, fires) in planned.drain(..) {
            self.activate(place, fires, &mut begun, now);
        }
        self.planned = planned;
        for place in failing {
            // It takes part in the barrier, but counts for no limit: nothing was run.
            begun.started.push(Planned { place, weight: 0, owed: Vec::new() });
            self.fail_join(place);
        }
        self.report(Report::Started { wanted: begun.wanted, started: begun.started });
    }

    pub(super) fn open(&mut self, openings: Vec<Opening>, now: Timestamp) {
        let mut begun = Begun::default();
        for opening in openings {
            let frame = super::adopt::open_frame(&opening);
            let entries: Vec<Place> =
                frame.topology.entry().iter().map(|entry| (opening.frame, *entry)).collect();
            self.frames.insert(opening.frame, frame);
            for place in entries {
                if self.owns(place) {
                    self.activate(place, false, &mut begun, now);
                }
            }
        }
        self.report(Report::Started { wanted: begun.wanted, started: begun.started });
    }

    pub(super) fn flight_at(&mut self, place: Place) -> Option<&mut Flight> {
        let number = self.frames.get(&place.0)?.vertices[place.1.0 as usize].flight?;
        self.flights.get_mut(number)
    }

    /// Starts, or starts again, the program of an element.
    pub(super) fn run_element(&mut self, key: ActivationKey, now: Timestamp) {
        let Some(flight) = self.flights.resolve(key) else { return };
        let deadline = flight.spec.timeout.map(|timeout| now.after_millis(timeout.as_millis()));
        let activation = flight.element_id(key.element);
        let Some(element) = flight.elements.get_mut(key.element as usize) else { return };
        element.stage = Stage::Running { deadline };
        element.runs += 1;
        let job = Job {
            key: ActivationKey { run: element.runs, ..key },
            activation,
            view: Arc::clone(&element.view),
            resumption: element.resumption.clone(),
            attempts: element.attempts,
            vertex: Arc::clone(&flight.spec),
        };
        self.journal.begin_attempt(&job.activation);
        self.effects.push_back(Effect::Run(job));
    }

    pub(super) fn finished(&mut self, key: ActivationKey, outcome: Outcome, now: Timestamp) {
        let replaying = self.replaying;
        let Some(flight) = self.flights.resolve(key) else { return };
        let activation = flight.element_id(key.element);
        let (retry, max_attempts) = (flight.spec.retry.clone(), flight.spec.max_attempts());
        let Some(element) = flight.elements.get_mut(key.element as usize) else { return };
        if !matches!(element.stage, Stage::Running { .. }) {
            return;
        }
        match outcome {
            Outcome::Done(result) => element.stage = Stage::Ended(Ok(Arc::new(result))),
            Outcome::Suspended(question) => {
                element.stage = Stage::Asking { question: question.clone(), ticket: None };
                let record = Record::Suspended { activation, question, in_doubt: false };
                self.append(record, AfterDurable::Suspend(key));
                return;
            }
            Outcome::Failed(failure) => {
                element.attempts += 1;
                if failure.class.is_retryable() && element.attempts < max_attempts && !replaying {
                    let attempts = element.attempts;
                    let doubled = retry.backoff.as_millis().saturating_mul(1 << (attempts - 1).min(20));
                    element.stage = Stage::BackingOff {
                        until: now.after_millis(doubled.min(retry.max_backoff.as_millis())),
                    };
                    let notice = Notice::Retrying {
                        activation: activation.clone(),
                        attempts,
                        failure: failure.clone(),
                    };
                    self.effects.push_back(Effect::Notify(notice));
                    self.append(
                        Record::AttemptFailed { activation, attempts, failure },
                        AfterDurable::Nothing,
                    );
                    return;
                }
                element.stage = Stage::Ended(Err(failure));
            }
        }
        self.after_element(key.flight);
    }

    /// Looks at an activation one of whose elements has changed.
    pub(super) fn after_element(&mut self, number: u32) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        if flight.is_ended() {
            self.complete(number);
            return;
        }
        let suspended = flight.is_suspended();
        if suspended != flight.suspended {
            flight.suspended = suspended;
            let activation = flight.id.clone();
            self.report(Report::Suspension { activation, suspended });
        }
    }

    pub(super) fn suspended(&mut self, key: ActivationKey) {
        let Some(flight) = self.flights.resolve(key) else { return };
        let activation = flight.element_id(key.element);
        let Some(element) = flight.elements.get_mut(key.element as usize) else { return };
        let (question, ticket) = match &element.stage {
            Stage::Asking { question, ticket } => (question.clone(), *ticket),
            Stage::Running { .. }
            | Stage::BackingOff { .. }
            | Stage::Suspended { .. }
            | Stage::InDoubt { .. }
            | Stage::InFrame
            | Stage::Ended(_) => return,
        };
        element.stage = match ticket {
            Some(ticket) => Stage::InDoubt { ticket },
            None => Stage::Suspended { question: question.clone() },
        };
        self.report(Report::Asked { activation, question });
        self.after_element(key.flight);
    }

    /// Hands answers to elements that asked.
    pub(super) fn answer(&mut self, answers: Vec<(ActivationId, Payload)>, now: Timestamp) {
        for (activation, answer) in answers {
            let Some((key, stage)) = self.find(&activation) else { continue };
            match stage {
                Stage::Suspended { question } => match question.state {
                    None => {
                        self.set_stage(key, Stage::Ended(Ok(Arc::new(ProgramResult::output(answer)))), true);
                        self.after_element(key.flight);
                    }
                    Some(state) => {
                        if let Some(flight) = self.flights.resolve(key)
                            && let Some(element) = flight.elements.get_mut(key.element as usize)
                        {
                            element.resumption = Some(Resumption { state, answer });
                        }
                        self.run_element(key, now);
                        self.after_element(key.flight);
                    }
                },
                Stage::InDoubt { ticket } => {
                    self.set_stage(key, Stage::Running { deadline: None }, false);
                    self.call_answered(key, ticket, &answer);
                    self.after_element(key.flight);
                }
                Stage::Running { .. }
                | Stage::BackingOff { .. }
                | Stage::Asking { .. }
                | Stage::InFrame
                | Stage::Ended(_) => {}
            }
        }
    }

    pub(super) fn set_stage(&mut self, key: ActivationKey, stage: Stage, derived: bool) {
        if let Some(flight) = self.flights.resolve(key) {
            flight.derived |= derived && !flight.grouped;
            if let Some(element) = flight.elements.get_mut(key.element as usize) {
                element.stage = stage;
            }
        }
    }

    /// The handle and the stage of an element, by its name.
    pub(super) fn find(&self, activation: &ActivationId) -> Option<(ActivationKey, Stage)> {
        let frame = self.frames.get(&activation.frame)?;
        let at = frame.topology.find(&activation.vertex)?;
        let number = frame.vertices[at.0 as usize].flight?;
        let flight = self.flights.get(number)?;
        let index = activation.element.unwrap_or(0);
        if flight.element_id(index) != *activation {
            return None;
        }
        let element = flight.elements.get(index as usize)?;
        Some((self.flights.key(number, index), element.stage.clone()))
    }

    /// Ends the element that opened a frame; the frame itself is gone.
    fn close(&mut self, closing: Closing) {
        self.drop_frame(closing.frame, &closing.end.as_ref().map(|_| ()).map_err(Clone::clone));
        let Some((place, index)) = closing.parent else { return };
        if !self.owns(place) {
            return;
        }
        let Some(flight) = self.flight_at(place) else { return };
        let Some(element) = flight.elements.get_mut(index as usize) else { return };
        element.stage = Stage::Ended(closing.end.map(|output| Arc::new(ProgramResult::output(output))));
        flight.derived = true;
        let Some(number) =
            self.frames.get(&place.0).and_then(|frame| frame.vertices[place.1.0 as usize].flight)
        else {
            return;
        };
        self.after_element(number);
    }

    /// Empties what an activation would have drained, without running it.
    pub(super) fn discard(&mut self, place: Place, fires: bool, status: MessageStatus) {
        let Some(frame) = self.frames.get_mut(&place.0) else { return };
        let topology = Arc::clone(&frame.topology);
        let vertex = topology.vertex(place.1);
        let state = &mut frame.vertices[place.1.0 as usize];
        let dropped = if fires { state.empty() } else { state.drain(vertex, false).0 };
        for message in dropped {
            self.settle(place.0, &message.key, &vertex.name, status);
        }
    }
}

pub(super) fn over_limit(limit: &str, wanted: u64, most: u64) -> Failure {
    Failure {
        class: FailureClass::Limit,
        message: format!("limits.{limit} allows {most}, and {wanted} were wanted"),
    }
}

/// Whether a failure of `spec` ends the run when no edge takes it.
pub(super) fn is_fatal(spec: &superstep_graph::VertexSpec) -> bool {
    spec.on_failure == OnFailure::FailRun
}

/// What becomes of a call of `spec` that was in flight at a crash.
pub(super) fn on_unknown(
    spec: &superstep_graph::VertexSpec,
    request: &crate::call::CallRequest,
) -> OnUnknown {
    spec.on_unknown.unwrap_or(if request.repeatable { OnUnknown::Retry } else { OnUnknown::Ask })
}
