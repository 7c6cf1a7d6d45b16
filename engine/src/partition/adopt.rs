//! Graphs that come, change and go: frames opened and dropped, mutations adopted, runs ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_graph::{Topology, ValidatedGraph, VertexIx, VertexName};

use super::element::Stage;
use super::flight::Flight;
use super::frame::Frame;
use super::vertex::{Readiness, VertexState, edge_of};
use super::{Effect, Partition};
use crate::defect::{self, Defect};
use crate::ids::{FrameId, Place, Timestamp};
use crate::message::{MessageStatus, Routed, Target};
use crate::misfit::Misfit;
use crate::notice::{Notice, RunStatus};
use crate::payload::Payload;
use crate::record::{Completion, End};

/// Fits a message on its way to a changed graph.
pub(super) fn mark_orphan(message: &mut Routed, topology: &Topology, removed: &[VertexName]) {
    if message.key.direct {
        return;
    }
    let to = match &message.to {
        Target::At(at) => topology.vertex(*at).name.clone(),
        Target::Absent(name) => name.clone(),
    };
    let gone = removed.contains(&message.key.from)
        || edge_of(topology, &message.key.from, &message.key.port, &to).is_none();
    message.orphan |= gone;
}

impl Partition {
    /// Fits a frame to the graph that mutations made of its own.
    pub(super) fn adopt(&mut self, frame_id: FrameId, graph: &ValidatedGraph, removed: &[VertexName]) {
        let Some(mut frame) = self.frames.remove(&frame_id) else { return };
        let old = frame.replace_graph(graph, &self.homes);
        let new = Arc::clone(&frame.topology);
        for name in removed {
            if let Some(at) = old.find(name) {
                frame.vertices.removed(at, name);
                self.remove_vertex((frame_id, at), name, &mut frame);
            }
        }
        for (to, message) in frame.vertices.adopt(&old, &new, removed) {
            self.settle(frame_id, &message.key, &to, MessageStatus::Delivered);
        }
        self.retarget(frame_id, &old, &new, removed);
        for (at, state) in frame.vertices.iter() {
            self.move_flight(state, (frame_id, at));
            // A changed join may be satisfied, or half-filled, by what waits already.
            self.touched.push((frame_id, at));
        }
        self.frames.insert(frame_id, frame);
        self.reroute(frame_id);
    }

    fn remove_vertex(&mut self, place: Place, name: &VertexName, frame: &mut Frame) {
        let Some(state) = frame.vertices.get_mut(place.1) else { return };
        for message in state.empty() {
            self.settle(place.0, &message.key, name, MessageStatus::DeadLettered);
        }
        if let Some(number) = state.flight.take() {
            self.abort(number);
        }
    }

    fn move_flight(&mut self, state: &VertexState, place: Place) {
        let Some(flight) = state.flight.and_then(|number| self.flights.get_mut(number)) else { return };
        flight.place = place;
    }

    /// Points places and messages on their way to the new indices.
    fn retarget(&mut self, frame: FrameId, old: &Topology, new: &Topology, removed: &[VertexName]) {
        let moved = |at: VertexIx| new.find(&old.vertex(at).name);
        for message in self.incoming.iter_mut().filter(|message| message.frame == frame) {
            message.to = match &message.to {
                Target::At(at) => {
                    let name = &old.vertex(*at).name;
                    new.find(name).map_or_else(|| Target::Absent(name.clone()), Target::At)
                }
                Target::Absent(name) => {
                    new.find(name).map_or_else(|| Target::Absent(name.clone()), Target::At)
                }
            };
            message.via = None;
            mark_orphan(message, new, removed);
        }
        let follow =
            |place: Place| if place.0 == frame { moved(place.1).map(|at| (frame, at)) } else { Some(place) };
        self.touched = std::mem::take(&mut self.touched).into_iter().filter_map(follow).collect();
        self.unsettled = std::mem::take(&mut self.unsettled).into_iter().filter_map(follow).collect();
    }

