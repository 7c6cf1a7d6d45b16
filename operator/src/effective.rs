//! The graph that later runs have: what its document says, with the patches that are for every later run.

use std::sync::Arc;

use kube::ResourceExt as _;
use superstep_api::AgentGraphPatchObject;
use superstep_graph::{
    Capabilities, EdgeSpec, GraphSpec, Mutation, MutationOrder, PriorityClass, ProgramCheck, Request,
    Revision, ValidatedGraph, Verdict, VertexSpec, fold,
};

/// A patch as it was folded in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Folded {
    /// What became of its mutations, in their order.
    pub(crate) verdicts: Vec<Verdict>,
    /// The revision from there on.
    pub(crate) revision: Revision,
}

/// A graph with its patches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Effective {
    /// The graph.
    pub(crate) spec: GraphSpec,
    /// What became of each patch, in the order in which they were given.
    pub(crate) folded: Vec<Folded>,
}

/// What only workers can judge, who have the programs: whether expressions and templates are well formed.
struct ForWorkers;

impl ProgramCheck for ForWorkers {
    fn check_vertex(&self, _: &VertexSpec) -> Result<(), String> {
        Ok(())
    }

    fn check_edge(&self, _: &EdgeSpec) -> Result<(), String> {
        Ok(())
    }
}

/// The graph that later runs have, from what its document says and from its patches in their order.
pub(crate) fn with_patches(base: &GraphSpec, patches: &[Arc<AgentGraphPatchObject>]) -> Effective {
    let names: Vec<String> = patches.iter().map(|patch| patch.name_any()).collect();
    let mutations = patches.iter().map(|patch| &patch.spec.mutations[..]);
    effective(base, names.iter().map(String::as_str).zip(mutations))
}

/// The graph that later runs have, from what its document says and from patches by name, which are folded in one
/// after another.
fn effective<'a>(
    base: &GraphSpec,
    patches: impl IntoIterator<Item = (&'a str, &'a [Mutation])>,
) -> Effective {
    let mut effective = Effective { spec: base.clone(), folded: Vec::new() };
    for (name, mutations) in patches {
        let requests: Vec<Request> =
            (0..).zip(mutations).map(|(number, asked)| request(name, number, asked)).collect();
        let done = fold(&effective.spec, &[], &requests, u64::MAX, &ForWorkers);
        let revision = ValidatedGraph::after_mutation(done.spec.clone()).revision();
        effective.folded.push(Folded { verdicts: done.verdicts, revision });
        effective.spec = done.spec;
    }
    effective
}

fn request(patch: &str, number: u32, mutation: &Mutation) -> Request {
    Request {
        order: MutationOrder { class: PriorityClass::Person, requester: patch.to_owned(), request: number },
        mutation: mutation.clone(),
        capabilities: Capabilities::unlimited(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use superstep_graph::validate;

    use super::*;

    fn graph() -> GraphSpec {
        let spec = json!({"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]});
        serde_json::from_value(spec).unwrap()
    }

    fn mutations(written: serde_json::Value) -> Vec<Mutation> {
        serde_json::from_value(written).unwrap()
    }

    #[test]
    fn without_patches_it_is_the_document() {
        let effective = effective(&graph(), []);
        assert!(effective.folded.is_empty());
        let declared = validate(&graph()).unwrap();
        assert_eq!(validate(&effective.spec).unwrap().revision(), declared.revision());
    }

    #[test]
    fn patches_come_one_after_another() {
        let add = mutations(json!([{"addVertex": {"name": "b", "function": {"cel": "2"}}}]));
        let again = mutations(json!([{"addVertex": {"name": "b", "function": {"cel": "3"}}},
            {"addEdge": {"from": "a", "to": "b"}}]));
        let effective = effective(&graph(), [("one", &add[..]), ("two", &again[..])]);
        assert_eq!(effective.folded[0].verdicts, [Verdict::Applied]);
        assert!(matches!(effective.folded[1].verdicts[..], [Verdict::Refused(_), Verdict::Applied]));
        assert_ne!(effective.folded[0].revision, effective.folded[1].revision);
        assert_eq!((effective.spec.vertices.len(), effective.spec.edges.len()), (2, 1));
    }
}
