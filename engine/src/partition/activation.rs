//! Activations: drained, started, tried again, suspended, ended.

use std::sync::Arc;

use superstep_graph::{DurationSpec, OnFailure, OnUnknown, WhenIncomplete};

use super::element::Stage;
use super::flight::Flight;
use super::frame::Frame;
use super::launch::Begun;
use super::{AfterDurable, Effect, Job, Partition};
use crate::ids::{ActivationId, ActivationKey, Place, Timestamp};
use crate::message::MessageStatus;
use crate::notice::Notice;
use crate::program::{Failure, FailureClass, Outcome, ProgramResult};
use crate::proposal::Proposal;
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
            let frame = self.frames.get_mut(&place.0);
            if let Some(state) = frame.and_then(|frame| frame.vertices.get_mut(place.1)) {
                state.pardon(*slot);
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
            let frame = Frame::open(&opening, &self.homes);
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
        let number = self.frames.get(&place.0)?.vertices.flight(place.1)?;
        self.flights.get_mut(number)
    }

    /// Starts, or starts again, the program of an element.
    pub(super) fn run_element(&mut self, key: ActivationKey, now: Timestamp) {
        let Some(flight) = self.flights.resolve(key) else { return };
        let deadline = flight.spec.timeout.map(|timeout| now.after_millis(timeout.as_millis()));
        let activation = flight.element_id(key.element);
        let Some(element) = flight.elements.get_mut(key.element) else { return };
        element.runs += 1;
        let job = Job {
            key: ActivationKey { run: element.runs, ..key },
            activation,
            view: element.view.clone(),
            resumption: element.resumption.clone(),
            attempts: element.attempts,
            vertex: Arc::clone(&flight.spec),
        };
        self.set_stage(key.flight, key.element, Stage::Running { deadline });
        self.journal.begin_attempt(&job.activation);
        self.effects.push_back(Effect::Run(job));
    }

    pub(super) fn finished(&mut self, key: ActivationKey, outcome: Outcome, now: Timestamp) {
        let Some(element) = self.flights.resolve(key).and_then(|flight| flight.elements.get(key.element))
        else {
            return;
        };
        if !matches!(element.stage(), Stage::Running { .. }) {
            return;
        }
        self.lap(key.flight, now);
        match outcome.bounded() {
            Outcome::Done(result) => {
                if self.is_to_be_decided(key, &result) {
                    return self.ask(key, Proposal::question(&result), None);
                }
                self.set_stage(key.flight, key.element, Stage::Ended(Ok(Arc::new(result))));
            }
            Outcome::Suspended(question) => return self.ask(key, question, None),
            Outcome::Failed(failure) => {
                if self.try_again(key, &failure, now) {
                    return;
                }
                self.set_stage(key.flight, key.element, Stage::Ended(Err(failure)));
            }
        }
        self.after_element(key.flight);
    }

    /// Whether the graph lets somebody decide on what a result asks for.
    fn is_to_be_decided(&mut self, key: ActivationKey, result: &ProgramResult) -> bool {
        if result.mutations.is_empty() {
            return false;
        }
        let frame = self.flights.resolve(key).map(|flight| flight.place.0);
        let frame = frame.and_then(|frame| self.frames.get(&frame));
        frame.is_some_and(|frame| Proposal::is_due(&frame.mutations, result))
    }

    /// Counts an attempt that failed; whether another one will be made after a pause.
    fn try_again(&mut self, key: ActivationKey, failure: &Failure, now: Timestamp) -> bool {
        let replaying = self.replaying;
        let Some(flight) = self.flights.resolve(key) else { return false };
        let activation = flight.element_id(key.element);
        let (retry, max_attempts) = (flight.spec.retry.clone(), flight.spec.max_attempts());
        let Some(element) = flight.elements.get_mut(key.element) else { return false };
        element.attempts += 1;
        let attempts = element.attempts;
        if !failure.class.is_retryable() || attempts >= max_attempts || replaying {
            return false;
        }
        let doubled = retry.backoff.as_millis().saturating_mul(1 << (attempts - 1).min(20));
        let asked = failure.retry_after.map_or(0, |pause| DurationSpec::from(pause).as_millis());
        let until = now.after_millis(doubled.min(retry.max_backoff.as_millis()).max(asked));
        self.set_stage(key.flight, key.element, Stage::BackingOff { until });
        let failure = failure.clone();
        self.effects.push_back(Effect::Notify(Notice::Retrying {
            activation: activation.clone(),
            attempts,
            failure: failure.clone(),
        }));
        self.append(Record::AttemptFailed { activation, attempts, failure }, AfterDurable::Nothing);
        true
    }

    /// Looks at an activation one of whose elements has changed.
    pub(super) fn after_element(&mut self, number: u32) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        if flight.elements.have_ended() {
            self.complete(number);
            return;
        }
        let suspended = flight.elements.are_suspended();
        if suspended != flight.suspended {
            flight.suspended = suspended;
            let activation = flight.id.clone();
            self.report(Report::Suspension { activation, suspended });
        }
    }

    /// Changes what an element is doing, and when it is to be looked at again.
    pub(super) fn set_stage(&mut self, number: u32, element: u32, stage: Stage) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        let due = stage.timeout();
        let before = flight.elements.set_stage(element, stage).and_then(|stage| stage.timeout());
        if before != due {
            self.alarms.extend(due.map(|due| (due, number, element)));
            before.map(|before| self.alarms.remove(&(before, number, element)));
        }
    }

    /// The handle and the stage of an element, by its name.
    pub(super) fn find(&self, activation: &ActivationId) -> Option<(ActivationKey, Stage)> {
        let frame = self.frames.get(&activation.frame)?;
        let at = frame.topology.find(&activation.vertex)?;
        let number = frame.vertices.flight(at)?;
        let flight = self.flights.get(number)?;
        let index = activation.element.unwrap_or(0);
        if flight.element_id(index) != *activation {
            return None;
        }
        let element = flight.elements.get(index)?;
        Some((self.flights.key(number, index), element.stage().clone()))
    }

    /// Ends the element that opened a frame; the frame itself is gone.
    fn close(&mut self, closing: Closing) {
        self.drop_frame(closing.frame, closing.fate());
        let Some((place, index)) = closing.parent else { return };
        if !self.owns(place) {
            return;
        }
        let Some(number) = self.frames.get(&place.0).and_then(|frame| frame.vertices.flight(place.1)) else {
            return;
        };
        self.count_frame(number, closing.spent);
        let end = closing.end.map(|output| Arc::new(ProgramResult::output(output)));
        self.set_stage(number, index, Stage::Ended(end));
        if let Some(flight) = self.flights.get_mut(number) {
            flight.derived = true;
        }
        self.after_element(number);
    }

    /// Empties what an activation would have drained, without running it.
    pub(super) fn discard(&mut self, place: Place, fires: bool, status: MessageStatus) {
        let Some(frame) = self.frames.get_mut(&place.0) else { return };
        let topology = Arc::clone(&frame.topology);
        let vertex = topology.vertex(place.1);
        let Some(state) = frame.vertices.get_mut(place.1) else { return };
        let dropped = if fires { state.empty() } else { state.drain(vertex, false).0 };
        for message in dropped {
            self.settle(place.0, &message.key, &vertex.name, status);
        }
    }
}

pub(super) fn over_limit(limit: &str, wanted: u64, most: u64) -> Failure {
    Failure::new(FailureClass::Limit, format!("limits.{limit} allows {most}, and {wanted} were wanted"))
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
