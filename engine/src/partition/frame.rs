//! One open graph, as a partition sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use superstep_graph::{
    AggregatorSpec, MutationPolicy, Topology, ValidatedGraph, Vertex, VertexIx, VertexName,
};

use super::vertex::{Queued, VertexState};
use crate::costs::EdgeCosts;
use crate::homes::Homes;
use crate::ids::{ActivationId, PartitionId, Place};
use crate::payload::Payload;
use crate::program::Failure;
use crate::protocol::Opening;
use crate::values::accepts;

/// One open graph.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) topology: Arc<Topology>,
    pub(super) input: Payload,
    /// Those of the present revision.
    pub(super) parameters: Payload,
    pub(super) aggregates: Arc<BTreeMap<VertexName, Payload>>,
    /// What its edges cost, if one of its routers weighs them.
    pub(super) costs: Option<Arc<EdgeCosts>>,
    pub(super) fan_out: u64,
    pub(super) aggregators: Vec<AggregatorSpec>,
    /// What its vertices may ask for, and who decides on it.
    pub(super) mutations: MutationPolicy,
    pub(super) vertices: Vertices,
    /// The partition of each vertex; empty where there is one partition.
    homes: Vec<PartitionId>,
}

impl Frame {
    /// The vertices of a frame that opens.
    pub(super) fn open(opening: &Opening, homes: &Homes) -> Self {
        let topology = Arc::clone(opening.graph.topology());
        let mut vertices = Vertices::new(topology.vertices().len());
        let mut aggregates = Arc::default();
        if let Some(carried) = &opening.carried {
            for (name, value) in &carried.values {
                let Some(at) = topology.find(name) else { continue };
                vertices.touch(at, topology.vertex(at)).value = value.clone();
            }
            aggregates = Arc::new(carried.aggregates.clone());
        }
        Self {
            input: opening.input.clone(),
            parameters: parameters_of(&topology),
            aggregates,
            costs: opening.costs.clone(),
            fan_out: opening.graph.spec().limits.fan_out,
            aggregators: opening.graph.spec().aggregators.clone(),
            mutations: opening.graph.spec().mutations.clone(),
            vertices,
            homes: homes_in(&topology, homes),
            topology,
        }
    }

    /// Takes another revision of the graph; the one before.
    pub(super) fn replace_graph(&mut self, graph: &ValidatedGraph, homes: &Homes) -> Arc<Topology> {
        let topology = Arc::clone(graph.topology());
        self.parameters = parameters_of(&topology);
        self.homes = homes_in(&topology, homes);
        self.fan_out = graph.spec().limits.fan_out;
        self.aggregators.clone_from(&graph.spec().aggregators);
        self.mutations.clone_from(&graph.spec().mutations);
        std::mem::replace(&mut self.topology, topology)
    }

    /// The partition that has a vertex.
    pub(super) fn home(&self, at: VertexIx) -> PartitionId {
        self.homes.get(at.0 as usize).copied().unwrap_or(PartitionId(0))
    }

    /// Whether every contribution is for an aggregator that can take it.
    pub(super) fn check_contributions(&self, contributions: &[(VertexName, Payload)]) -> Result<(), Failure> {
        for (name, payload) in contributions {
            let wrong = match self.aggregators.iter().find(|aggregator| aggregator.name == *name) {
                None => format!("no aggregator is named {name:?}"),
                Some(aggregator) if !accepts(aggregator.fold, payload) => {
                    format!("aggregator {name:?} folds numbers, and was given {}", payload.value())
                }
                Some(_) => continue,
            };
            return Err(Failure::permanent(wrong));
        }
        Ok(())
    }

    /// The name of the activation, or group, that a vertex starts in `superstep`.
    pub(super) fn activation(&self, place: Place, superstep: u64) -> ActivationId {
        let vertex = &self.topology.vertex(place.1).name;
        ActivationId {
            frame: place.0,
            vertex: vertex.clone(),
            incarnation: self.vertices.incarnation(place.1, vertex),
            superstep,
            element: None,
        }
    }
}

/// Where the vertices of a graph are: every message asks.
fn homes_in(topology: &Topology, homes: &Homes) -> Vec<PartitionId> {
    if homes.count() == 1 {
        return Vec::new();
    }
    topology.vertices().iter().map(|vertex| homes.of(&vertex.name)).collect()
}

fn parameters_of(topology: &Topology) -> Payload {
    Payload::from(Value::clone(topology.parameters()))
}

/// The states of the vertices of one open graph. A vertex on which nothing has happened has none, so
/// that opening a graph costs next to nothing, whatever its size.
#[derive(Clone, Debug, Default)]
pub(super) struct Vertices {
    states: Vec<Option<Box<VertexState>>>,
    /// How often vertices of these names were removed.
    incarnations: BTreeMap<VertexName, u32>,
}

impl Vertices {
    fn new(count: usize) -> Self {
        Self { states: vec![None; count], incarnations: BTreeMap::new() }
    }

    /// The state of a vertex, if something has happened on it.
    pub(super) fn get(&self, at: VertexIx) -> Option<&VertexState> {
        self.states.get(at.0 as usize)?.as_deref()
    }

    /// As [`Self::get`].
    pub(super) fn get_mut(&mut self, at: VertexIx) -> Option<&mut VertexState> {
        self.states.get_mut(at.0 as usize)?.as_deref_mut()
    }

    /// The state of a vertex on which something happens.
    pub(super) fn touch(&mut self, at: VertexIx, vertex: &Vertex) -> &mut VertexState {
        let incarnations = &self.incarnations;
        self.states[at.0 as usize].get_or_insert_with(|| {
            let incarnation = incarnations.get(&vertex.name).copied().unwrap_or(0);
            Box::new(VertexState::new(vertex, incarnation))
        })
    }

