//! The beginning of a superstep: committed messages reach their vertices, and it is planned which
//! vertices start.

mod order;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use superstep_graph::{Delivery, EdgeIx, JoinMode, Topology, VertexIx, VertexName};

use super::Partition;
use super::frame::Frame;
use super::launch::by_sender;
use super::vertex::{Queued, Rank, Readiness, edge_ix, rank_of};
use crate::ids::{FrameId, Place, Timestamp};
use crate::message::{MessageKey, MessageStatus, Routed, Target};
use crate::payload::Payload;
use crate::protocol::{JoinReport, Planned, Report, Start};
use crate::values::combine;
use order::sort_and_dedup;

/// A delivery that may wait for messages of other partitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) superstep: u64,
    /// How many messages come from other partitions.
    pub(super) expect: u64,
    /// Whether the superstep starts behind it.
    pub(super) starts: bool,
}

impl Partition {
    /// Takes in what the aggregators of frames hold from here on.
    pub(super) fn take_aggregates(&mut self, aggregates: Vec<(FrameId, Arc<BTreeMap<VertexName, Payload>>)>) {
        for (frame, aggregates) in aggregates {
            if let Some(frame) = self.frames.get_mut(&frame) {
                frame.aggregates = aggregates;
            }
        }
    }

    pub(super) fn begin_delivery(&mut self, pending: Pending, now: Timestamp) {
        self.superstep = pending.superstep;
        self.delivery = Some(pending);
        self.deliver_if_complete(now);
    }

    /// Delivers once everything that other partitions send has come. A repeated message is dropped
    /// by its id.
    pub(super) fn deliver_if_complete(&mut self, now: Timestamp) {
        let Some(Pending { superstep, expect, starts }) = self.delivery else { return };
        if expect > 0 {
            let Some(messages) = self.from_others.get_mut(&superstep) else { return };
            // Repetitions only add to their number.
            if (messages.len() as u64) < expect {
                return;
            }
            sort_and_dedup(messages, &self.frames);
            if (messages.len() as u64) < expect {
                return;
            }
        }
        // Earlier supersteps are over: what still comes for them is a repetition.
        let later = self.from_others.split_off(&(superstep + 1));
        let arrived = std::mem::replace(&mut self.from_others, later).remove(&superstep).unwrap_or_default();
        if expect > 0 && self.incoming.is_empty() {
            // They are in order already.
            self.incoming = arrived;
        } else {
            self.incoming.extend(arrived);
            sort_and_dedup(&mut self.incoming, &self.frames);
        }
        self.delivery = None;
        self.deliver(superstep);
        if starts {
            self.start(Start { superstep, ..Start::default() }, now);
        }
    }

    /// Puts all that has come, which is in order, into inboxes.
    fn deliver(&mut self, superstep: u64) {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut nearby = Nearby::default();
        for message in incoming.drain(..) {
            if let Some(place) = self.place(message, &mut nearby)
                && self.touched.last() != Some(&place)
            {
                self.touched.push(place);
            }
        }
        self.incoming = incoming;
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        let planned: Vec<Planned> = touched.drain(..).filter_map(|place| self.plan(place)).collect();
        self.touched = touched;
        let joins = self.join_reports();
        self.report(Report::Delivered { superstep, planned, joins });
    }

    /// Puts a message into the inbox of its receiver, whose place is given back; or gives it its status.
    fn place(&mut self, message: Routed, nearby: &mut Nearby) -> Option<Place> {
        let Some(frame) = self.frames.get_mut(&message.frame) else {
            let to = match &message.to {
                Target::Absent(name) => name.clone(),
                Target::At(_) => message.key.from.clone(),
            };
            self.settle(message.frame, &message.key, &to, MessageStatus::DeadLettered);
            return None;
        };
        let found = match &message.to {
            Target::At(at) => Ok(*at),
            Target::Absent(name) => nearby.vertex(&frame.topology, name).ok_or(name),
        };
        let at = match found {
            Ok(at) => at,
            Err(absent) => {
                self.settle(message.frame, &message.key, absent, MessageStatus::DeadLettered);
                return None;
            }
        };
        let (via, rank) = standing(&frame.topology, &message, at, nearby);
        let vertex = frame.topology.vertex(at);
        let Routed { frame: frame_id, key, payload, trail, .. } = message;
        let (key, status) = match rank {
            Ok(rank) => {
                let queued = Queued { key, payload, trail, rank, via };
                match frame.vertices.touch(at, vertex).receive(queued, &vertex.name, vertex.join.mode) {
                    Ok(()) => return Some((frame_id, at)),
                    Err(late) => (late.key, MessageStatus::Late),
                }
            }
            Err(status) => {
                if status == MessageStatus::Delivered {
                    frame.vertices.touch(at, vertex).keep(&key, &payload);
                }
                (key, status)
            }
        };
        let to = vertex.name.clone();
        self.settle(frame_id, &key, &to, status);
        None
    }

    /// Plans the activation that the inbox of a vertex leads to, if any.
    fn plan(&mut self, place: Place) -> Option<Planned> {
        let frame = self.frames.get(&place.0)?;
        let vertex = frame.topology.vertex(place.1);
        let state = frame.vertices.get(place.1)?;
        if vertex.join.mode != JoinMode::Any {
            self.unsettled.insert(place);
        }
        if state.flight.is_some() {
            return None;
        }
        let fires = match state.readiness(vertex) {
            Readiness::Idle => return None,
            Readiness::HalfFilled => {
                self.unsettled.insert(place);
                return None;
            }
            Readiness::Fires => true,
            Readiness::Poked => false,
        };
        let owed = if fires && vertex.join.on_satisfied == superstep_graph::OnSatisfied::CancelRest {
            state.owed_after_firing(vertex)
        } else {
            Vec::new()
        };
        let weight = weight(frame, place, fires);
        self.planned.push((place, fires));
        Some(Planned { place, weight, owed })
    }

