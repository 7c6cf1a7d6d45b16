//! Graphs of vertices that do nothing, and what an engine costs around them.

use super::{LANGGRAPH, MAF, NEOGRAPH, PYDANTIC, Row};
use crate::bench::series::Unit;

/// Durable rows of `maf` are files that it does not sync; pydantic-graph keeps nothing.
pub(super) const ROWS: &[Row] = &[
    Row::new(
        "memory",
        "no-op chain of 1,000, in memory",
        Unit::Superstep,
        "chain --n 1000 --runs 20",
        &[
            (NEOGRAPH, "chain --n 1000 --runs 20"),
            (PYDANTIC, "chain --n 1000 --runs 5"),
            (MAF, "chain --n 1000"),
            (LANGGRAPH, "chain --n 1000"),
        ],
    ),
    Row::new(
        "memory",
        "fan-out to 1,000 and join, in memory",
        Unit::Activation,
        "fanout --n 1000 --runs 20",
        &[
            (NEOGRAPH, "fanout --n 1000 --runs 5"),
            (PYDANTIC, "fanout --n 1000 --runs 5"),
            (MAF, "fanout --n 1000"),
            (LANGGRAPH, "fanout --n 1000"),
        ],
    ),
    Row::new(
        "memory",
        "loop of 10,000 with 1 KB, in memory",
        Unit::Superstep,
        "loop --n 10000 --runs 3",
        &[
            (NEOGRAPH, "loop --n 10000"),
            (PYDANTIC, "loop --n 10000"),
            (MAF, "loop --n 10000"),
            (LANGGRAPH, "loop --n 10000"),
        ],
    ),
    Row::new(
        "memory",
        "100 runs of a chain of 10 at once, in memory",
        Unit::Superstep,
        "concurrent --n 10 --runs 10",
        &[
            (NEOGRAPH, "concurrent --n 10 --runs 5"),
            (PYDANTIC, "concurrent --n 10 --runs 5"),
            (MAF, "concurrent --n 10"),
            (LANGGRAPH, "concurrent --n 10"),
        ],
    ),
    Row::new(
        "memory",
        "1,000 supersteps of a loop of 2 in a graph of 10, in memory",
        Unit::Superstep,
        "loop --n 1000 --runs 20 --graph-size 10",
        &[],
    ),
    Row::new(
        "memory",
        "the same in a graph of 10,000",
        Unit::Superstep,
        "loop --n 1000 --runs 20 --graph-size 10000",
        &[],
    ),
    Row::new(
        "durable",
        "no-op chain of 1,000, durable",
        Unit::Superstep,
        "chain --n 1000 --store file",
        &[
            (NEOGRAPH, "chain --n 1000 --store sqlite"),
            (MAF, "chain --n 1000 --store files"),
            (LANGGRAPH, "chain --n 1000 --store sqlite"),
        ],
    ),
    Row::new(
        "durable",
        "fan-out to 1,000 and join, durable",
        Unit::Activation,
        "fanout --n 1000 --store file --runs 5",
        &[
            (NEOGRAPH, "fanout --n 1000 --store sqlite --runs 5"),
            (MAF, "fanout --n 1000 --store files"),
            (LANGGRAPH, "fanout --n 1000 --store sqlite"),
        ],
    ),
    Row::new(
        "durable",
        "loop of 10,000 with 1 KB, durable",
        Unit::Superstep,
        "loop --n 10000 --store file",
        &[
            (NEOGRAPH, "loop --n 10000 --store sqlite"),
            (MAF, "loop --n 10000 --store files"),
            (LANGGRAPH, "loop --n 10000 --store sqlite"),
        ],
    ),
    Row::new(
        "durable",
        "100 supersteps of the same loop, durable",
        Unit::Superstep,
        "loop --n 100 --store file --runs 10",
        &[],
    ),
    Row::new(
        "durable",
        "100 runs of a chain of 10 at once, durable",
        Unit::Superstep,
        "concurrent --n 10 --store file --runs 3",
        &[
            (NEOGRAPH, "concurrent --n 10 --store sqlite"),
            (MAF, "concurrent --n 10 --store files"),
            (LANGGRAPH, "concurrent --n 10 --store sqlite"),
        ],
    ),
    Row::new(
        "branches",
        "1 s beside 0.4 s and 0.4 s, then a join",
        Unit::Path,
        "branches --n 1000",
        &[(LANGGRAPH, "branches --n 1000")],
    ),
    Row::new(
        "flood",
        "a superstep of 100,000 vertices and 1,000,000 messages",
        Unit::Message,
        "flood --n 100000",
        &[],
    ),
];
