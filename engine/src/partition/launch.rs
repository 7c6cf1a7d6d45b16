//! From a planned vertex to a running activation: what it drains, what it sees, its elements.

use std::sync::Arc;

use superstep_graph::{Delivery, GraphProgram, Program};

use super::activation::over_limit;
use super::delivery::elements;
use super::element::{Element, Elements, Stage};
use super::fetching::not_fetched;
use super::flight::Flight;
use super::vertex::{Kept, Queued};
use super::{Effect, Partition};
use crate::costs::Stopwatch;
use crate::ids::{ActivationId, FrameId, Place, Timestamp};
use crate::message::{MessageStatus, Trail, merge};
use crate::notice::{LimitKind, Notice};
use crate::payload::Payload;
use crate::program::{Failure, FailureClass, Received, Scene, View};
use crate::protocol::{FrameWanted, Planned, Report};
use crate::values::combine;

/// What a start has led to, for the report.
#[derive(Default)]
pub(super) struct Begun {
    pub(super) wanted: Vec<FrameWanted>,
    pub(super) started: Vec<Planned>,
}

/// The messages that a combiner folds into one: those of each sender over edges, and those that it sent directly.
/// `drained` stands in the order of message ids, and so do the groups and what is in them.
pub(super) fn by_sender<'q>(drained: &[&'q Queued]) -> Vec<Vec<&'q Queued>> {
    let senders = drained.chunk_by(|one, other| one.key.from == other.key.from);
    let halves = senders.flat_map(|of_one| {
        // Messages over edges and direct ones of one sender alternate.
        let first = of_one[0].key.direct;
        let (one, other): (Vec<&Queued>, Vec<&Queued>) =
            of_one.iter().partition(|message| message.key.direct == first);
        [one, other]
    });
    halves.filter(|group| !group.is_empty()).collect()
}

impl Partition {
    /// Starts the activation of a vertex with what it drains.
    pub(super) fn activate(&mut self, place: Place, fires: bool, begun: &mut Begun, now: Timestamp) {
        let Some(frame) = self.frames.get_mut(&place.0) else { return };
        let topology = Arc::clone(&frame.topology);
        let vertex = topology.vertex(place.1);
        let id = frame.activation(place, self.superstep);
        let route = if vertex.weighs { frame.route(place.1) } else { None };
        let state = frame.vertices.touch(place.1, vertex);
        let (drained, round) = state.drain(vertex, fires);
        let trail = merge(
            drained.iter().map(|message| &message.trail),
            round.map(|round| (vertex.name.clone(), round)),
        );
        let is_last = |kept: &&Kept| {
            !drained.iter().any(|message| message.key.from == kept.key.from && message.key > kept.key)
        };
        let kept = state.kept.iter().filter(is_last).map(|kept| Received {
            from: kept.key.from.clone(),
            port: kept.key.port.clone(),
            payload: kept.payload.clone(),
        });
        let mut scene = Scene {
            input: frame.input.clone(),
            parameters: frame.parameters.clone(),
            messages: Vec::new(),
            kept: kept.collect(),
            value: state.value.clone(),
            aggregates: Arc::clone(&frame.aggregates),
            superstep: self.superstep,
            route,
        };
        for message in &drained {
            let edge = message.via.map(|via| topology.edge(via));
            if edge.is_some_and(|edge| edge.retain && edge.delivery == Delivery::Active) {
                state.keep(&message.key, &message.payload);
            }
        }
        let received = self.receive(vertex, place.0, drained);
        let failed = match received {
            Ok(messages) => {
                scene.messages = messages;
                None
            }
            Err(failure) => Some(failure),
        };
        self.launch(Launch { place, id, trail, scene, failed, spec: Arc::clone(&vertex.spec) }, begun, now);
    }

    /// Gives drained messages their status and folds those of one sender, if there is a combiner.
    fn receive(
        &mut self,
        vertex: &superstep_graph::Vertex,
        frame: FrameId,
        drained: Vec<Queued>,
    ) -> Result<Vec<Received>, Failure> {
        let Some(combiner) = vertex.combiner else {
            let mut received = Vec::with_capacity(drained.len());
            for message in drained {
                self.settle_taken(frame, &message.key, &vertex.name, MessageStatus::Delivered);
                received.push(Received {
                    from: message.key.from,
                    port: message.key.port,
                    payload: message.payload,
                });
            }
            return Ok(received);
        };
        let mut folded = Vec::new();
        // Every message has its status, even if those of one sender cannot be folded.
        let mut failed = None;
        for group in by_sender(&drained.iter().collect::<Vec<_>>()) {
            for (position, message) in group.iter().enumerate() {
                let status = if position == 0 { MessageStatus::Delivered } else { MessageStatus::Combined };
                self.settle_taken(frame, &message.key, &vertex.name, status);
            }
            let payloads: Vec<&Payload> = group.iter().map(|message| &message.payload).collect();
            let head = &group[0].key;
            let combined = not_fetched(payloads.iter().copied());
            match combined.map_or_else(|| combine(combiner, &payloads), Err) {
                Ok(payload) => {
                    folded.push(Received { from: head.from.clone(), port: head.port.clone(), payload })
                }
                Err(failure) => {
                    failed.get_or_insert(failure);
                }
            }
        }
        failed.map_or(Ok(folded), Err)
    }

