//! Another graph in place of the one that a run began with.

use std::borrow::Cow;

use serde_json::Value;

use super::{Folding, edge_text, edges_of, fold, invalid, key_of, vertex_text, vertices_of};
use crate::mutation::Refusal;
use crate::problem::Severity;
use crate::spec::{Adoption, GraphSpec};
use crate::validate::validate;

impl Folding<'_> {
    /// Goes on with `graph`, to which what earlier barriers applied is applied again.
    pub(super) fn adopt(&mut self, graph: &GraphSpec) -> Result<(), Refusal> {
        if self.base.mutations.adopt == Adoption::Pinned {
            return Err(Refusal::Pinned);
        }
        self.demand_valid(graph)?;
        let mut base = graph.clone();
        self.keep_parameters(&mut base);
        for barrier in self.past {
            base = fold(&base, &[], barrier, u64::MAX, self.check).spec;
        }
        self.vertices = vertices_of(&base);
        self.edges = edges_of(&base);
        self.base = Cow::Owned(base);
        Ok(())
    }

    /// Parameters belong to the run: those that `graph` has too keep the values that they have.
    fn keep_parameters(&self, graph: &mut GraphSpec) {
        let Some(parameters) = &mut graph.parameters else { return };
        let held = self.base.parameters.as_ref().and_then(|held| held.default.as_object());
        let declared = parameters.schema.get("properties").and_then(Value::as_object);
        let mut all = parameters.default.as_object().cloned().unwrap_or_default();
        for (name, value) in held.into_iter().flatten() {
            if all.contains_key(name) || declared.is_some_and(|declared| declared.contains_key(name)) {
                all.insert(name.clone(), value.clone());
            }
        }
        if !all.is_empty() {
            parameters.default = Value::Object(all);
        }
    }

    fn demand_valid(&self, graph: &GraphSpec) -> Result<(), Refusal> {
        if let Err(problems) = validate(graph) {
            let first = problems.0.iter().find(|problem| problem.severity == Severity::Error);
            let why = first.map(|problem| format!("{}: {}", problem.path, problem.message));
            return Err(invalid("the graph".to_owned(), why.unwrap_or_default()));
        }
        for vertex in &graph.vertices {
            self.check.check_vertex(vertex).map_err(|why| invalid(vertex_text(&vertex.name), why))?;
        }
        for edge in &graph.edges {
            self.check.check_edge(edge).map_err(|why| invalid(edge_text(&key_of(edge)), why))?;
        }
        Ok(())
    }

    /// Counts the vertices that an adopted graph does not have among those that were removed.
    pub(super) fn lose_vertices(&mut self) {
        if matches!(self.base, Cow::Borrowed(_)) {
            return;
        }
        for vertex in &self.origin.vertices {
            if !self.vertices.contains_key(&vertex.name) && !self.removed.contains(&vertex.name) {
                self.removed.push(vertex.name.clone());
            }
        }
    }
}
