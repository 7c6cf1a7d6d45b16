//! The graph that later runs have: what its document says, with the patches that are for every later run.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use superstep_api::AgentGraphPatchObject;
use superstep_graph::{
    Capabilities, EdgeSpec, GraphSpec, Mutation, MutationOrder, PriorityClass, ProgramCheck, Request,
    Revision, Sends, ValidatedGraph, Verdict, VertexName, VertexSpec, fold,
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
    let (mut graph, mut removed) = (base.clone(), BTreeSet::new());
    for (name, mutations) in patches {
        let requests: Vec<Request> =
            (0..).zip(mutations).map(|(number, asked)| request(name, number, asked)).collect();
        let done = fold(&graph, &[], &requests, u64::MAX, &ForWorkers);
        // A later patch may add a vertex again, which has the edges then that it had before.
        graph = done.spec;
        removed.extend(done.removed);
        effective.spec = without(graph.clone(), &removed);
        let revision = ValidatedGraph::after_mutation(effective.spec.clone()).revision();
        effective.folded.push(Folded { verdicts: done.verdicts, revision });
    }
    effective
}

/// A graph without what names vertices that were `removed` and did not come back: that has no effect, and a document in
/// which it stands is none that a run can begin with. What a join waits for stays, and so does the only output.
fn without(mut graph: GraphSpec, removed: &BTreeSet<VertexName>) -> GraphSpec {
    let there: BTreeSet<VertexName> = graph.vertices.iter().map(|vertex| vertex.name.clone()).collect();
    let stays = |name: &VertexName| there.contains(name) || !removed.contains(name);
    graph.entry.retain(stays);
    graph.edges.retain(|edge| stays(&edge.from) && stays(&edge.to));
    if graph.outputs.iter().any(|output| stays(&output.vertex)) {
        graph.outputs.retain(|output| stays(&output.vertex));
    }
    for vertex in &mut graph.vertices {
        if let Some(Sends::To(targets)) = &mut vertex.sends {
            targets.retain(stays);
        }
    }
    graph
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

    #[test]
    fn a_run_can_begin_with_what_is_left_of_a_graph() {
        let spec = json!({
            "entry": ["a", "b"],
            "vertices": [
                {"name": "a", "function": {"cel": "1"}, "sends": ["b"]},
                {"name": "b", "function": {"cel": "2"}},
                {"name": "c", "function": {"cel": "3"}},
            ],
            "edges": [{"from": "a", "to": "b"}, {"from": "a", "to": "c"}, {"from": "b", "to": "c"}],
            "outputs": [{"vertex": "b"}, {"vertex": "c"}],
        });
        let base: GraphSpec = serde_json::from_value(spec).unwrap();
        let removes = mutations(json!([{"removeVertex": {"name": "b"}}]));
        let left = effective(&base, [("one", &removes[..])]);
        let whole = validate(&left.spec).unwrap();
        assert_eq!(whole.revision(), left.folded[0].revision);
        assert_eq!((left.spec.entry.len(), left.spec.edges.len(), left.spec.outputs.len()), (1, 1, 1));
        let again = mutations(json!([{"addVertex": {"name": "b", "function": {"cel": "2"}}}]));
        let back = effective(&base, [("one", &removes[..]), ("two", &again[..])]);
        assert_eq!(validate(&back.spec).unwrap().revision(), validate(&base).unwrap().revision());
    }
}