    fn launch(&mut self, launch: Launch, begun: &mut Begun, now: Timestamp) {
        let Launch { place, id, trail, scene, failed, spec } = launch;
        let grouped = spec.for_each.is_some();
        let whole = grouped || matches!(spec.program(), Some(Program::Graph(_)));
        let payloads = || scene.messages.iter().map(|message| &message.payload);
        let failed = failed.or_else(|| if whole { not_fetched(payloads()) } else { None });
        let elements = match failed {
            Some(failure) => Err(failure),
            None if grouped => self.group(place, scene),
            None => Ok(vec![Element::new(View::from(scene))]),
        };
        let derived = elements.as_ref().map_or(true, Vec::is_empty);
        let grouped = grouped && elements.is_ok();
        let elements = elements.unwrap_or_else(|failure| vec![Element::failed(failure)]);
        let count = u32::try_from(elements.len()).unwrap_or(u32::MAX);
        let notice = Notice::Started { activation: id.clone(), elements: grouped.then_some(count) };
        self.effects.push_back(Effect::Notify(notice));
        begun.started.push(Planned { place, weight: u64::from(count), owed: Vec::new() });
        let opens = match spec.program() {
            Some(Program::Graph(program)) if !derived => Some(program.clone()),
            Some(_) | None => None,
        };
        let elements = Elements::new(elements);
        let flight = Flight {
            place,
            id,
            spec,
            trail,
            elements,
            grouped,
            derived,
            suspended: false,
            staged: None,
            watch: Stopwatch::start(now),
            inside: None,
        };
        let number = self.take_off(flight);
        if derived {
            self.complete(number);
        } else if let Some(graph) = opens {
            self.want_frames(number, &graph, begun);
        } else {
            for element in 0..count {
                self.run_element(self.flights.key(number, element), now);
            }
        }
    }

    /// One element per item of the incoming lists.
    fn group(&mut self, place: Place, scene: Scene) -> Result<Vec<Element>, Failure> {
        let items =
            elements(scene.messages.iter().map(|message| &message.payload)).map_err(Failure::permanent)?;
        let limit = self.frames.get(&place.0).map_or(u64::MAX, |frame| frame.fan_out);
        if items.len() as u64 > limit {
            self.report(Report::LimitReached(LimitKind::FanOut));
            return Err(over_limit("fanOut", items.len() as u64, limit));
        }
        let scene = Arc::new(scene);
        let view = |item| View { scene: Arc::clone(&scene), element: Some(item) };
        Ok(items.into_iter().map(|item| Element::new(view(item))).collect())
    }

    /// Puts an activation in flight at its vertex.
    fn take_off(&mut self, flight: Flight) -> u32 {
        let place = flight.place;
        let number = self.flights.insert(flight);
        let frame = self.frames.get_mut(&place.0);
        if let Some(state) = frame.and_then(|frame| frame.vertices.get_mut(place.1)) {
            state.flight = Some(number);
        }
        number
    }

    fn want_frames(&mut self, number: u32, program: &GraphProgram, begun: &mut Begun) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        flight.suspended = true;
        for index in 0..flight.elements.len() {
            flight.elements.set_stage(index, Stage::InFrame);
        }
        for (index, element) in flight.elements.iter() {
            let view = &element.view;
            let input = match (&view.element, view.messages.as_slice()) {
                (Some(element), _) => element.clone(),
                (None, [only]) => only.payload.clone(),
                (None, messages) => Payload::list(messages.iter().map(|message| &message.payload)),
            };
            begun.wanted.push(FrameWanted {
                parent: flight.place,
                element: index,
                graph: program.reference.name.clone(),
                parameters: program.parameters.clone(),
                input,
            });
        }
        let activation = flight.id.clone();
        self.report(Report::Suspension { activation, suspended: true });
    }

    pub(super) fn fail_join(&mut self, place: Place) {
        let Some(frame) = self.frames.get(&place.0) else { return };
        let vertex = Arc::clone(&frame.topology.vertex(place.1).spec);
        let Some(state) = frame.vertices.get(place.1) else { return };
        let missing: Vec<String> = state
            .missing(frame.topology.vertex(place.1))
            .into_iter()
            .filter_map(|slot| frame.topology.vertex(place.1).join.slots[slot.0 as usize])
            .map(|from| frame.topology.vertex(from).name.to_string())
            .collect();
        let id = frame.activation(place, self.superstep);
        let trail = merge(state.inbox.iter().map(|message| &message.trail), None);
        self.discard(place, true, MessageStatus::Cancelled);
        let failure = Failure::new(
            FailureClass::Incomplete,
            format!(
                "the join of vertex {:?} is incomplete: nothing came from {}",
                vertex.name,
                missing.join(", ")
            ),
        );
        let flight = Flight {
            place,
            id,
            spec: vertex,
            trail,
            elements: Elements::new(vec![Element::failed(failure)]),
            grouped: false,
            derived: true,
            suspended: false,
            staged: None,
            watch: Stopwatch::default(),
            inside: None,
        };
        let number = self.take_off(flight);
        self.complete(number);
    }
}

/// All that an activation starts with.
struct Launch {
    place: Place,
    id: ActivationId,
    trail: Trail,
    scene: Scene,
    failed: Option<Failure>,
    spec: Arc<superstep_graph::VertexSpec>,
}
