//! Open graphs, as the coordinator sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use superstep_graph::{Adoption, Mutation, Request, Revision, Select, ValidatedGraph, VertexIx, VertexName};

use super::Coordinator;
use crate::ids::{FrameId, Place};
use crate::payload::Payload;
use crate::program::{Failure, Usage};
use crate::protocol::Completed;
use crate::values::aggregate;

/// Who opened a frame: an activation, or an element of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opener {
    /// The frame of the activation.
    pub frame: FrameId,
    /// Its vertex.
    pub vertex: VertexName,
    /// The superstep in which it started, and opened the frame.
    pub superstep: u64,
    /// Which of its elements.
    pub element: u32,
}

impl Coordinator {
    /// Who opened a frame that is open; none for the run's own graph.
    pub fn opener(&self, frame: FrameId) -> Option<Opener> {
        let opened = self.frames.get(&frame)?;
        let ((outer, at), element) = opened.parent?;
        let vertex = self.frames.get(&outer)?.graph.topology().vertex(at).name.clone();
        Some(Opener { frame: outer, vertex, superstep: opened.opened, element })
    }

    /// The revision of the document that the run began with, or adopted last: its graph is that document with what
    /// its barriers changed. None if only the remains of the run are left.
    pub fn base(&self) -> Option<Revision> {
        self.frames.get(&FrameId::ROOT).map(|root| root.base)
    }
}

/// One open graph.
#[derive(Clone, Debug)]
pub(super) struct FrameState {
    /// The name of its graph.
    pub(super) name: String,
    pub(super) graph: ValidatedGraph,
    /// The activation that opened it, and which of its elements; none for the run's own graph.
    pub(super) parent: Option<(Place, u32)>,
    pub(super) depth: u32,
    /// The superstep in which it was opened.
    pub(super) opened: u64,
    /// How long the run had been worked on by then, in microseconds.
    pub(super) opened_at: u64,
    /// Why it fails, once it does, and whether a limit of its own is the reason.
    pub(super) failed: Option<(Failure, bool)>,
    pub(super) reserved: Usage,
    pub(super) settled: Usage,
    outputs: BTreeMap<VertexName, Vec<Payload>>,
    /// What those gave last that are not outputs. Where the graph names none, a mutation may make one of them an
    /// output.
    unshown: Vec<Option<Payload>>,
    aggregates: Arc<BTreeMap<VertexName, Payload>>,
    /// What its barriers have applied, to be applied again to a changed document.
    past: Vec<Vec<Request>>,
    /// The document to which it was applied.
    base: Revision,
}

impl FrameState {
    pub(super) fn new(name: &str, graph: ValidatedGraph, parent: Option<(Place, u32)>) -> Self {
        Self {
            name: name.to_owned(),
            base: graph.revision(),
            graph,
            parent,
            depth: 0,
            opened: 0,
            opened_at: 0,
            failed: None,
            reserved: Usage::default(),
            settled: Usage::default(),
            outputs: BTreeMap::new(),
            unshown: Vec::new(),
            aggregates: Arc::default(),
            past: Vec::new(),
        }
    }

    /// Takes the graph that mutations made of its own; the one before.
    pub(super) fn adopt(&mut self, graph: &ValidatedGraph) -> ValidatedGraph {
        let old = std::mem::replace(&mut self.graph, graph.clone());
        let new = graph.topology();
        let before = std::mem::take(&mut self.unshown);
        for (given, vertex) in before.into_iter().zip(old.topology().vertices()) {
            let Some((output, at)) = given.zip(new.find(&vertex.name)) else { continue };
            if new.vertex(at).is_output {
                self.outputs.entry(vertex.name.clone()).or_insert_with(|| vec![output]);
            } else {
                self.note(at, output);
            }
        }
        old
    }

    /// What its barriers have applied, one list for each.
    pub(super) fn past(&self) -> &[Vec<Request>] {
        &self.past
    }

