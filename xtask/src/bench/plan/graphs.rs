//! Algorithms over graphs that are data.

use super::{GRAPHBLAS, GRAPHX, NETWORKIT, Row};
use crate::bench::series::Unit;

/// All are of one graph, which ours makes, and peers whose answer differs from ours fail.
pub(super) const ROWS: &[Row] = &[
    Row::new(
        "graphs",
        "PageRank, 20 iterations, RMAT of scale 18, one message for all neighbours",
        Unit::Edge,
        "pagerank --delivery broadcast",
        &[(NETWORKIT, "pagerank"), (GRAPHBLAS, "pagerank")],
    ),
    Row::new(
        "graphs",
        "the same, messages folded at the sender",
        Unit::Edge,
        "pagerank --delivery combined",
        &[],
    ),
    Row::new("graphs", "the same, each message delivered", Unit::Edge, "pagerank --delivery each", &[]),
    // Of scale 18 it takes longer than a measurement may.
    Row::new(
        "graphs",
        "PageRank, 20 iterations, RMAT of scale 16",
        Unit::Edge,
        "pagerank --scale 16",
        &[(GRAPHX, "pagerank --scale 16")],
    ),
    Row::new(
        "graphs",
        "connected components, RMAT of scale 18",
        Unit::Edge,
        "components",
        &[(NETWORKIT, "components")],
    ),
    Row::new(
        "graphs",
        "breadth-first search, RMAT of scale 18",
        Unit::Edge,
        "hops",
        &[(NETWORKIT, "hops"), (GRAPHBLAS, "hops")],
    ),
];
