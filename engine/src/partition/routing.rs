//! From the end of an activation to messages on their way.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use superstep_graph::{Delivery, OnFailure, Port};

use super::activation::{is_fatal, over_limit};
use super::element::Stage;
use super::flight::{Flight, Staged, Unsent};
use super::frame::Frame;
use super::{Effect, Partition};
use crate::expressions::EdgeView;
use crate::ids::PartitionId;
use crate::message::{MessageKey, MessageStatus, Routed, Target};
use crate::notice::LimitKind;
use crate::payload::Payload;
use crate::program::{Emission, Failure, FailureClass, ProgramResult, ValueChange};
use crate::protocol::{Committed, Completed, Report};
use crate::record::End;

type Ended = Result<Arc<ProgramResult>, Failure>;

impl Partition {
    /// Routes what an ended activation sends, by the present graph, and reports it as completed.
    pub(super) fn complete(&mut self, number: u32) {
        let Some(flight) = self.flights.get(number) else { return };
        let Some(frame) = self.frames.get(&flight.place.0) else { return };
        let outcome = result_of(flight);
        let routed = match &outcome {
            Ok(result) => frame
                .check_contributions(&result.contributions)
                .and_then(|()| self.route(flight, frame, result)),
            Err(failure) => Err(failure.clone()),
        };
        let failure = routed.as_ref().err().cloned();
        let (mut staged, taken) = match routed {
            Ok(staged) => (staged, false),
            Err(failure) => self.route_failure(flight, frame, &failure),
        };
        staged.failure.clone_from(&failure);
        let limited = failure.as_ref().is_some_and(|failure| failure.class == FailureClass::Limit);
        if limited && outcome.is_ok() {
            // Routing refuses a result for one limit only.
            self.effects.push_back(Effect::Report(Report::LimitReached(LimitKind::FanOut)));
        }
        let failure_counts = failure.is_some() && !limited;
        let usage = self.journal.usage(flight);
        let succeeded = outcome.ok().filter(|_| failure.is_none());
        let completed = Completed {
            place: flight.place,
            activation: flight.id.clone(),
            end: end_of(flight),
            output: succeeded.as_ref().and_then(|result| result.as_output().cloned()),
            fatal: failure.is_some() && !taken && !limited && is_fatal(&flight.spec),
            failure,
            mutations: succeeded.as_ref().map(|result| result.mutations.clone()).unwrap_or_default(),
            contributions: succeeded.map(|result| result.contributions.clone()).unwrap_or_default(),
            outbound: self.outbound(&staged, frame),
            measured: self.measured(flight, failure_counts, &usage),
            usage,
        };
        if let Some(flight) = self.flights.get_mut(number) {
            flight.suspended = false;
            flight.staged = Some(staged);
        }
        self.report(Report::Completed(Box::new(completed)));
    }

    fn route(&self, flight: &Flight, frame: &Frame, result: &ProgramResult) -> Result<Staged, Failure> {
        let topology = &*frame.topology;
        let mut staged = Staged { value: result.value.clone(), ..Staged::default() };
        let mut ordinals: BTreeMap<(&Port, &str), u32> = BTreeMap::new();
        for emission in &result.emissions {
            // Over the edges of a lone emission no receiver has two messages.
            let ordinals = (result.emissions.len() > 1).then_some(&mut ordinals);
            self.emit(flight, frame, emission, ordinals, &mut staged)?;
        }
        let vertex = topology.vertex(flight.place.1);
        for (ordinal, direct) in (0u32..).zip(&result.direct) {
            let to = topology.find(&direct.to);
            let declared = vertex.sends_any
                || to.is_some_and(|to| vertex.sends.contains(&to))
                || matches!(&vertex.spec.sends, Some(superstep_graph::Sends::To(names)) if names.contains(&direct.to));
            if !declared {
                let port = Port::default();
                staged.settled.push(Unsent { port, to: direct.to.clone(), status: MessageStatus::Refused });
                continue;
            }
            let target = to.map_or_else(|| Target::Absent(direct.to.clone()), Target::At);
            let key = MessageKey { direct: true, ..key_of(flight, &Port::default(), ordinal) };
            staged.outbox.push(routed(flight, target, key, direct.payload.clone()));
        }
        let (sent, most) = (staged.outbox.len() as u64, frame.fan_out);
        if sent > most { Err(over_limit("fanOut", sent, most)) } else { Ok(staged) }
    }

