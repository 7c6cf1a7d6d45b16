//! The programs of a graph's vertices, prepared once for all runs that share the graph.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use superstep_graph::{Port, Topology, VertexIx, VertexName, VertexSpec};

use super::{PrepareError, Programs};
use crate::program::Program;

/// What an activation of a vertex needs.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) program: Arc<dyn Program>,
    pub(crate) ports: Arc<[Port]>,
}

/// Prepared vertices by the address of their document. It says something only while the documents
/// are kept alive.
pub(crate) type ByAddress<T> = HashMap<usize, T, BuildHasherDefault<AddressHasher>>;

/// The prepared vertices of one revision of a graph, sub-graphs apart.
#[derive(Default)]
pub(crate) struct PreparedGraph(ByAddress<Prepared>);

/// The graphs that are prepared, as long as somebody has them.
#[derive(Default)]
pub(super) struct PreparedGraphs(Mutex<Vec<(Weak<Topology>, Arc<PreparedGraph>)>>);

impl PreparedGraphs {
    fn find(&self, topology: &Arc<Topology>) -> Option<Arc<PreparedGraph>> {
        let mut graphs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        graphs.retain(|(known, _)| known.strong_count() > 0);
        let found = graphs.iter().find(|(known, _)| known.as_ptr() == Arc::as_ptr(topology));
        found.map(|(_, prepared)| Arc::clone(prepared))
    }

    fn keep(&self, topology: &Arc<Topology>, prepared: &Arc<PreparedGraph>) {
        let mut graphs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        graphs.push((Arc::downgrade(topology), Arc::clone(prepared)));
    }
}

impl Programs {
    /// Every vertex of a graph, prepared: a run begins only if all of them can run.
    ///
    /// # Errors
    /// The first vertex that cannot, and why.
    pub(crate) fn for_graph(
        &self,
        topology: &Arc<Topology>,
    ) -> Result<Arc<PreparedGraph>, (VertexName, PrepareError)> {
        if let Some(prepared) = self.graphs.find(topology) {
            return Ok(prepared);
        }
        let mut graph = PreparedGraph::default();
        // Nearly every vertex has the default port alone.
        let usual: Arc<[Port]> = Arc::from([Port::default()]);
        for (position, vertex) in (0u32..).zip(topology.vertices()) {
            let program = match self.for_vertex(&vertex.spec) {
                Ok(program) => program,
                Err(PrepareError::Frame { .. }) => continue,
                Err(error) => return Err((vertex.name.clone(), error)),
            };
            let ports = ports_of(topology, VertexIx(position));
            let ports = if *ports == *usual { Arc::clone(&usual) } else { ports.into() };
            graph.0.insert(address_of(&vertex.spec), Prepared { program, ports });
        }
        let graph = Arc::new(graph);
        self.graphs.keep(topology, &graph);
        Ok(graph)
    }
}

impl PreparedGraph {
    /// What an activation of the vertex with this document needs; none if the graph has no such vertex.
    pub(crate) fn get(&self, vertex: &Arc<VertexSpec>) -> Option<&Prepared> {
        self.0.get(&address_of(vertex))
    }
}

/// The ports that edges of a vertex listen to.
pub(crate) fn ports_of(topology: &Topology, at: VertexIx) -> Vec<Port> {
    let mut ports: Vec<Port> = topology.out(at).map(|(_, edge)| edge.port.clone()).collect();
    ports.dedup();
    ports
}

pub(crate) fn address_of(vertex: &Arc<VertexSpec>) -> usize {
    Arc::as_ptr(vertex) as usize
}

/// Spreads addresses, which are unique already, over the bits that the map looks at.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = (self.0 ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The map takes the low bits first, and those of a product of aligned numbers are equal.
        self.0.rotate_right(32)
    }
}

#[cfg(test)]
mod tests {
    use superstep_graph::{GraphSpec, validate};

    use super::*;
    use serde_json::json;

    fn graph() -> superstep_graph::ValidatedGraph {
        let spec: GraphSpec = serde_json::from_value(json!({
            "entry": ["a"],
            "vertices": [{"name": "a", "custom": {"name": "p"}}, {"name": "b", "custom": {"name": "p"}}],
            "edges": [{"from": "a", "to": "b"}, {"from": "a", "to": "a", "port": "again"}],
        }))
        .unwrap();
        validate(&spec).unwrap()
    }

    #[test]
    fn runs_of_one_graph_share_what_is_prepared_until_a_program_changes() {
        let mut programs = Programs::default();
        let one = graph();
        let again = one.clone();
        let unknown = programs.for_graph(one.topology()).err().unwrap();
        assert!(matches!(unknown.1, PrepareError::UnknownProgram { .. }));
        programs.register_fn("p", |view| Ok(view.input.clone()));
        let first = programs.for_graph(one.topology()).unwrap();
        assert!(Arc::ptr_eq(&first, &programs.for_graph(again.topology()).unwrap()));
        assert!(!Arc::ptr_eq(&first, &programs.for_graph(graph().topology()).unwrap()));
        programs.register_fn("p", |view| Ok(view.value.clone()));
        assert!(!Arc::ptr_eq(&first, &programs.for_graph(again.topology()).unwrap()));
    }

    #[test]
    fn a_vertex_is_found_by_its_document_and_has_the_ports_of_its_edges() {
        let mut programs = Programs::default();
        programs.register_fn("p", |view| Ok(view.input.clone()));
        let graph = graph();
        let prepared = programs.for_graph(graph.topology()).unwrap();
        let ports = |name: &str| {
            let at = graph.topology().find(&name.into()).unwrap();
            prepared.get(&graph.topology().vertex(at).spec).unwrap().ports.to_vec()
        };
        assert_eq!(ports("a"), [Port::from("again"), Port::default()]);
        assert_eq!(ports("b"), []);
        assert!(prepared.get(&Arc::new(VertexSpec::default())).is_none());
    }
}
