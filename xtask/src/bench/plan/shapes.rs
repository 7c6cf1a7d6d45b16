//! The shapes of LangGraph's own benchmark, under its names.

use super::{LANGGRAPH, Row};
use crate::bench::series::Unit;

/// LangGraph is measured as its own benchmark does it, over its asynchronous stream with durability `exit`, and ours
/// over an observer of the run. What stands for what:
///
/// * **A state** is what the vertices hold as their values and send each other as messages. Ours has one form for
///   `wide_state` (theirs a dataclass) and `wide_dict` (theirs a dict), measured for each. In `pydantic_state` theirs
///   validates all fifteen fields before each activation, and ours, by JSON schemas, all that the activation reads.
///   The subjects of `fanout_to_subgraph` are given to theirs as lists, and to ours as JSON text, which both put into a
///   text of their own.
/// * **`_checkpoint`** is a store in memory: with durability `exit` theirs keeps one checkpoint of a run, at its end,
///   and ours the whole log, every superstep. The rows without it keep nothing on either side.
/// * **`_compilation`** is `compile()` of a graph of theirs that was built. Ours checks and validates a document that
///   was read, prepares the programs and begins the log: after it the first superstep can start.
/// * **`_first_event_latency`** is from a compiled graph to the first event of its stream. Ours makes the run in that
///   time, to when an observer is told that the first activation is in its commit. What ends the run is counted on
///   neither side.
///
/// Their variants over the synchronous stream and the rows about what their serializer allows have no like in ours.
pub(super) const ROWS: &[Row] = &[
    shape("sequential_10", "chain --n 10 --runs 100", &[(LANGGRAPH, "sequential --n 10 --runs 20")]),
    shape("sequential_1000", "chain --n 1000 --runs 20", &[(LANGGRAPH, "sequential --n 1000 --runs 2")]),
    shape(
        "fanout_to_subgraph_10x",
        "subgraphs --n 10 --runs 20",
        &[(LANGGRAPH, "subgraphs --n 10 --runs 5")],
    ),
    shape(
        "fanout_to_subgraph_10x_checkpoint",
        "subgraphs --n 10 --runs 20 --store kept",
        &[(LANGGRAPH, "subgraphs --n 10 --runs 5 --store kept")],
    ),
    shape(
        "fanout_to_subgraph_100x",
        "subgraphs --n 100 --runs 10",
        &[(LANGGRAPH, "subgraphs --n 100 --runs 2")],
    ),
    shape(
        "fanout_to_subgraph_100x_checkpoint",
        "subgraphs --n 100 --runs 10 --store kept",
        &[(LANGGRAPH, "subgraphs --n 100 --runs 2 --store kept")],
    ),
    shape("react_agent_10x", "react --n 10 --runs 20", &[(LANGGRAPH, "react --n 10 --runs 5")]),
    shape(
        "react_agent_10x_checkpoint",
        "react --n 10 --runs 20 --store kept",
        &[(LANGGRAPH, "react --n 10 --runs 5 --store kept")],
    ),
    shape("react_agent_100x", "react --n 100 --runs 5", &[(LANGGRAPH, "react --n 100 --runs 2")]),
    shape(
        "react_agent_100x_checkpoint",
        "react --n 100 --runs 5 --store kept",
        &[(LANGGRAPH, "react --n 100 --runs 2 --store kept")],
    ),
    shape("wide_state_25x300", "wide --n 300 --runs 20", &[(LANGGRAPH, "wide-state --n 300 --runs 5")]),
    shape(
        "wide_state_25x300_checkpoint",
        "wide --n 300 --runs 20 --store kept",
        &[(LANGGRAPH, "wide-state --n 300 --runs 5 --store kept")],
    ),
    shape("wide_state_15x600", "wide --n 600 --runs 20", &[(LANGGRAPH, "wide-state --n 600 --runs 5")]),
    shape(
        "wide_state_15x600_checkpoint",
        "wide --n 600 --runs 20 --store kept",
        &[(LANGGRAPH, "wide-state --n 600 --runs 5 --store kept")],
    ),
    shape("wide_state_9x1200", "wide --n 1200 --runs 20", &[(LANGGRAPH, "wide-state --n 1200 --runs 5")]),
    shape(
        "wide_state_9x1200_checkpoint",
        "wide --n 1200 --runs 20 --store kept",
        &[(LANGGRAPH, "wide-state --n 1200 --runs 5 --store kept")],
    ),
    shape("wide_dict_25x300", "wide --n 300 --runs 20", &[(LANGGRAPH, "wide-dict --n 300 --runs 5")]),
    shape(
        "wide_dict_25x300_checkpoint",
        "wide --n 300 --runs 20 --store kept",
        &[(LANGGRAPH, "wide-dict --n 300 --runs 5 --store kept")],
    ),
    shape("wide_dict_15x600", "wide --n 600 --runs 20", &[(LANGGRAPH, "wide-dict --n 600 --runs 5")]),
    shape(
        "wide_dict_15x600_checkpoint",
        "wide --n 600 --runs 20 --store kept",
        &[(LANGGRAPH, "wide-dict --n 600 --runs 5 --store kept")],
    ),
    shape("wide_dict_9x1200", "wide --n 1200 --runs 20", &[(LANGGRAPH, "wide-dict --n 1200 --runs 5")]),
    shape(
        "wide_dict_9x1200_checkpoint",
        "wide --n 1200 --runs 20 --store kept",
        &[(LANGGRAPH, "wide-dict --n 1200 --runs 5 --store kept")],
    ),
    shape(
        "pydantic_state_25x300",
        "wide-checked --n 300 --runs 20",
        &[(LANGGRAPH, "pydantic-state --n 300 --runs 5")],
    ),
    shape(
        "pydantic_state_25x300_checkpoint",
        "wide-checked --n 300 --runs 20 --store kept",
        &[(LANGGRAPH, "pydantic-state --n 300 --runs 5 --store kept")],
    ),
    shape(
        "pydantic_state_15x600",
        "wide-checked --n 600 --runs 20",
        &[(LANGGRAPH, "pydantic-state --n 600 --runs 5")],
    ),
    shape(
        "pydantic_state_15x600_checkpoint",
        "wide-checked --n 600 --runs 20 --store kept",
        &[(LANGGRAPH, "pydantic-state --n 600 --runs 5 --store kept")],
    ),
    shape(
        "pydantic_state_9x1200",
        "wide-checked --n 1200 --runs 20",
        &[(LANGGRAPH, "pydantic-state --n 1200 --runs 5")],
    ),
    shape(
        "pydantic_state_9x1200_checkpoint",
        "wide-checked --n 1200 --runs 20 --store kept",
        &[(LANGGRAPH, "pydantic-state --n 1200 --runs 5 --store kept")],
    ),
    shape(
        "sequential_1000_first_event_latency",
        "chain --n 1000 --runs 20 --measure first-event",
        &[(LANGGRAPH, "sequential --n 1000 --runs 3 --measure first-event")],
    ),
    shape(
        "pydantic_state_25x300_first_event_latency",
        "wide-checked --n 300 --runs 20 --measure first-event",
        &[(LANGGRAPH, "pydantic-state --n 300 --runs 10 --measure first-event")],
    ),
    shape(
        "sequential_1000_compilation",
        "chain --n 1000 --runs 20 --measure compilation",
        &[(LANGGRAPH, "sequential --n 1000 --runs 3 --measure compilation")],
    ),
    shape(
        "pydantic_state_25x300_compilation",
        "wide-checked --n 300 --runs 20 --measure compilation",
        &[(LANGGRAPH, "pydantic-state --n 300 --runs 10 --measure compilation")],
    ),
    shape(
        "wide_state_15x600_compilation",
        "wide --n 600 --runs 20 --measure compilation",
        &[(LANGGRAPH, "wide-state --n 600 --runs 10 --measure compilation")],
    ),
];

const fn shape(
    name: &'static str,
    ours: &'static str,
    peers: &'static [(&'static str, &'static str)],
) -> Row {
    Row::new("shapes", name, Unit::Run, ours, peers)
}
