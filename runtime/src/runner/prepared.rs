//! Programs of the vertices of a run, prepared once per revision.

use std::sync::Arc;

use superstep_engine::{Coordinator, Job};
use superstep_graph::{Port, Topology, ValidatedGraph, VertexSpec};

use super::RunError;
use crate::programs::{ByAddress, PrepareError, Prepared, PreparedGraph, Programs, address_of, ports_of};

/// The prepared vertices of a run: a revision has documents of its own.
pub(super) struct PreparedVertices {
    programs: Arc<Programs>,
    /// The graphs that the run begins with. They are kept, so that no address stands for another document.
    graphs: Vec<(Arc<Topology>, Arc<PreparedGraph>)>,
    /// Vertices that mutations brought, each with its document, which keeps its address.
    late: ByAddress<(Prepared, Arc<VertexSpec>)>,
}

impl PreparedVertices {
    pub(super) fn new(programs: Arc<Programs>) -> Self {
        Self { programs, graphs: Vec::new(), late: ByAddress::default() }
    }

    /// Prepares every vertex of a graph, so that a run begins only if all of them can run.
    pub(super) fn prepare(&mut self, name: &str, graph: &ValidatedGraph) -> Result<(), RunError> {
        let topology = graph.topology();
        let prepared = self.programs.for_graph(topology).map_err(|(vertex, source)| RunError::Program {
            graph: name.to_owned(),
            vertex,
            source: Box::new(source),
        })?;
        self.graphs.push((Arc::clone(topology), prepared));
        Ok(())
    }

    /// What an attempt needs. Vertices that mutations brought are prepared here.
    pub(super) fn get(&mut self, job: &Job, coordinator: &Coordinator) -> Result<&Prepared, PrepareError> {
        let address = address_of(&job.vertex);
        if let Some(prepared) = self.graphs.iter().find_map(|(_, graph)| graph.get(&job.vertex)) {
            return Ok(prepared);
        }
        if !self.late.contains_key(&address) {
            let prepared = self.prepare_late(job, coordinator)?;
            self.late.insert(address, (prepared, Arc::clone(&job.vertex)));
        }
        Ok(&self.late[&address].0)
    }

    fn prepare_late(&self, job: &Job, coordinator: &Coordinator) -> Result<Prepared, PrepareError> {
        let program = self.programs.for_vertex(&job.vertex)?;
        let graph = coordinator.graph(job.activation.frame);
        let ports: Vec<Port> = match graph.map(ValidatedGraph::topology) {
            Some(topology) => match topology.find(&job.activation.vertex) {
                Some(at) if Arc::ptr_eq(&topology.vertex(at).spec, &job.vertex) => ports_of(topology, at),
                // The vertex has changed since the activation started: it runs the program it started with.
                Some(_) | None => Vec::new(),
            },
            None => Vec::new(),
        };
        Ok(Prepared { program, ports: ports.into() })
    }

    /// Forgets the documents that only this map still holds.
    pub(super) fn forget_unused(&mut self) {
        self.late.retain(|_, (_, spec)| Arc::strong_count(spec) > 1);
    }
}
