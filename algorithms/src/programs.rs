//! Programs that are always needed.

mod components;
mod labels;
mod pagerank;
mod paths;
mod triangles;

pub use components::Components;
pub use labels::LabelPropagation;
pub use pagerank::{PageRank, Rank};
pub use paths::{Hops, ShortestPaths};
pub use triangles::{Corner, Triangles};
