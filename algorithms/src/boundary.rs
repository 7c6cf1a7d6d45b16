//! What stands between two supersteps.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// All that an execution needs to go on from between two supersteps: values, who is awake, and the messages on
/// their way. It is the same whatever the number of partitions, and any number can go on from it.
///
/// It holds nothing of the graph or of the program's parameters: those have to be the same when it is resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boundary<V, M, A> {
    /// The superstep to come.
    pub superstep: u64,
    /// By vertex.
    pub values: Vec<V>,
    /// The vertices that did not vote to halt, ascending; none of the list stands for all of them.
    pub awake: Option<Vec<u32>>,
    /// Messages and whom they go to, or, of a [`Broadcast`](crate::Broadcast), whom they come from; ascending.
    pub pending: Vec<(u32, M)>,
    /// What the vertices folded together in the superstep before.
    pub aggregate: A,
}

/// Why a boundary is not one of this graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BoundaryError {
    /// It has values of another number of vertices.
    #[error("the boundary holds {values} values, and the graph has {vertices} vertices")]
    OtherGraph {
        /// Values of the boundary.
        values: usize,
        /// Vertices of the graph.
        vertices: usize,
    },
    /// It names a vertex that the graph does not have.
    #[error("the boundary names the vertex {vertex}, and the graph has {vertices} vertices")]
    NoSuchVertex {
        /// The vertex.
        vertex: u32,
        /// Vertices of the graph.
        vertices: usize,
    },
}

impl<V, M, A> Boundary<V, M, A> {
    pub(crate) fn check(&self, vertices: usize) -> Result<(), BoundaryError> {
        if self.values.len() != vertices {
            return Err(BoundaryError::OtherGraph { values: self.values.len(), vertices });
        }
        let awake = self.awake.iter().flatten().copied();
        let mut named = awake.chain(self.pending.iter().map(|(vertex, _)| *vertex));
        match named.find(|vertex| *vertex as usize >= vertices) {
            Some(vertex) => Err(BoundaryError::NoSuchVertex { vertex, vertices }),
            None => Ok(()),
        }
    }
}
