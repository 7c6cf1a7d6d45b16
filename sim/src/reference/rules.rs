//! What the rules say of a graph by itself: slots, who reaches whom, what can be noticed.

use std::collections::{BTreeMap, BTreeSet};

use superstep_graph::{
    Delivery, EdgeSpec, GraphSpec, JoinMode, OnSatisfied, OnUnknown, Port, Sends, VertexName, VertexSpec,
};

/// A graph as it was written. Everything is looked up anew each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a>(pub(super) &'a GraphSpec);

impl<'a> Rules<'a> {
    pub(super) fn vertex(self, name: &VertexName) -> Option<&'a VertexSpec> {
        self.0.vertices.iter().find(|vertex| vertex.name == *name)
    }

    /// The names of all vertices, in order.
    pub(super) fn names(self) -> BTreeSet<VertexName> {
        self.0.vertices.iter().map(|vertex| vertex.name.clone()).collect()
    }

    pub(super) fn edge(self, from: &VertexName, port: &Port, to: &VertexName) -> Option<&'a EdgeSpec> {
        self.0.edges.iter().find(|edge| edge.from == *from && edge.port == *port && edge.to == *to)
    }

    fn active(self) -> impl Iterator<Item = &'a EdgeSpec> {
        self.0.edges.iter().filter(|edge| edge.delivery == Delivery::Active)
    }

    /// The predecessors that the join of a vertex counts (rule 11).
    pub(super) fn slots(self, name: &VertexName) -> BTreeSet<VertexName> {
        let Some(vertex) = self.vertex(name) else { return BTreeSet::new() };
        match &vertex.join.of {
            Some(names) => names.iter().cloned().collect(),
            None => self.active().filter(|edge| edge.to == *name).map(|edge| edge.from.clone()).collect(),
        }
    }

    /// Whether the join of `to` counts what comes over an edge from `from`.
    pub(super) fn counts(self, from: &VertexName, to: &VertexName) -> bool {
        match self.vertex(to).and_then(|vertex| vertex.join.of.as_ref()) {
            Some(names) => names.contains(from),
            None => self.active().any(|edge| edge.from == *from && edge.to == *to),
        }
    }

    /// How many slots have to be filled (rules 11 and 12).
    pub(super) fn need(self, name: &VertexName) -> usize {
        let join = self.vertex(name).map(|vertex| &vertex.join);
        match join.map_or(JoinMode::Any, |join| join.mode) {
            JoinMode::Any => 1,
            JoinMode::All => self.slots(name).len(),
            JoinMode::Quorum => join.and_then(|join| join.count).map_or(0, |count| count as usize),
        }
    }

    pub(super) fn is_quorum(self, name: &VertexName) -> bool {
        self.vertex(name).is_some_and(|vertex| vertex.join.mode == JoinMode::Quorum)
    }

    pub(super) fn cancels_rest(self, name: &VertexName) -> bool {
        let cancels = |vertex: &VertexSpec| vertex.join.on_satisfied == OnSatisfied::CancelRest;
        self.is_quorum(name) && self.vertex(name).is_some_and(cancels)
    }

    /// Whether `vertex` may send directly to `to` (rule 7).
    pub(super) fn sends(vertex: &VertexSpec, to: &VertexName) -> bool {
        match &vertex.sends {
            None => false,
            Some(Sends::Any(_)) => true,
            Some(Sends::To(names)) => names.contains(to),
        }
    }

    /// Where activity at `from` can lead in one step, and whether the step is one that the join of the
    /// vertex it leads to counts.
    fn steps(self, from: &VertexName) -> Vec<(VertexName, bool)> {
        let edges = self.active().filter(|edge| edge.from == *from);
        let mut steps: Vec<(VertexName, bool)> =
            edges.map(|edge| (edge.to.clone(), self.counts(from, &edge.to))).collect();
        if let Some(vertex) = self.vertex(from) {
            let targets = self.names().into_iter().filter(|to| Self::sends(vertex, to));
            steps.extend(targets.map(|to| (to, false)));
        }
        steps
    }

    /// Whether `from` reaches `to`, itself among them, without passing `join`. Where `passable`, a way
    /// may pass the join if it enters it uncounted (rule 15).
    pub(super) fn reaches(
        self,
        from: &VertexName,
        to: &VertexName,
        join: &VertexName,
        passable: bool,
    ) -> bool {
        if !passable && (from == join || to == join) {
            return false;
        }
        let mut seen = BTreeSet::from([from.clone()]);
        let mut work = vec![from.clone()];
        while let Some(at) = work.pop() {
            if at == *to {
                return true;
            }
            for (next, counted) in self.steps(&at) {
                let enters = next != *join || (passable && !counted);
                if enters && self.vertex(&next).is_some() && seen.insert(next.clone()) {
                    work.push(next);
                }
            }
        }
        false
    }

    pub(super) fn is_output(self, name: &VertexName) -> bool {
        if !self.0.outputs.is_empty() {
            return self.0.outputs.iter().any(|output| output.vertex == *name);
        }
        let leads_on =
            |edge: &&EdgeSpec| edge.from == *name && edge.to != *name && self.vertex(&edge.to).is_some();
        !self.active().any(|edge| leads_on(&edge))
    }

    /// Whether anything that can be noticed is reached from `start` without `join` (rule 14).
    pub(super) fn is_noticed(
        self,
        start: &VertexName,
        join: &VertexName,
        library: &BTreeMap<String, GraphSpec>,
    ) -> bool {
        let reached = self.names().into_iter().filter(|at| self.reaches(start, at, join, false));
        reached.into_iter().any(|at| {
            let Some(vertex) = self.vertex(&at) else { return false };
            let passive =
                |edge: &EdgeSpec| edge.from == at && edge.delivery == Delivery::Passive && edge.to != *join;
            let changes = !self.0.mutations.allow.is_empty() || !self.0.aggregators.is_empty();
            self.is_output(&at)
                || (at != *start && vertex.join.mode != JoinMode::Any)
                || self.0.edges.iter().any(passive)
                || vertex.sends.is_some()
                || vertex.effects.mutations.is_some()
                || !vertex.effects.contribute.is_empty()
                || (vertex.custom.is_some() && changes)
                || acts_outside(vertex, library)
        })
    }
}

/// Whether the program of a vertex, or one inside it, is not to be repeated.
fn acts_outside(vertex: &VertexSpec, library: &BTreeMap<String, GraphSpec>) -> bool {
    let inside = vertex.graph.as_ref().and_then(|graph| library.get(&graph.reference.name));
    let custom = vertex.custom.is_some() && vertex.on_unknown != Some(OnUnknown::Retry);
    custom || inside.is_some_and(|graph| graph.vertices.iter().any(|vertex| acts_outside(vertex, library)))
}
