//! Graph algorithms as typed Pregel programs over a compressed graph.
//!
//! A [`VertexProgram`] says what a vertex does in a superstep: it gets the messages that were sent to it in the
//! superstep before, changes its value, sends messages, and may vote to halt. An [`Execution`] runs it over a
//! [`Graph`] that is cut into partitions, superstep by superstep. What stands between two supersteps is a
//! [`Boundary`]: it can be written down, and an execution resumed from it, on any number of partitions, comes to
//! the same result to the bit.
//!
//! How messages travel is a type of the program ([`Delivery`]): each by itself ([`Each`]), folded at the sender
//! ([`Combined`]), or one for all neighbours ([`Broadcast`]), which receivers fetch where that is cheaper.
//!
//! The partitions of an execution may be in several processes: each has a [`Share`], whose messages for others travel as
//! columns ([`parts`], [`unpack`]), and a [`Barrier`] decides how all go on.
//!
//! Results depend neither on the number of partitions nor on threads. That holds because every fold is of a
//! [`Combine`] type, whose operation is associative and commutative exactly, sums of fractions included
//! ([`Mass`]), and because messages that are not folded arrive in the order of their senders.

mod barrier;
mod boundary;
mod columns;
mod combine;
mod context;
mod cuts;
mod delivery;
mod execution;
mod fixed;
mod graph;
mod partition;
mod program;
mod programs;
mod rmat;
mod share;
mod workers;

pub use barrier::{Barrier, Next, Report};
pub use boundary::{Boundary, BoundaryError};
pub use columns::{ColumnsError, Letters, Stamp, pack, parts, unpack};
pub use combine::{Combine, Mass, Smallest, Sum};
pub use context::Context;
pub use delivery::{Addressed, Broadcast, Combined, Delivery, Each};
pub use execution::{BoundaryOf, Execution, Layout, Outcome};
pub use fixed::Fixed;
pub use graph::{Adjacency, Graph, GraphError, MAX_VERTICES};
pub use program::{Along, VertexProgram};
pub use programs::{Components, Corner, Hops, LabelPropagation, PageRank, Rank, ShortestPaths, Triangles};
pub use rmat::rmat;
pub use share::{Computed, ComputedOf, Share, ShareError, Split, Taken};