    fn emit<'a>(
        &self,
        flight: &Flight,
        frame: &'a Frame,
        emission: &'a Emission,
        mut ordinals: Option<&mut BTreeMap<(&'a Port, &'a str), u32>>,
        staged: &mut Staged,
    ) -> Result<(), Failure> {
        let (message, parameters) = (&emission.payload, &frame.parameters);
        let view = EdgeView { message, parameters, superstep: flight.id.superstep };
        for (via, edge) in frame.topology.out(flight.place.1).filter(|(_, edge)| edge.port == emission.port) {
            if let Some(when) = &edge.when
                && !self.expressions.when(when, view)?
            {
                let (port, to) = (edge.port.clone(), edge.to_name.clone());
                staged.settled.push(Unsent { port, to, status: MessageStatus::Filtered });
                continue;
            }
            let payload = match &edge.transform {
                Some(transform) => self.expressions.transform(transform, view)?,
                None => emission.payload.clone(),
            };
            let ordinal = ordinals.as_mut().map_or(0, |ordinals| {
                let next = ordinals.entry((&edge.port, edge.to_name.as_str())).or_insert(0);
                *next += 1;
                *next
            });
            let target = edge.to.map_or_else(|| Target::Absent(edge.to_name.clone()), Target::At);
            let routed = routed(flight, target, key_of(flight, &edge.port, ordinal), payload);
            staged.outbox.push(Routed {
                passive: edge.delivery == Delivery::Passive,
                via: edge.to.map(|_| via),
                ..routed
            });
        }
        Ok(())
    }

    /// What a failed activation sends, and whether an edge takes its failure.
    fn route_failure(&self, flight: &Flight, frame: &Frame, failure: &Failure) -> (Staged, bool) {
        let port = Port::from(Port::ERROR);
        let taken =
            frame.topology.out(flight.place.1).any(|(_, edge)| edge.port == port && edge.to.is_some());
        if !taken {
            return (Staged::default(), false);
        }
        let payload = json!({"vertex": flight.id.vertex.as_str(), "class": failure.class.name(), "message": failure.message});
        let emission = Emission { port, payload: Payload::from(payload) };
        let mut staged = Staged::default();
        match self.emit(flight, frame, &emission, None, &mut staged) {
            // An edge whose receiver is absent takes no failure, nor does one whose condition is false.
            Ok(()) => {
                let taken = staged.outbox.iter().any(|message| matches!(message.to, Target::At(_)));
                (staged, taken)
            }
            // The condition of an error edge has failed too: nothing takes the failure.
            Err(_) => (Staged::default(), false),
        }
    }

    fn outbound(&self, staged: &Staged, frame: &Frame) -> Vec<(PartitionId, u64)> {
        if self.is_alone() {
            return Vec::new();
        }
        let mut counts = vec![0; self.homes.count() as usize];
        for message in &staged.outbox {
            counts[self.home_of(&message.to, frame).0 as usize] += 1;
        }
        let counts = (0u32..).map(PartitionId).zip(counts);
        counts.filter(|(to, count)| *to != self.me && *count > 0).collect()
    }

    fn home_of(&self, target: &Target, frame: &Frame) -> PartitionId {
        match target {
            Target::At(at) => frame.home(*at),
            Target::Absent(name) => self.home(name),
        }
    }

    /// Applies a durable commit: values change, messages are on their way, vertices are free.
    pub(super) fn commit(&mut self, committed: Committed) {
        // By partition.
        let mut outgoing: Vec<Vec<Routed>> = vec![Vec::new(); self.homes.count() as usize];
        for place in committed.completed {
            let Some(frame) = self.frames.get_mut(&place.0) else { continue };
            let Some(state) = frame.vertices.get_mut(place.1) else { continue };
            let Some(mut flight) = state.flight.take().and_then(|number| self.flights.remove(number)) else {
                continue;
            };
            if !state.inbox.is_empty() {
                self.touched.push(place);
            }
            self.journal.forget(&flight);
            self.questions.forget(&flight);
            let staged = flight.staged.take().unwrap_or_default();
            // What its program saw holds the value, which can be changed in place once nothing does.
            flight.elements.clear();
            change_value(&mut state.value, staged.value);
            for unsent in staged.settled {
                let key = key_of(&flight, &unsent.port, 0);
                self.settle(place.0, &key, &unsent.to, unsent.status);
            }
            if self.is_alone() {
                self.incoming.extend(staged.outbox);
            } else {
                self.dispatch(place, staged.outbox, &mut outgoing);
            }
        }
        for (frame, graph, removed) in committed.graphs {
            self.adopt(frame, &graph, &removed);
            let changed = |message: &Routed| message.frame == frame;
            for message in outgoing.iter_mut().flatten().filter(|message| changed(message)) {
                super::adopt::mark_orphan(message, graph.topology(), &removed);
            }
        }
        if committed.closing {
            // Nobody would deliver them: they get their status here.
            self.incoming.extend(outgoing.into_iter().flatten());
            return;
        }
        for (to, messages) in (0u32..).map(PartitionId).zip(outgoing) {
            if !messages.is_empty() {
                self.effects.push_back(Effect::Send { to, superstep: committed.superstep + 1, messages });
            }
        }
    }

    /// Sorts messages by the partition that has their receiver. Those for another partition name
    /// their receiver, for a mutation at this barrier may change its index.
    fn dispatch(&mut self, place: crate::ids::Place, outbox: Vec<Routed>, outgoing: &mut [Vec<Routed>]) {
        let Some(frame) = self.frames.get(&place.0) else { return };
        let mut staying = Vec::new();
        for mut message in outbox {
            let home = self.home_of(&message.to, frame);
            if home == self.me {
                staying.push(message);
                continue;
            }
            if let Target::At(at) = message.to {
                message.to = Target::Absent(frame.topology.vertex(at).name.clone());
                message.via = None;
            }
            outgoing[home.0 as usize].push(message);
        }
        self.incoming.append(&mut staying);
    }
}

