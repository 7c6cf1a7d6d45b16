//! Activations between their start and their commit.

use std::sync::Arc;

use superstep_graph::{VertexName, VertexSpec};

use super::element::Elements;
use crate::costs::{Spent, Stopwatch};
use crate::ids::{ActivationId, ActivationKey, PartitionId, Place};
use crate::message::{MessageStatus, Routed, Trail};
use crate::program::Failure;

/// One activation, or one forEach group.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) place: Place,
    pub(super) id: ActivationId,
    pub(super) spec: Arc<VertexSpec>,
    pub(super) trail: Trail,
    pub(super) elements: Elements,
    pub(super) grouped: bool,
    /// Whether its end follows from the state and need not be told by the log.
    pub(super) derived: bool,
    /// Whether the coordinator takes it for suspended.
    pub(super) suspended: bool,
    pub(super) staged: Option<Staged>,
    pub(super) watch: Stopwatch,
    /// What the frames that it opened have cost, once they have ended.
    pub(super) inside: Option<Box<Spent>>,
}

/// What the commit of an activation will send.
#[derive(Clone, Debug, Default)]
pub(super) struct Staged {
    pub(super) outbox: Vec<Routed>,
    pub(super) settled: Vec<Unsent>,
    pub(super) value: crate::program::ValueChange,
    /// Why it failed, if it did.
    pub(super) failure: Option<Failure>,
}

/// A message that did not even leave its sender.
#[derive(Clone, Debug)]
pub(super) struct Unsent {
    pub(super) port: superstep_graph::Port,
    pub(super) to: VertexName,
    pub(super) status: MessageStatus,
}

impl Flight {
    /// The name of one of its elements.
    pub(super) fn element_id(&self, element: u32) -> ActivationId {
        ActivationId { element: self.grouped.then_some(element), ..self.id.clone() }
    }
}

/// Flights by number. Numbers are used again; the generation tells an old handle from a new one.
#[derive(Clone, Debug)]
pub(super) struct Flights {
    me: PartitionId,
    slots: Vec<(u32, Option<Flight>)>,
    free: Vec<u32>,
}

impl Flights {
    pub(super) fn new(me: PartitionId) -> Self {
        Self { me, slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, flight: Flight) -> u32 {
        if let Some(number) = self.free.pop() {
            self.slots[number as usize].1 = Some(flight);
            return number;
        }
        let number = u32::try_from(self.slots.len()).expect("fewer than 2^32 activations are in flight");
        self.slots.push((0, Some(flight)));
        number
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Flight> {
        let (generation, slot) = self.slots.get_mut(number as usize)?;
        let flight = slot.take()?;
        *generation += 1;
        self.free.push(number);
        Some(flight)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Flight> {
        self.slots.get(number as usize)?.1.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Flight> {
        self.slots.get_mut(number as usize)?.1.as_mut()
    }

    /// The handle on the present run of an element.
    pub(super) fn key(&self, number: u32, element: u32) -> ActivationKey {
        let (generation, flight) = &self.slots[number as usize];
        let element_of = |flight: &Flight| flight.elements.get(element).map(|element| element.runs);
        let run = flight.as_ref().and_then(element_of).unwrap_or(0);
        ActivationKey { partition: self.me, flight: number, generation: *generation, element, run }
    }

    /// The flight behind a handle, if it is still the same run.
    pub(super) fn resolve(&mut self, key: ActivationKey) -> Option<&mut Flight> {
        let (generation, slot) = self.slots.get_mut(key.flight as usize)?;
        let flight = slot.as_mut().filter(|_| *generation == key.generation)?;
        let element = flight.elements.get(key.element)?;
        if element.runs == key.run { Some(flight) } else { None }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Flight)> {
        (0u32..)
            .zip(&self.slots)
            .filter_map(|(number, (_, slot))| slot.as_ref().map(|flight| (number, flight)))
    }
}
