//! The beginning of a superstep: committed messages reach their vertices, and it is planned which
//! vertices start.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use superstep_graph::{Delivery, JoinMode, VertexName};

use super::Partition;
use super::vertex::{Arrival, Frame, Queued, Rank, Readiness, VertexState, edge_ix, rank_of};
use crate::ids::{FrameId, Place};
use crate::message::{MessageStatus, Routed, Target};
use crate::payload::Payload;
use crate::protocol::{JoinReport, Planned, Report};

/// A delivery that may wait for messages of other partitions.
#[derive(Debug)]
pub(super) struct Pending {
    superstep: u64,
    expect: u64,
}

/// Where a message went.
enum Placed {
    Queued(Place),
    Final(VertexName, MessageStatus),
}

impl Partition {
    pub(super) fn begin_delivery(
        &mut self,
        superstep: u64,
        expect: u64,
        aggregates: Vec<(FrameId, Arc<BTreeMap<VertexName, Payload>>)>,
    ) {
        self.superstep = superstep;
        for (frame, aggregates) in aggregates {
            if let Some(frame) = self.frames.get_mut(&frame) {
                frame.aggregates = aggregates;
            }
        }
        self.delivery = Some(Pending { superstep, expect });
        self.deliver_if_complete();
    }

    /// Delivers once everything that other partitions send has come. A repeated message is dropped
    /// by its id.
    pub(super) fn deliver_if_complete(&mut self) {
        let Some(pending) = &self.delivery else { return };
        let (superstep, expect) = (pending.superstep, pending.expect);
        if expect > 0 {
            let Some(messages) = self.from_others.get_mut(&superstep) else { return };
            sort_and_dedup(messages);
            if (messages.len() as u64) < expect {
                return;
            }
        }
        // Earlier supersteps are over: what still comes for them is a repetition.
        let later = self.from_others.split_off(&(superstep + 1));
        let arrived = std::mem::replace(&mut self.from_others, later).remove(&superstep);
        self.incoming.extend(arrived.into_iter().flatten());
        self.delivery = None;
        self.deliver(superstep);
    }

    fn deliver(&mut self, superstep: u64) {
        let mut incoming = std::mem::take(&mut self.incoming);
        if incoming.len() > 1 {
            sort_and_dedup(&mut incoming);
        }
        for message in incoming.drain(..) {
            match self.place(&message) {
                Placed::Queued(place) => {
                    if self.touched.last() != Some(&place) {
                        self.touched.push(place);
                    }
                }
                Placed::Final(to, status) => self.settle(message.frame, &message.key, &to, status),
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

    fn place(&mut self, message: &Routed) -> Placed {
        let Some(frame) = self.frames.get_mut(&message.frame) else {
            let to = match &message.to {
                Target::Absent(name) => name.clone(),
                Target::At(_) => message.key.from.clone(),
            };
            return Placed::Final(to, MessageStatus::DeadLettered);
        };
        let at = match &message.to {
            Target::At(at) => *at,
            Target::Absent(name) => match frame.topology.find(name) {
                Some(at) => at,
                None => return Placed::Final(name.clone(), MessageStatus::DeadLettered),
            },
        };
        let vertex = frame.topology.vertex(at);
        let state = &mut frame.vertices[at.0 as usize];
        let via = match message.via {
            Some(via) => Some(via),
            None if message.key.direct || message.orphan => None,
            None => edge_ix(&frame.topology, &message.key.from, &message.key.port, &vertex.name),
        };
        let edge = via.map(|via| frame.topology.edge(via));
        // A passive message has no use once its edge is gone: it must not wake anybody.
        if message.orphan && message.passive {
            return Placed::Final(vertex.name.clone(), MessageStatus::DeadLettered);
        }
        let rank = match edge {
            Some(edge) if edge.delivery == Delivery::Passive => {
                state.keep(&message.key.from, &message.key.port, &message.payload);
                return Placed::Final(vertex.name.clone(), MessageStatus::Delivered);
            }
            Some(edge) => rank_of(edge),
            None if message.key.direct => Rank::Uncounted,
            None => Rank::Orphan,
        };
        let queued = Queued {
            key: message.key.clone(),
            payload: message.payload.clone(),
            trail: message.trail.clone(),
            rank,
            via,
        };
        match state.receive(queued, &vertex.name, vertex.join.mode) {
            Arrival::Queued => Placed::Queued((message.frame, at)),
            Arrival::Late => Placed::Final(vertex.name.clone(), MessageStatus::Late),
        }
    }

    /// Plans the activation that the inbox of a vertex leads to, if any.
    fn plan(&mut self, place: Place) -> Option<Planned> {
        let frame = self.frames.get(&place.0)?;
        let vertex = frame.topology.vertex(place.1);
        let state = frame.vertices.get(place.1.0 as usize)?;
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
            let vertex = frame.topology.vertex(place.1);
            let state = &frame.vertices[place.1.0 as usize];
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

/// How many activations a vertex would count for: the elements of its forEach, else one.
fn weight(frame: &Frame, place: Place, fires: bool) -> u64 {
    let vertex = frame.topology.vertex(place.1);
    if vertex.spec.for_each.is_none() {
        return 1;
    }
    let state: &VertexState = &frame.vertices[place.1.0 as usize];
    let drained = state.inbox.iter().filter(|message| fires || message.rank == Rank::Uncounted);
    drained.map(|message| message.payload.value().as_array().map_or(1, Vec::len) as u64).sum()
}

fn sort_and_dedup(messages: &mut Vec<Routed>) {
    let at = |target: &Target| match target {
        Target::At(at) => (at.0, None),
        Target::Absent(name) => (u32::MAX, Some(name.clone())),
    };
    messages.sort_by(|a, b| {
        a.frame.cmp(&b.frame).then_with(|| at(&a.to).cmp(&at(&b.to))).then_with(|| a.key.cmp(&b.key))
    });
    messages.dedup_by(|a, b| a.frame == b.frame && a.to == b.to && a.key == b.key);
}

/// The elements of a forEach: the items of all lists that were drained, in order.
pub(super) fn elements<'a>(payloads: impl Iterator<Item = &'a Payload>) -> Result<Vec<Payload>, String> {
    let mut items = Vec::new();
    let mut any = false;
    for payload in payloads {
        any = true;
        match payload.value() {
            Value::Array(list) => items.extend(list.iter().cloned().map(Payload::from)),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)) => {
                return Err(format!("a forEach takes lists, and was given {}", kind_of(other)));
            }
        }
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
