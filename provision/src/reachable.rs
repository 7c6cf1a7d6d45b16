//! Which graphs a run can come to.

use std::collections::BTreeSet;

use superstep_api::ResourceSet;
use superstep_graph::Program;

/// The graphs that a run of `root` can open, itself included.
pub(crate) fn reachable(resources: &ResourceSet, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut work = vec![root.to_owned()];
    while let Some(name) = work.pop() {
        let Some(graph) = resources.graphs.get(&name) else { continue };
        if !found.insert(name) {
            continue;
        }
        let spec = graph.content.graph.spec();
        work.extend(spec.vertices.iter().filter_map(|vertex| match vertex.program() {
            Some(Program::Graph(graph)) => Some(graph.reference.name.clone()),
            Some(_) | None => None,
        }));
        // What a vertex may hand on, a mutation may open.
        work.extend(spec.vertices.iter().flat_map(|vertex| vertex.capabilities.graphs.iter().cloned()));
    }
    found
}
