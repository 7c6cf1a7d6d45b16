//! Runs that continue others.

use superstep_engine::{Carried, Record};
use superstep_graph::{ValidatedGraph, VertexName};
use superstep_provision::not_loaded;
use superstep_runtime::{RunError, read_run};
use superstep_store::{RunName, Store};

use crate::exit::CommandError;
use crate::log;

/// What a run of `graph`, which is named `root`, takes over from the run that it continues. What has no place in
/// the graph is told on stderr.
///
/// # Errors
/// There is no such run, it has not ended, it is of another graph, or its log is corrupt.
pub(crate) fn carried(
    store: &Store<Record>,
    from: &str,
    root: &str,
    graph: &ValidatedGraph,
) -> Result<Carried, CommandError> {
    let name: RunName = from.parse().map_err(RunError::Store)?;
    let (started, records) = read_run(store, &name)?;
    if started.root != root {
        let (was, is) = (started.root.clone(), root.to_owned());
        return Err(CommandError::OtherGraph { run: name, was, is });
    }
    let programs = not_loaded(&name, &started)?;
    let carried = superstep_runtime::carried(&name, &records, &programs)?;
    let (carried, left) = carried.onto(graph);
    if !left.is_empty() {
        let names: Vec<&str> = left.iter().map(VertexName::as_str).collect();
        let names = names.join(", ");
        log::say(&format!("the graph has no place for what run {name} left of {names}"));
    }
    Ok(carried)
}