    /// The activation in flight at a vertex.
    pub(super) fn flight(&self, at: VertexIx) -> Option<u32> {
        self.get(at)?.flight
    }

    fn incarnation(&self, at: VertexIx, name: &VertexName) -> u32 {
        let removed = || self.incarnations.get(name).copied().unwrap_or(0);
        self.get(at).map_or_else(removed, |state| state.incarnation)
    }

    /// Takes down that a vertex is removed: the next one of its name is another one.
    pub(super) fn removed(&mut self, at: VertexIx, name: &VertexName) {
        let next = self.incarnation(at, name) + 1;
        self.incarnations.insert(name.clone(), next);
    }

    /// The states that there are.
    pub(super) fn states_mut(&mut self) -> impl Iterator<Item = &mut VertexState> {
        self.states.iter_mut().filter_map(Option::as_deref_mut)
    }

    /// The states that there are, with the places of their vertices.
    pub(super) fn into_states(self) -> impl Iterator<Item = (VertexIx, VertexState)> {
        let states = (0u32..).zip(self.states);
        states.filter_map(|(at, state)| Some((VertexIx(at), *state?)))
    }

    /// Empties every slot and forgets what it owes.
    pub(super) fn forget_joins(&mut self) {
        self.states.iter_mut().flatten().for_each(|state| state.forget_join());
    }

    /// Moves every state to the place that its vertex has in `new`, and fits it to what is there.
    /// `removed` vertices leave theirs behind. Messages that were waiting and are kept instead are given back,
    /// with their receivers.
    pub(super) fn adopt(
        &mut self,
        old: &Topology,
        new: &Topology,
        removed: &[VertexName],
    ) -> Vec<(VertexName, Queued)> {
        let mut kept = Vec::new();
        let count = new.vertices().len();
        let before = std::mem::replace(&mut self.states, vec![None; count]);
        for (at, (state, vertex)) in (0u32..).zip(before.into_iter().zip(old.vertices())) {
            if removed.contains(&vertex.name) {
                continue;
            }
            let Some(to) = new.find(&vertex.name) else { continue };
            // The value that a vertex begins with is that of the graph in which it was added.
            let differs = vertex.spec.value != new.vertex(to).spec.value;
            let incarnation = || self.incarnations.get(&vertex.name).copied().unwrap_or(0);
            let state = state.or_else(|| differs.then(|| Box::new(VertexState::new(vertex, incarnation()))));
            let Some(mut state) = state else { continue };
            let passive = state.adopt((old, VertexIx(at)), (new, to), removed);
            kept.extend(passive.into_iter().map(|message| (vertex.name.clone(), message)));
            self.states[to.0 as usize] = Some(state);
        }
        kept
    }

    /// The states that there are, with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (VertexIx, &VertexState)> {
        let states = (0u32..).zip(&self.states);
        states.filter_map(|(at, state)| Some((VertexIx(at), state.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use superstep_graph::GraphSpec;

    use super::*;

    /// A graph of these vertices, each with the value that it begins with.
    fn graph(vertices: &[(&str, Value)]) -> ValidatedGraph {
        let vertices: Vec<Value> = vertices
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value, "custom": {"name": "p"}}))
            .collect();
        let spec: GraphSpec =
            serde_json::from_value(json!({"entry": [vertices[0]["name"]], "vertices": vertices})).unwrap();
        ValidatedGraph::after_mutation(spec)
    }

    fn value<'a>(vertices: &'a mut Vertices, graph: &ValidatedGraph, name: &str) -> (&'a Value, u32) {
        let at = graph.topology().find(&name.into()).unwrap();
        let state = vertices.touch(at, graph.topology().vertex(at));
        (state.value.value(), state.incarnation)
    }

    #[test]
    fn what_nothing_has_happened_on_is_as_if_it_had_been_there_from_the_start() {
        let old = graph(&[("a", json!(1)), ("b", json!(2)), ("gone", json!(3)), ("same", json!(4))]);
        let new = graph(&[
            ("a", json!(10)),
            ("added", json!(5)),
            ("b", json!(2)),
            ("gone", json!(30)),
            ("same", json!(4)),
        ]);
        let mut vertices = Vertices::new(4);
        vertices.touch(VertexIx(1), old.topology().vertex(VertexIx(1))).value =
            Payload::from(json!("changed"));
        let removed = [VertexName::from("gone")];
        vertices.removed(VertexIx(2), &removed[0]);
        vertices.adopt(old.topology(), new.topology(), &removed);
        for (name, expected, incarnation) in [
            // A value that a mutation sets is for vertices of that name that are added later.
            ("a", json!(1), 0),
            ("added", json!(5), 0),
            ("b", json!("changed"), 0),
            ("gone", json!(30), 1),
            ("same", json!(4), 0),
        ] {
            assert_eq!(value(&mut vertices, &new, name), (&expected, incarnation), "{name}");
        }
    }

    #[test]
    fn a_large_graph_has_the_states_that_were_touched() {
        let graph = graph(&[("a", json!(null)), ("b", json!(null)), ("c", json!(null))]);
        let mut vertices = Vertices::new(3);
        assert!(vertices.get(VertexIx(1)).is_none() && vertices.flight(VertexIx(1)).is_none());
        vertices.touch(VertexIx(1), graph.topology().vertex(VertexIx(1)));
        assert_eq!(vertices.iter().map(|(at, _)| at).collect::<Vec<_>>(), [VertexIx(1)]);
    }
}