    /// Takes note of what a barrier has applied.
    pub(super) fn remember(&mut self, applied: Vec<Request>) {
        let is_document = |request: &Request| matches!(request.mutation, Mutation::Adopt(_));
        let (documents, own): (Vec<_>, Vec<_>) = applied.into_iter().partition(is_document);
        let last = documents.into_iter().max_by(|one, other| one.order.cmp(&other.order));
        if let Some(Mutation::Adopt(document)) = last.map(|request| request.mutation) {
            self.base = ValidatedGraph::after_mutation(*document).revision();
        }
        let may_change = self.parent.is_none() && self.graph.spec().mutations.adopt == Adoption::Barrier;
        if may_change && !own.is_empty() {
            self.past.push(own);
        }
    }

    fn note(&mut self, at: VertexIx, output: Payload) {
        if self.unshown.is_empty() {
            self.unshown = vec![None; self.graph.topology().vertices().len()];
        }
        self.unshown[at.0 as usize] = Some(output);
    }

    /// Lets persistent aggregators begin with what those of the run before held.
    pub(super) fn carry(&mut self, aggregates: &BTreeMap<VertexName, Payload>) {
        self.aggregates = Arc::new(aggregates.clone());
    }

    /// What its persistent aggregators hold.
    pub(super) fn persistent(&self) -> BTreeMap<VertexName, Payload> {
        let persists = |name: &VertexName| {
            self.graph.spec().aggregators.iter().any(|known| known.persistent && known.name == *name)
        };
        let held = self.aggregates.iter().filter(|(name, _)| persists(name));
        held.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Keeps the output of an activation that is committed, if its vertex is an output.
    pub(super) fn collect(&mut self, completed: &Completed) {
        let Some(output) = &completed.output else { return };
        let topology = self.graph.topology();
        if !topology.vertex(completed.place.1).is_output {
            if self.graph.spec().outputs.is_empty() {
                self.note(completed.place.1, output.clone());
            }
            return;
        }
        let name = &completed.activation.vertex;
        let kept = self.outputs.entry(name.clone()).or_default();
        match select_of(&self.graph, name) {
            Select::All => kept.push(output.clone()),
            Select::First if kept.is_empty() => kept.push(output.clone()),
            Select::First => {}
            Select::Last => {
                kept.clear();
                kept.push(output.clone());
            }
        }
    }

    /// The outputs so far: an object keyed by output vertex. One that had none is null, or an empty
    /// list.
    pub(super) fn result(&self) -> Payload {
        let topology = self.graph.topology();
        let mut result = Map::new();
        for output in topology.outputs() {
            let name = &topology.vertex(*output).name;
            let kept = self.outputs.get(name).map(Vec::as_slice).unwrap_or_default();
            let value = match select_of(&self.graph, name) {
                Select::All => Payload::list(kept).value().clone(),
                Select::First | Select::Last => {
                    kept.last().map_or(Value::Null, |payload| payload.value().clone())
                }
            };
            result.insert(name.to_string(), value);
        }
        Payload::from(Value::Object(result))
    }

    /// Folds the contributions of one commit, in order; true if what programs see has changed.
    pub(super) fn aggregate(&mut self, contributions: &[(VertexName, Payload)]) -> bool {
        let declared = &self.graph.spec().aggregators;
        if declared.is_empty() {
            return false;
        }
        let mut folded = BTreeMap::new();
        for aggregator in declared {
            let held = self.aggregates.get(&aggregator.name).filter(|_| aggregator.persistent);
            let own: Vec<&Payload> = contributions
                .iter()
                .filter(|(name, _)| *name == aggregator.name)
                .map(|(_, payload)| payload)
                .collect();
            if let Some(value) = aggregate(aggregator.fold, held, &own) {
                folded.insert(aggregator.name.clone(), value);
            }
        }
        let changed = folded != *self.aggregates;
        self.aggregates = Arc::new(folded);
        changed
    }

    pub(super) fn aggregates(&self) -> Arc<BTreeMap<VertexName, Payload>> {
        Arc::clone(&self.aggregates)
    }
}

fn select_of(graph: &ValidatedGraph, name: &VertexName) -> Select {
    let declared = &graph.spec().outputs;
    let found = declared.binary_search_by(|output| output.vertex.cmp(name));
    found.map_or(Select::Last, |index| declared[index].select)
}