    /// Routes anew what has ended and is not committed: it will be committed under the new graph.
    fn reroute(&mut self, frame: FrameId) {
        let ended: Vec<u32> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.place.0 == frame && flight.staged.is_some())
            .map(|(number, _)| number)
            .collect();
        for number in ended {
            self.complete(number);
        }
    }

    /// Cancels an activation in flight; its value stays and its result is never applied.
    pub(super) fn cancel(&mut self, place: Place) {
        let Some(frame) = self.frames.get_mut(&place.0) else { return };
        let Some(state) = frame.vertices.get_mut(place.1) else { return };
        let Some(number) = state.flight.take() else { return };
        if !state.inbox.is_empty() {
            self.touched.push(place);
        }
        self.abort(number);
    }

    fn abort(&mut self, number: u32) {
        let Some(flight) = self.flights.get(number) else { return };
        let runs = |stage: &Stage| stage.may_call();
        let running: Vec<u32> = flight
            .elements
            .iter()
            .filter(|(_, element)| runs(element.stage()))
            .map(|(index, _)| index)
            .collect();
        let alarms: Vec<(Timestamp, u32, u32)> = flight
            .elements
            .iter()
            .filter_map(|(index, element)| element.stage().timeout().map(|due| (due, number, index)))
            .collect();
        for element in running {
            self.effects.push_back(Effect::Abort(self.flights.key(number, element)));
        }
        for alarm in alarms {
            self.alarms.remove(&alarm);
        }
        let Some(flight) = self.flights.remove(number) else { return };
        self.give_up_calls(&flight);
        self.forget_outside(&flight);
        self.effects.push_back(Effect::Notify(Notice::Cancelled { activation: flight.id }));
    }

    /// Drops what is known of the calls and questions of an activation that is committed or gone.
    pub(super) fn forget_outside(&mut self, flight: &Flight) {
        self.journal.forget(flight);
        self.questions.forget(flight);
    }

    pub(super) fn notify_cancelled(&mut self, place: Place) {
        let Some(frame) = self.frames.get(&place.0) else { return };
        let activation = frame.activation(place, self.superstep);
        self.effects.push_back(Effect::Notify(Notice::Cancelled { activation }));
    }

    /// Drops a frame: what is in flight in it is cancelled, and what waits in half-filled joins has
    /// the status `waiting`.
    pub(super) fn drop_frame(&mut self, frame: FrameId, waiting: MessageStatus) {
        let flying: Vec<u32> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.place.0 == frame)
            .map(|(number, _)| number)
            .collect();
        for number in flying {
            self.abort(number);
        }
        let (gone, rest): (Vec<Routed>, Vec<Routed>) =
            std::mem::take(&mut self.incoming).into_iter().partition(|message| message.frame == frame);
        self.incoming = rest;
        let Some(state) = self.frames.remove(&frame) else { return };
        for message in gone {
            let to = match &message.to {
                Target::At(at) => state.topology.vertex(*at).name.clone(),
                Target::Absent(name) => name.clone(),
            };
            self.settle(frame, &message.key, &to, MessageStatus::Cancelled);
        }
        for (at, mut vertex) in state.vertices.into_states() {
            let known = state.topology.vertex(at);
            // Only what waits in a half-filled join was waiting; the rest would have been delivered.
            let half_filled = vertex.readiness(known) == Readiness::HalfFilled;
            let status = if half_filled { waiting } else { MessageStatus::Cancelled };
            for message in vertex.empty() {
                self.settle(frame, &message.key, &known.name, status);
            }
        }
        self.touched.retain(|place| place.0 != frame);
        self.unsettled.retain(|place| place.0 != frame);
        self.planned.retain(|(place, _)| place.0 != frame);
    }

    /// Ends the run: nothing is in flight after it, and every message has its status.
    pub(super) fn end(&mut self, status: &RunStatus) {
        let waiting = match status {
            RunStatus::Succeeded | RunStatus::LimitReached(_) => MessageStatus::Buffered,
            RunStatus::Failed { .. } | RunStatus::Cancelled => MessageStatus::Cancelled,
        };
        self.left = self.values();
        let frames: Vec<FrameId> = self.frames.keys().rev().copied().collect();
        for frame in frames {
            self.drop_frame(frame, waiting);
        }
    }

    /// The values of the run's own graph that are not those with which it begins, as they were when the
    /// run ended, if it has.
    pub(crate) fn values(&self) -> BTreeMap<VertexName, Payload> {
        let Some(frame) = self.frames.get(&FrameId::ROOT) else { return self.left.clone() };
        let states = frame.vertices.iter().map(|(at, state)| (state, frame.topology.vertex(at)));
        let own = states.filter(|(_, vertex)| self.home(&vertex.name) == self.me);
        own.filter(|(state, vertex)| state.has_changed(vertex))
            .map(|(state, vertex)| (vertex.name.clone(), state.value.clone()))
            .collect()
    }

    /// Takes the end of an activation in from a commit record.
    pub(crate) fn replay_completion(&mut self, completion: &Completion) -> Result<(), Misfit> {
        let vertex = || completion.vertex.clone();
        let absent = || Misfit::NotInFlight { vertex: vertex(), frame: completion.frame };
        let frame = self.frames.get(&completion.frame).ok_or_else(absent)?;
        let at = frame.topology.find(&completion.vertex).ok_or_else(absent)?;
        let number = frame.vertices.flight(at).ok_or_else(absent)?;
        let flight = self.flights.get(number).ok_or_else(absent)?;
        let ends = match &completion.end {
            End::Derived if flight.elements.have_ended() => return Ok(()),
            End::Derived => return Err(Misfit::NotDerived(vertex())),
            End::Single(end) => std::slice::from_ref(end),
            End::Each(ends) => ends.as_slice(),
        };
        let elements = flight.elements.len();
        if elements as usize != ends.len() {
            return Err(Misfit::Elements { vertex: vertex(), elements, recorded: ends.len() });
        }
        for (element, end) in (0u32..).zip(ends) {
            self.set_stage(number, element, Stage::Ended(end.clone()));
        }
        self.complete(number);
        Ok(())
    }

    /// Takes the number of attempts of an activation in from the log.
    pub(crate) fn replay_attempts(&mut self, activation: &crate::ids::ActivationId, attempts: u32) {
        if defect::is(Defect::AttemptsForgotten) {
            return;
        }
        let Some((key, _)) = self.find(activation) else { return };
        let flight = self.flights.resolve(key);
        if let Some(element) = flight.and_then(|flight| flight.elements.get_mut(key.element)) {
            element.attempts = attempts;
        }
    }

    /// Begins to work for real after a replay: everything that was running runs again.
    pub fn go_live(&mut self, now: Timestamp) {
        self.replaying = false;
        if defect::is(Defect::JoinsForgotten) {
            self.frames.values_mut().for_each(|frame| frame.vertices.forget_joins());
        }
        let runs = |stage: &Stage| matches!(stage, Stage::Running { .. } | Stage::InDoubt { .. });
        let running: Vec<_> = self
            .flights
            .iter()
            .flat_map(|(number, flight)| {
                flight.elements.iter().map(move |(index, element)| (number, index, element))
            })
            .filter(|(_, _, element)| runs(element.stage()))
            .map(|(number, index, _)| self.flights.key(number, index))
            .collect();
        for key in running {
            self.restart_watch(key.flight, now);
            self.run_element(key, now);
        }
    }
}
