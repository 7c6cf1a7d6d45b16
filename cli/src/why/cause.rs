//! What the notices of a run tell of causes.

use std::collections::BTreeMap;

use superstep_engine::{ActivationId, Coordinator, FrameId, MessageStatus, Notice};
use superstep_graph::{Delivery, EdgeSpec, OutputSpec, Port, Select, ValidatedGraph, VertexName};

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
    /// As what it opened ended: an output of the sub-graph is its own.
    Gave,
    /// By a message that was kept, and seen as `from.X`.
    Saw,
}

impl How {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Woken => "woken",
            Self::Opened => "opened",
            Self::Gave => "gave",
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
        self.started && self.causes.iter().all(|cause| matches!(cause.how, How::Saw | How::Gave))
    }
}

/// A sub-graph that an activation opened.
struct Inside {
    by: Place,
    outputs: Vec<OutputSpec>,
    /// What its outputs are so far.
    given: BTreeMap<VertexName, Vec<Place>>,
}

impl Inside {
    /// Takes in that a vertex of it gave something.
    fn give(&mut self, place: Place) {
        let Some(output) = self.outputs.iter().find(|output| output.vertex == place.vertex) else { return };
        let given = self.given.entry(place.vertex.clone()).or_default();
        match output.select {
            Select::Last => *given = vec![place],
            Select::First if given.is_empty() => given.push(place),
            Select::First => {}
            Select::All => given.push(place),
        }
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
    /// The sub-graphs that were opened.
    opened: BTreeMap<FrameId, Inside>,
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
            Notice::Opened { frame, by, .. } => {
                let by = Place { frame: by.frame, vertex: by.vertex.clone(), superstep: by.superstep };
                let outputs = coordinator.graph(*frame).map(outputs_of).unwrap_or_default();
                self.opened.insert(*frame, Inside { by, outputs, given: BTreeMap::new() });
            }
            Notice::Completed { activation, output, .. } => {
                if !self.activations.contains_key(&place_of(activation)) {
                    self.start(activation, None, false, coordinator);
                }
                self.complete(place_of(activation), output.is_some());
            }
            Notice::SuperstepStarted { .. }
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Mutated { .. }
            | Notice::Committed { .. }
            | Notice::Called(_)
            | Notice::Resumed { .. }
            | Notice::Paused
            | Notice::Suspended
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

    /// An activation has ended: what it opened has given what it gives, and it may give to its opener.
    fn complete(&mut self, place: Place, gives: bool) {
        let inside = self.opened.values().filter(|inside| inside.by == place);
        let given = inside.flat_map(|inside| inside.given.values().flatten());
        let gave: Vec<Cause> =
            given.map(|from| Cause { how: How::Gave, from: from.clone(), port: None }).collect();
        if let Some(caused) = self.activations.get_mut(&place) {
            caused.causes.extend(gave);
            caused.causes.sort();
        }
        self.opened.retain(|_, inside| inside.by != place);
        if let Some(inside) = self.opened.get_mut(&place.frame).filter(|_| gives) {
            inside.give(place);
        }
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

/// What a graph gives: what it names, or else every vertex that sends to none.
fn outputs_of(graph: &ValidatedGraph) -> Vec<OutputSpec> {
    let outputs = graph.topology().vertices().iter().filter(|vertex| vertex.is_output);
    outputs
        .map(|vertex| {
            let named = graph.spec().outputs.iter().find(|output| output.vertex == vertex.name);
            let select = named.map(|output| output.select).unwrap_or_default();
            OutputSpec { vertex: vertex.name.clone(), select }
        })
        .collect()
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
