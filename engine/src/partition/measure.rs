//! What activations cost, and what routers make of it.

use std::sync::Arc;

use superstep_graph::{Port, VertexIx, VertexName};

use super::Partition;
use super::flight::Flight;
use super::frame::Frame;
use crate::costs::{EdgeCosts, Measured, Route, Spent, Stopwatch, choose};
use crate::ids::{FrameId, Timestamp};
use crate::program::{Failure, Usage};

impl Partition {
    /// Takes in what edges cost, as routers see it from now on.
    pub(super) fn take_costs(&mut self, costs: Vec<(FrameId, Arc<EdgeCosts>)>) {
        for (frame, costs) in costs {
            if let Some(frame) = self.frames.get_mut(&frame) {
                frame.costs = Some(costs);
            }
        }
    }

    /// One of the programs of an activation has ended.
    pub(super) fn lap(&mut self, number: u32, now: Timestamp) {
        if let Some(flight) = self.flights.get_mut(number) {
            flight.watch.lap(now);
        }
    }

    /// An activation goes on. If all of it has waited for answers, that time is not its own.
    pub(super) fn skip_pause(&mut self, number: u32, now: Timestamp) {
        if let Some(flight) = self.flights.get_mut(number).filter(|flight| flight.suspended) {
            flight.watch.skip(now);
        }
    }

    /// An activation runs again after a replay, in which there is no time.
    pub(super) fn restart_watch(&mut self, number: u32, now: Timestamp) {
        if let Some(flight) = self.flights.get_mut(number) {
            flight.watch = Stopwatch::start(now);
        }
    }

    /// A frame that an activation opened has ended. Those of a group run side by side.
    pub(super) fn count_frame(&mut self, number: u32, spent: Spent) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        let inside = flight.inside.get_or_insert_default();
        inside.micros = inside.micros.max(spent.micros);
        inside.tokens += spent.tokens;
        inside.money += spent.money;
    }

    /// What an activation that has ended has cost, if that is worth to be kept: in a graph whose routers
    /// weigh costs all of them, elsewhere those that called the outside.
    pub(super) fn measured(&self, flight: &Flight, failed: bool, usage: &Usage) -> Option<Box<Measured>> {
        let frame = self.frames.get(&flight.place.0)?;
        let spent = match &flight.inside {
            Some(inside) => **inside,
            None if flight.derived => return None,
            None => Spent::of(flight.watch.micros(), usage),
        };
        let worth = frame.topology.weighs() || usage.calls > 0 || spent.tokens > 0 || spent.money > 0.0;
        let woken_by = if worth { woken_by(frame, flight) } else { Vec::new() };
        if woken_by.is_empty() {
            return None;
        }
        let (frame, vertex) = (flight.place.0, flight.id.vertex.clone());
        Some(Box::new(Measured { frame, vertex, woken_by, spent, failed }))
    }
}

/// The edges whose messages an activation took, as far as they are still there.
fn woken_by(frame: &Frame, flight: &Flight) -> Vec<(VertexName, Port)> {
    let messages = flight.elements.get(0).map(|element| element.view.messages.as_slice()).unwrap_or_default();
    let mut woken_by: Vec<(VertexName, Port)> =
        messages.iter().map(|message| (message.from.clone(), message.port.clone())).collect();
    woken_by.sort();
    woken_by.dedup();
    woken_by.retain(|(from, port)| {
        let from = frame.topology.find(from);
        from.is_some_and(|from| frame.topology.find_edge(from, port, &flight.id.vertex).is_some())
    });
    woken_by
}

impl Frame {
    /// Where a vertex sends to, if it is a router that weighs costs.
    pub(super) fn route(&self, at: VertexIx) -> Option<Arc<Result<Route, Failure>>> {
        let vertex = self.topology.vertex(at);
        let goal = vertex.spec.router.as_ref()?.goal()?;
        Some(Arc::new(choose(&self.topology, self.costs.as_deref(), at, goal)))
    }
}
