//! A graph with the changes that people made to it for its later runs.

use std::sync::Arc;

use kube::ResourceExt as _;
use superstep_api::{AgentGraphObject, AgentGraphPatchObject, PatchPhase};
use superstep_graph::{
    Capabilities, EdgeSpec, GraphSpec, MutationOrder, PriorityClass, ProgramCheck, Request, VertexSpec, fold,
};

/// Programs are checked by the workers, which have what runs them.
struct Unchecked;

impl ProgramCheck for Unchecked {
    fn check_vertex(&self, _: &VertexSpec) -> Result<(), String> {
        Ok(())
    }

    fn check_edge(&self, _: &EdgeSpec) -> Result<(), String> {
        Ok(())
    }
}

/// Those of `patches` that change later runs of a graph, in the order in which they apply.
pub(crate) fn patches_of(
    patches: impl Iterator<Item = Arc<AgentGraphPatchObject>>,
    namespace: &str,
    graph: &str,
) -> Vec<Arc<AgentGraphPatchObject>> {
    let mut own: Vec<_> = patches
        .filter(|patch| {
            patch.spec.run_ref.is_none()
                && patch.spec.graph_ref.name == graph
                && patch.metadata.namespace.as_deref() == Some(namespace)
                && patch.metadata.deletion_timestamp.is_none()
                && is_in_force(patch)
        })
        .collect();
    own.sort_by_cached_key(|patch| {
        let ordinal = patch.status.as_ref().and_then(|status| status.ordinal).unwrap_or(u64::MAX);
        (ordinal, patch.creation_timestamp().map(|at| at.0), patch.name_any())
    });
    own
}

fn is_in_force(patch: &AgentGraphPatchObject) -> bool {
    let phase = patch.status.as_ref().and_then(|status| status.phase);
    match phase {
        Some(PatchPhase::Accepted | PatchPhase::Applied) => true,
        Some(PatchPhase::Pending | PatchPhase::Rejected | PatchPhase::Stale) | None => false,
    }
}

/// The graph after its patches, each of which applies like those of a barrier.
pub(crate) fn effective(graph: &AgentGraphObject, patches: &[Arc<AgentGraphPatchObject>]) -> GraphSpec {
    patches.iter().fold(graph.spec.graph.clone(), |spec, patch| {
        let requests: Vec<Request> = (0_u32..)
            .zip(&patch.spec.mutations)
            .map(|(request, mutation)| Request {
                order: MutationOrder { class: PriorityClass::Person, requester: patch.name_any(), request },
                mutation: mutation.clone(),
                capabilities: Capabilities::unlimited(),
            })
            .collect();
        fold(&spec, &requests, u64::MAX, &Unchecked).spec
    })
}