    /// Joins that hold something or owe something. Those that are settled are forgotten.
    fn join_reports(&mut self) -> Vec<JoinReport> {
        if self.unsettled.is_empty() {
            return Vec::new();
        }
        let mut reports = Vec::new();
        let frames = &self.frames;
        self.unsettled.retain(|place| {
            let Some(frame) = frames.get(&place.0) else { return false };
            let Some(state) = frame.vertices.get(place.1) else { return false };
            let vertex = frame.topology.vertex(place.1);
            let half_filled = state.flight.is_none() && state.readiness(vertex) == Readiness::HalfFilled;
            let owing = state.owing();
            if !half_filled && owing.is_empty() && state.inbox.is_empty() {
                return false;
            }
            let missing = state.missing(vertex);
            let weight = weight(frame, *place, true);
            reports.push(JoinReport { place: *place, missing, owing, half_filled, weight });
            true
        });
        reports
    }
}

/// Where the last message was put. Messages come in the order of their receivers and senders, as vertices and edges
/// stand, so that the next one is most likely beside it, and need not be looked for.
#[derive(Default)]
struct Nearby {
    /// The receiver.
    at: Option<VertexIx>,
    /// The place behind its edge, among the edges into the receiver.
    edge: usize,
}

impl Nearby {
    fn vertex(&mut self, topology: &Topology, name: &VertexName) -> Option<VertexIx> {
        let is = |at: &VertexIx| topology.vertices().get(at.0 as usize).is_some_and(|at| at.name == *name);
        let found = self.at.filter(is).or_else(|| topology.find(name));
        self.at = found;
        found
    }

    /// The edge to `at` that a message came over, if it is there.
    fn edge(&mut self, topology: &Topology, at: VertexIx, key: &MessageKey) -> Option<EdgeIx> {
        let incoming = &topology.vertex(at).incoming;
        let is = |edge: &&EdgeIx| {
            let edge = topology.edge(**edge);
            edge.port == key.port && topology.vertex(edge.from).name == key.from
        };
        if let Some(edge) = incoming.get(self.edge).filter(is) {
            self.edge += 1;
            return Some(*edge);
        }
        let found = edge_ix(topology, &key.from, &key.port, &topology.vertex(at).name)?;
        self.edge = incoming.binary_search(&found).map_or(0, |edge| edge + 1);
        Some(found)
    }
}

/// The edge that a message came over, and what it does for its receiver's join; or the status that it has
/// without waiting.
fn standing(
    topology: &Topology,
    message: &Routed,
    at: VertexIx,
    nearby: &mut Nearby,
) -> (Option<EdgeIx>, Result<Rank, MessageStatus>) {
    let via = match message.via {
        Some(via) => Some(via),
        None if message.key.direct || message.orphan => None,
        None => nearby.edge(topology, at, &message.key),
    };
    let rank = match via.map(|via| topology.edge(via)) {
        // A passive message has no use once its edge is gone: it must not wake anybody.
        _ if message.orphan && message.passive => Err(MessageStatus::DeadLettered),
        Some(edge) if edge.delivery == Delivery::Passive => Err(MessageStatus::Delivered),
        Some(edge) => Ok(rank_of(edge)),
        None if message.key.direct => Ok(Rank::Uncounted),
        None => Ok(Rank::Orphan),
    };
    (via, rank)
}

/// How many activations a vertex would count for: the elements of its forEach, else one. So does a forEach that is given
/// something else than lists, which fails.
fn weight(frame: &Frame, place: Place, fires: bool) -> u64 {
    let vertex = frame.topology.vertex(place.1);
    let inbox = frame.vertices.get(place.1).map(|state| state.inbox.as_slice()).unwrap_or_default();
    let mut drained = inbox.iter().filter(|message| fires || message.rank == Rank::Uncounted).peekable();
    if vertex.spec.for_each.is_none() || drained.peek().is_none() {
        return 1;
    }
    let items = |payload: &Payload| Some(payload.len_of_list()? as u64);
    let all: Option<u64> = match vertex.combiner {
        None => drained.map(|message| items(&message.payload)).sum(),
        Some(combiner) => {
            let mut drained: Vec<&Queued> = drained.collect();
            drained.sort_by(|a, b| a.key.cmp(&b.key));
            let combined = |group: &Vec<&Queued>| {
                let payloads: Vec<&Payload> = group.iter().map(|message| &message.payload).collect();
                combine(combiner, &payloads).ok().and_then(|payload| items(&payload))
            };
            by_sender(&drained).iter().map(combined).sum()
        }
    };
    all.unwrap_or(1)
}

/// The elements of a forEach: the items of all lists that were drained, in order.
pub(super) fn elements<'a>(payloads: impl Iterator<Item = &'a Payload>) -> Result<Vec<Payload>, String> {
    let mut items = Vec::new();
    let mut any = false;
    for payload in payloads {
        any = true;
        let Some(list) = payload.items() else {
            return Err(format!("a forEach takes lists, and was given {}", kind_of(payload.value())));
        };
        items.extend(list.into_owned());
    }
    if any { Ok(items) } else { Err("a forEach takes lists, and was given nothing".to_owned()) }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
