//! The elements of an activation: what each sees, and what it is doing.

use std::sync::Arc;

use crate::ids::Timestamp;
use crate::payload::Payload;
use crate::program::{Failure, ProgramResult, Question, Resumption, Scene, View};

/// The elements of one activation, with counts of what they are doing: looking at one costs the same
/// however many there are.
#[derive(Clone, Debug)]
pub(super) struct Elements {
    list: Vec<Element>,
    /// How many have not ended.
    open: u32,
    /// How many have neither ended nor wait for the outside.
    busy: u32,
}

/// One element of an activation; an activation without forEach has one.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) view: View,
    pub(super) attempts: u32,
    /// How often its program was started in this process.
    pub(super) runs: u32,
    pub(super) resumption: Option<Resumption>,
    stage: Stage,
}

impl Elements {
    pub(super) fn new(list: Vec<Element>) -> Self {
        let count = |wanted: fn(&Stage) -> bool| {
            let counted = list.iter().filter(|element| wanted(&element.stage)).count();
            u32::try_from(counted).unwrap_or(u32::MAX)
        };
        Self { open: count(Stage::is_open), busy: count(Stage::is_busy), list }
    }

    /// Lets go of all of them, at their end.
    pub(super) fn clear(&mut self) {
        *self = Self::new(Vec::new());
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.list.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, index: u32) -> Option<&Element> {
        self.list.get(index as usize)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Element> {
        self.list.get_mut(index as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Element)> {
        (0u32..).zip(&self.list)
    }

    /// Changes what an element is doing; what it was doing before.
    pub(super) fn set_stage(&mut self, index: u32, stage: Stage) -> Option<Stage> {
        let element = self.list.get_mut(index as usize)?;
        self.open = self.open - u32::from(element.stage.is_open()) + u32::from(stage.is_open());
        self.busy = self.busy - u32::from(element.stage.is_busy()) + u32::from(stage.is_busy());
        Some(std::mem::replace(&mut element.stage, stage))
    }

    pub(super) fn have_ended(&self) -> bool {
        self.open == 0
    }

    /// Whether they wait for the outside alone.
    pub(super) fn are_suspended(&self) -> bool {
        self.open > 0 && self.busy == 0
    }
}

impl Element {
    /// An element that is about to run.
    pub(super) fn new(view: View) -> Self {
        Self { view, attempts: 0, runs: 0, stage: Stage::Running { deadline: None }, resumption: None }
    }

    /// An element that failed before it could run.
    pub(super) fn failed(failure: Failure) -> Self {
        let scene = Scene {
            input: Payload::null(),
            parameters: Payload::null(),
            messages: Vec::new(),
            kept: Vec::new(),
            value: Payload::null(),
            aggregates: Arc::default(),
            superstep: 0,
            route: None,
        };
        let stage = Stage::Ended(Err(failure));
        Self { view: View::from(scene), attempts: 1, runs: 0, stage, resumption: None }
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
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
    Asking { number: u32, question: Question, ticket: Option<u32> },
    /// It waits for an answer.
    Suspended { number: u32, question: Question },
    /// Its program runs, but waits for a person to say what became of a call.
    InDoubt { ticket: u32 },
    /// Its sub-graph runs.
    InFrame,
    /// It has ended.
    Ended(Result<Arc<ProgramResult>, Failure>),
}

impl Stage {
    fn is_open(&self) -> bool {
        !matches!(self, Self::Ended(_))
    }

    fn is_busy(&self) -> bool {
        match self {
            Self::Running { .. } | Self::BackingOff { .. } | Self::Asking { .. } => true,
            Self::Suspended { .. } | Self::InDoubt { .. } | Self::InFrame | Self::Ended(_) => false,
        }
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
