//! From a document to a graph that can be trusted, or to everything that is wrong with it.

mod cache;
mod joins;
mod models;
mod names;
mod programs;
mod routers;
mod tools;
mod vertices;

pub use models::check_external;
pub(crate) use vertices::problem_of;

use std::sync::Arc;

use crate::problem::{FieldPath, Problem, Problems, Severity};
use crate::revision::Revision;
use crate::spec::{Governance, GraphSpec, ParametersSpec};
use crate::topology::Topology;

/// A graph that was checked once and is trusted from then on. It is sorted, so that the order of
/// declaration has no effect.
#[derive(Clone, Debug)]
pub struct ValidatedGraph {
    spec: Arc<GraphSpec>,
    topology: Arc<Topology>,
    revision: Revision,
    warnings: Vec<Problem>,
}

impl ValidatedGraph {
    /// The graph that mutations made of a valid one: names are unique and every vertex has one
    /// program, but relations need not hold (what names nothing is inert).
    pub fn after_mutation(mut spec: GraphSpec) -> Self {
        spec.sort();
        let revision = Revision::of(&mut spec);
        let topology = Arc::new(Topology::compile(&spec));
        Self { spec: Arc::new(spec), topology, revision, warnings: Vec::new() }
    }

    /// The same graph with `given` in place of the parameters that it has by default.
    #[must_use]
    pub fn with_parameters(&self, given: &serde_json::Value) -> Self {
        let all = self.spec().parameters_with(given);
        let declared = self.spec().parameters.as_ref().filter(|declared| declared.default != all);
        let Some(declared) = declared.cloned() else { return self.clone() };
        let parameters = Some(ParametersSpec { default: all, ..declared });
        let spec = GraphSpec { parameters, ..self.spec().clone() };
        Self { warnings: self.warnings.clone(), ..Self::after_mutation(spec) }
    }

    /// The document, sorted.
    pub fn spec(&self) -> &GraphSpec {
        &self.spec
    }

    /// The same, shared.
    pub fn shared_spec(&self) -> Arc<GraphSpec> {
        Arc::clone(&self.spec)
    }

    /// The graph as the engine sees it.
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// The hash of the document.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What is doubtful about it, but does not stop it from running.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

/// Checks `spec`. Paths of problems begin at the spec itself and index lists as they were written.
///
/// # Errors
/// All problems at once, warnings among them, if at least one is an error.
pub fn validate(spec: &GraphSpec) -> Result<ValidatedGraph, Problems> {
    let mut problems = Vec::new();
    names::check(spec, &mut problems);
    tools::check(spec, &mut problems);
    vertices::check(spec, &mut problems);
    models::check(spec, &mut problems);
    problems.extend(nothing_to_propose(spec));
    // Joins and paths are judged on the compiled graph, which needs names that are unique and resolve.
    let compiled = has_no_error(&problems).then(|| ValidatedGraph::after_mutation(spec.clone()));
    if let Some(graph) = &compiled {
        joins::check(spec, graph.topology(), &mut problems);
        routers::check(spec, graph.topology(), &mut problems);
    }
    problems.sort_by(|a, b| (a.severity, &a.path).cmp(&(b.severity, &b.path)));
    match compiled {
        Some(graph) if has_no_error(&problems) => Ok(ValidatedGraph { warnings: problems, ..graph }),
        Some(_) | None => Err(Problems(problems)),
    }
}

fn has_no_error(problems: &[Problem]) -> bool {
    problems.iter().all(|problem| problem.severity == Severity::Warning)
}

/// Whether vertices may appear that the document does not have: then a name without a vertex is
/// doubtful, but no error.
fn may_grow(spec: &GraphSpec) -> bool {
    spec.mutations.allow.contains(&crate::mutation::MutationKind::AddVertex)
}

/// What vertices may not even ask for is refused, and waits for nobody.
fn nothing_to_propose(spec: &GraphSpec) -> Option<Problem> {
    let policy = &spec.mutations;
    let proposes = policy.governance == Governance::Propose && policy.allow.is_empty();
    let path = FieldPath::default().field("mutations").field("governance");
    let problem =
        || Problem::warning(path, "the graph allows its vertices no mutation, so they propose none");
    proposes.then(problem).map(|problem| problem.hint("list the kinds in mutations.allow"))
}

#[cfg(test)]
mod tests;
