//! Activations between their start and their commit.

use std::sync::Arc;

use superstep_graph::{VertexName, VertexSpec};

use crate::ids::{ActivationId, ActivationKey, PartitionId, Place, Timestamp};
use crate::message::{MessageStatus, Routed, Trail};
use crate::payload::Payload;
use crate::program::{Failure, ProgramResult, Question, Resumption, View};

/// One activation, or one forEach group.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) place: Place,
    pub(super) id: ActivationId,
    pub(super) spec: Arc<VertexSpec>,
    pub(super) trail: Trail,
    pub(super) elements: Vec<Element>,
    pub(super) grouped: bool,
    /// Whether its end follows from the state and need not be told by the log.
    pub(super) derived: bool,
    /// Whether the coordinator takes it for suspended.
    pub(super) suspended: bool,
    pub(super) staged: Option<Staged>,
}

/// What the commit of an activation will send.
#[derive(Clone, Debug, Default)]
pub(super) struct Staged {
    pub(super) outbox: Vec<Routed>,
    pub(super) settled: Vec<Unsent>,
    pub(super) value: crate::program::ValueChange,
}

/// A message that did not even leave its sender.
#[derive(Clone, Debug)]
pub(super) struct Unsent {
    pub(super) port: superstep_graph::Port,
    pub(super) to: VertexName,
    pub(super) status: MessageStatus,
}

/// One element of an activation; an activation without forEach has one.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) view: Arc<View>,
    pub(super) attempts: u32,
    /// How often its program was started in this process.
    pub(super) runs: u32,
    pub(super) stage: Stage,
    pub(super) resumption: Option<Resumption>,
}

impl Element {
    /// An element that is about to run.
    pub(super) fn new(view: Arc<View>) -> Self {
        Self { view, attempts: 0, runs: 0, stage: Stage::Running { deadline: None }, resumption: None }
    }

    /// An element that failed before it could run.
    pub(super) fn failed(failure: Failure) -> Self {
        let view = View {
            input: Payload::null(),
            parameters: Payload::null(),
            messages: Vec::new(),
            kept: Vec::new(),
            value: Payload::null(),
            element: None,
            aggregates: Arc::default(),
            superstep: 0,
        };
        let stage = Stage::Ended(Err(failure));
        Self { view: Arc::new(view), attempts: 1, runs: 0, stage, resumption: None }
    }
}

/// What an element is doing.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Its program runs, until the deadline at the latest.
    Running { deadline: Option<Timestamp> },
    /// It will be tried again.
    BackingOff { until: Timestamp },
    /// Its question is not yet durable. With a ticket, it is about a call whose outcome is unknown.
    Asking { question: Question, ticket: Option<u32> },
    /// It waits for an answer.
    Suspended { question: Question },
    /// Its program runs, but waits for a person to say what became of a call.
    InDoubt { ticket: u32 },
    /// Its sub-graph runs.
    InFrame,
    /// It has ended.
    Ended(Result<Arc<ProgramResult>, Failure>),
}

impl Stage {
    /// Whether it is ended, or waits for the outside.
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Running { .. } | Self::BackingOff { .. } | Self::Asking { .. } => false,
            Self::Suspended { .. } | Self::InDoubt { .. } | Self::InFrame | Self::Ended(_) => true,
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// Whether its program runs.
    pub(super) fn may_call(&self) -> bool {
        matches!(self, Self::Running { .. }) || self.is_in_doubt()
    }

    /// Whether it asks, or is about to ask, what became of a call.
    pub(super) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Asking { ticket: Some(_), .. } | Self::InDoubt { .. })
    }

    pub(super) fn timeout(&self) -> Option<Timestamp> {
        match self {
            Self::Running { deadline } => *deadline,
            Self::BackingOff { until } => Some(*until),
            Self::Asking { .. }
            | Self::Suspended { .. }
            | Self::InDoubt { .. }
            | Self::InFrame
            | Self::Ended(_) => None,
        }
    }
}

impl Flight {
    /// The name of one of its elements.
    pub(super) fn element_id(&self, element: u32) -> ActivationId {
        ActivationId { element: self.grouped.then_some(element), ..self.id.clone() }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.elements.iter().all(|element| element.stage.is_ended())
    }

    /// Whether it waits for the outside alone.
    pub(super) fn is_suspended(&self) -> bool {
        !self.is_ended() && self.elements.iter().all(|element| element.stage.is_quiet())
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
        let element_of = |flight: &Flight| flight.elements.get(element as usize).map(|element| element.runs);
        let run = flight.as_ref().and_then(element_of).unwrap_or(0);
        ActivationKey { partition: self.me, flight: number, generation: *generation, element, run }
    }

    /// The flight behind a handle, if it is still the same run.
    pub(super) fn resolve(&mut self, key: ActivationKey) -> Option<&mut Flight> {
        let (generation, slot) = self.slots.get_mut(key.flight as usize)?;
        let flight = slot.as_mut().filter(|_| *generation == key.generation)?;
        let element = flight.elements.get(key.element as usize)?;
        if element.runs == key.run { Some(flight) } else { None }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Flight)> {
        (0u32..)
            .zip(&mut self.slots)
            .filter_map(|(number, (_, slot))| slot.as_mut().map(|flight| (number, flight)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Flight)> {
        (0u32..)
            .zip(&self.slots)
            .filter_map(|(number, (_, slot))| slot.as_ref().map(|flight| (number, flight)))
    }
}
