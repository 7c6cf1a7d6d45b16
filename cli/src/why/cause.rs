//! What the notices of a run tell of causes.

use std::collections::BTreeMap;

use superstep_engine::{ActivationId, Coordinator, FrameId, MessageStatus, Notice};
use superstep_graph::{Delivery, EdgeSpec, Port, VertexName};

/// An activation, as messages name it: a vertex starts at most one in a superstep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) frame: FrameId,
    pub(super) vertex: VertexName,
    pub(super) superstep: u64,
}

/// How one activation led to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// By a message that woke it.
    Woken,
    /// By opening the sub-graph that it is an entry of.
    Opened,
    /// By a message that was kept, and seen as `from.X`.
    Saw,
}

impl How {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Woken => "woken",
            Self::Opened => "opened",
            Self::Saw => "saw",
        }
    }
}

/// One thing that led to an activation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    pub(super) how: How,
    /// The activation that it came from.
    pub(super) from: Place,
    /// The port of a message.
    pub(super) port: Option<Port>,
}

/// An activation with what led to it.
#[derive(Clone, Debug)]
pub(super) struct Caused {
    pub(super) id: ActivationId,
    /// How many elements it has, if it is a group.
    pub(super) elements: Option<u32>,
    /// Whether it ran at all: the failure of a join that can never be complete does not.
    pub(super) started: bool,
    /// Sorted: what woke it first.
    pub(super) causes: Vec<Cause>,
}

impl Caused {
    /// Its name as `inspect` writes it.
    pub(super) fn name(&self) -> String {
        self.id.to_string()
    }

    /// Whether the run began with it.
    pub(super) fn is_entry(&self) -> bool {
        self.started && self.causes.iter().all(|cause| cause.how == How::Saw)
    }
}

/// The causes of every activation of a run.
#[derive(Default)]
pub(super) struct Causes {
    pub(super) activations: BTreeMap<Place, Caused>,
    /// What activations drained that are about to start.
    drained: BTreeMap<Place, Vec<Cause>>,
    /// What vertices have kept, by sender and port.
    kept: BTreeMap<(FrameId, VertexName), BTreeMap<(VertexName, Port), Place>>,
}

impl Causes {
    /// Takes a notice in, with the coordinator as it is after the record that led to it.
    pub(super) fn add(&mut self, notice: &Notice, coordinator: &Coordinator) {
        match notice {
            Notice::Settled { frame, from, port, to, sent, taken, status } => {
                let sender = Place { frame: *frame, vertex: from.clone(), superstep: *sent };
                match (taken, status) {
                    (Some(taken), _) => {
                        let place = Place { frame: *frame, vertex: to.clone(), superstep: *taken };
                        let cause = Cause { how: How::Woken, from: sender, port: Some(port.clone()) };
                        self.drained.entry(place).or_default().push(cause);
                    }
                    (None, MessageStatus::Delivered) => self.keep(*frame, to, port, sender),
                    (
                        None,
                        MessageStatus::Combined
                        | MessageStatus::Filtered
                        | MessageStatus::Late
                        | MessageStatus::Buffered
                        | MessageStatus::Cancelled
                        | MessageStatus::DeadLettered
                        | MessageStatus::Refused,
                    ) => {}
                }
            }
            Notice::Started { activation, elements } => self.start(activation, *elements, true, coordinator),
            Notice::Completed { activation, .. } if !self.activations.contains_key(&place_of(activation)) => {
                self.start(activation, None, false, coordinator);
            }
            Notice::SuperstepStarted { .. }
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Mutated { .. }
            | Notice::Committed { .. }
            | Notice::Paused
            | Notice::Ended { .. } => {}
        }
    }

    fn start(
        &mut self,
        activation: &ActivationId,
        elements: Option<u32>,
        started: bool,
        coordinator: &Coordinator,
    ) {
        let place = place_of(activation);
        let woken = self.drained.remove(&place).unwrap_or_default();
        let edges = coordinator.graph(place.frame).map_or(&[][..], |graph| &graph.spec().edges);
        let edge = |from: &VertexName, port: &Port| edge_of(edges, from, port, &place.vertex);
        let owner = (place.frame, place.vertex.clone());
        let kept = self.kept.entry(owner).or_default();
        // What is kept goes with its edge.
        kept.retain(|(from, port), _| edge(from, port).is_some());
        let saw = kept.iter().map(|((_, port), from)| Cause {
            how: How::Saw,
            from: from.clone(),
            port: Some(port.clone()),
        });
        let mut causes: Vec<Cause> = saw.chain(woken.iter().cloned()).collect();
        for cause in woken {
            let Some(port) = cause.port else { continue };
            if edge(&cause.from.vertex, &port)
                .is_some_and(|edge| edge.retain && edge.delivery == Delivery::Active)
            {
                kept.insert((cause.from.vertex.clone(), port), cause.from);
            }
        }
        let is_woken = causes.iter().any(|cause| cause.how == How::Woken);
        if let Some(opener) = coordinator.opener(place.frame).filter(|_| !is_woken) {
            let from = Place { frame: opener.frame, vertex: opener.vertex, superstep: opener.superstep };
            causes.push(Cause { how: How::Opened, from, port: None });
        }
        causes.sort();
        causes.dedup();
        self.activations.insert(place, Caused { id: activation.clone(), elements, started, causes });
    }

    fn keep(&mut self, frame: FrameId, to: &VertexName, port: &Port, sender: Place) {
        let kept = self.kept.entry((frame, to.clone())).or_default();
        kept.insert((sender.vertex.clone(), port.clone()), sender);
    }

    /// The name of an activation as `inspect` writes it.
    pub(super) fn name_of(&self, place: &Place) -> String {
        let bare = || ActivationId {
            frame: place.frame,
            vertex: place.vertex.clone(),
            incarnation: 0,
            superstep: place.superstep,
            element: None,
        };
        self.activations.get(place).map_or_else(|| bare().to_string(), Caused::name)
    }
}

fn place_of(activation: &ActivationId) -> Place {
    Place { frame: activation.frame, vertex: activation.vertex.clone(), superstep: activation.superstep }
}

/// The edge of that key in edges that are sorted by their keys.
fn edge_of<'a>(
    edges: &'a [EdgeSpec],
    from: &VertexName,
    port: &Port,
    to: &VertexName,
) -> Option<&'a EdgeSpec> {
    let found = edges.binary_search_by(|edge| edge.key().cmp(&(from, port, to)));
    found.ok().map(|index| &edges[index])
}
