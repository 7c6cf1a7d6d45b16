//! Programs of the vertices of a run, prepared once per revision.

use std::collections::HashMap;
use std::sync::Arc;

use superstep_engine::{Coordinator, Job};
use superstep_graph::{Port, Topology, ValidatedGraph, VertexIx, VertexSpec};

use super::RunError;
use crate::program::Program;
use crate::programs::{PrepareError, Programs};

/// What an activation of a vertex needs.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) program: Arc<dyn Program>,
    pub(super) ports: Arc<[Port]>,
    /// Keeps the address of the document from being used for another one.
    spec: Arc<VertexSpec>,
}

/// Prepared vertices by the address of their document: a revision has documents of its own.
pub(super) struct PreparedVertices {
    programs: Arc<Programs>,
    by_address: HashMap<usize, Prepared>,
}

impl PreparedVertices {
    pub(super) fn new(programs: Arc<Programs>) -> Self {
        Self { programs, by_address: HashMap::new() }
    }

    /// Prepares every vertex of a graph, so that a run begins only if all of them can run.
    pub(super) fn prepare(&mut self, name: &str, graph: &ValidatedGraph) -> Result<(), RunError> {
        let topology = graph.topology();
        for (position, vertex) in (0u32..).zip(topology.vertices()) {
            match self.add(topology, VertexIx(position)) {
                Ok(()) | Err(PrepareError::Frame { .. }) => {}
                Err(source) => {
                    let source = Box::new(source);
                    return Err(RunError::Program {
                        graph: name.to_owned(),
                        vertex: vertex.name.clone(),
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, topology: &Topology, at: VertexIx) -> Result<(), PrepareError> {
        let spec = Arc::clone(&topology.vertex(at).spec);
        let program = self.programs.for_vertex(&spec)?;
        let mut ports: Vec<Port> = topology.out(at).map(|(_, edge)| edge.port.clone()).collect();
        ports.dedup();
        self.by_address.insert(Arc::as_ptr(&spec) as usize, Prepared { program, ports: ports.into(), spec });
        Ok(())
    }

    /// What an attempt needs. Vertices that mutations brought are prepared here.
    pub(super) fn get(&mut self, job: &Job, coordinator: &Coordinator) -> Result<&Prepared, PrepareError> {
        let address = Arc::as_ptr(&job.vertex) as usize;
        if !self.by_address.contains_key(&address) {
            self.add_late(job, coordinator)?;
        }
        Ok(&self.by_address[&address])
    }

    fn add_late(&mut self, job: &Job, coordinator: &Coordinator) -> Result<(), PrepareError> {
        let graph = coordinator.graph(job.activation.frame);
        if let Some(topology) = graph.map(ValidatedGraph::topology)
            && let Some(at) = topology.find(&job.activation.vertex)
            && Arc::ptr_eq(&topology.vertex(at).spec, &job.vertex)
        {
            return self.add(topology, at);
        }
        // The vertex has changed since the activation started: it runs the program it started with.
        let program = self.programs.for_vertex(&job.vertex)?;
        let prepared = Prepared { program, ports: Arc::default(), spec: Arc::clone(&job.vertex) };
        self.by_address.insert(Arc::as_ptr(&job.vertex) as usize, prepared);
        Ok(())
    }

    /// Forgets the documents that only this map still holds.
    pub(super) fn forget_unused(&mut self) {
        self.by_address.retain(|_, prepared| Arc::strong_count(&prepared.spec) > 1);
    }
}