fn change_value(value: &mut Payload, change: ValueChange) {
    match change {
        ValueChange::Keep => {}
        ValueChange::Set(new) => *value = new,
        ValueChange::Append(item) => value.append(item),
    }
}

fn key_of(flight: &Flight, port: &Port, ordinal: u32) -> MessageKey {
    MessageKey {
        from: flight.id.vertex.clone(),
        incarnation: flight.id.incarnation,
        superstep: flight.id.superstep,
        direct: false,
        port: port.clone(),
        ordinal,
    }
}

fn routed(flight: &Flight, to: Target, key: MessageKey, payload: Payload) -> Routed {
    Routed {
        frame: flight.place.0,
        to,
        key,
        payload,
        trail: flight.trail.clone(),
        orphan: false,
        passive: false,
        via: None,
    }
}

fn end_of(flight: &Flight) -> End {
    if flight.derived {
        return End::Derived;
    }
    let mut ends = ended_elements(flight).cloned();
    if flight.grouped {
        return End::Each(ends.collect());
    }
    ends.next().map_or(End::Derived, End::Single)
}

fn ended_elements(flight: &Flight) -> impl Iterator<Item = &Ended> {
    flight.elements.iter().filter_map(|(_, element)| match element.stage() {
        Stage::Ended(end) => Some(end),
        Stage::Running { .. }
        | Stage::BackingOff { .. }
        | Stage::Asking { .. }
        | Stage::Suspended { .. }
        | Stage::InDoubt { .. }
        | Stage::InFrame => None,
    })
}

/// The result of an activation; of a group, the lists of its elements' results.
fn result_of(flight: &Flight) -> Ended {
    if !flight.grouped {
        let ended = ended_elements(flight).next().cloned();
        return ended.unwrap_or_else(|| Err(Failure::permanent("the activation has no end")));
    }
    let mut group = ProgramResult::default();
    let mut default: Vec<Payload> = Vec::new();
    let mut ports: BTreeMap<Port, Vec<Payload>> = BTreeMap::new();
    let mut on_default = false;
    for end in ended_elements(flight) {
        let result = match end {
            Ok(result) => result,
            Err(_) if flight.spec.on_failure == OnFailure::Ignore => {
                default.push(Payload::null());
                continue;
            }
            Err(failure) => return Err(failure.clone()),
        };
        let mut own = None;
        for emission in &result.emissions {
            if emission.port.is_default() {
                on_default = true;
                // As for a single activation, the first one is the output; one that is null says nothing.
                own = own.filter(|own: &Payload| !own.is_null());
                own.get_or_insert_with(|| emission.payload.clone());
            } else {
                ports.entry(emission.port.clone()).or_default().push(emission.payload.clone());
            }
        }
        default.push(own.unwrap_or_else(Payload::null));
        group.direct.extend(result.direct.iter().cloned());
        group.mutations.extend(result.mutations.iter().cloned());
        group.contributions.extend(result.contributions.iter().cloned());
    }
    if on_default || ports.is_empty() {
        group.emissions.push(Emission { port: Port::default(), payload: Payload::from(default) });
    }
    for (port, list) in ports {
        group.emissions.push(Emission { port, payload: Payload::from(list) });
    }
    Ok(Arc::new(group))
}
