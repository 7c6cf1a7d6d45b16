//! Programs of the vertices of a run, prepared once per revision.

use std::sync::Arc;

use superstep_engine::Job;
use superstep_graph::{Port, Topology, ValidatedGraph, VertexSpec};

use crate::programs::{ByAddress, PrepareError, Prepared, PreparedGraph, Programs, address_of, ports_of};
use crate::runner::RunError;

/// The prepared vertices of a run: a revision has documents of its own.
pub(crate) struct PreparedVertices {
    programs: Arc<Programs>,
    /// The graphs that the run begins with. They are kept, so that no address stands for another document.
    graphs: Vec<(Arc<Topology>, Arc<PreparedGraph>)>,
    /// Vertices that mutations brought, each with its document, which keeps its address.
    late: ByAddress<(Prepared, Arc<VertexSpec>)>,
}

impl PreparedVertices {
    pub(crate) fn new(programs: Arc<Programs>) -> Self {
        Self { programs, graphs: Vec::new(), late: ByAddress::default() }
    }

    /// Prepares every vertex of a graph, so that a run begins only if all of them can run.
    pub(crate) fn prepare(&mut self, name: &str, graph: &ValidatedGraph) -> Result<(), RunError> {
        let topology = graph.topology();
        let prepared = self.programs.for_graph(topology).map_err(|(vertex, source)| RunError::Program {
            graph: name.to_owned(),
            vertex,
            source: Box::new(source),
        })?;
        self.graphs.push((Arc::clone(topology), prepared));
        Ok(())
    }

    /// What an attempt needs, whose frame has the graph `topology`. Vertices that mutations brought are prepared
    /// here.
    pub(crate) fn get(&mut self, job: &Job, topology: Option<&Topology>) -> Result<&Prepared, PrepareError> {
        let address = address_of(&job.vertex);
        if let Some(prepared) = self.graphs.iter().find_map(|(_, graph)| graph.get(&job.vertex)) {
            return Ok(prepared);
        }
        if !self.late.contains_key(&address) {
            let prepared = self.prepare_late(job, topology)?;
            self.late.insert(address, (prepared, Arc::clone(&job.vertex)));
        }
        Ok(&self.late[&address].0)
    }

    fn prepare_late(&self, job: &Job, topology: Option<&Topology>) -> Result<Prepared, PrepareError> {
        let program = self.programs.for_vertex(&job.vertex)?;
        let ports: Vec<Port> = match topology {
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
    pub(crate) fn forget_unused(&mut self) {
        self.late.retain(|_, (_, spec)| Arc::strong_count(spec) > 1);
    }
}
