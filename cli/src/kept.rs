//! Kept results: where they are, and what decides that they are taken again.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};
use superstep_graph::GraphSpec;
use superstep_runtime::{ResultCache, RunError};
use superstep_store::{Results, Swept};

use crate::args::runs::Store as StoreArgs;
use crate::exit::CommandError;
use crate::models::ModelPlan;

/// The cache of a run of `graphs`: in memory without a store.
///
/// # Errors
/// Nobody says where the store is.
pub(crate) fn cache<'a>(
    store: Option<&StoreArgs>,
    plan: &ModelPlan,
    graphs: impl Iterator<Item = &'a GraphSpec>,
) -> Result<ResultCache, CommandError> {
    let results = store.map_or_else(|| Ok(Results::memory()), results)?;
    Ok(ResultCache::new(results, meanings(plan, graphs)))
}

/// Removes the results that nobody wants any more.
///
/// # Errors
/// Nobody says where the store is, or the disk refuses.
pub(crate) fn sweep(store: &StoreArgs, now: SystemTime) -> Result<Swept, CommandError> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(results(store)?.sweep(now).map_err(RunError::from)?)
}

fn results(store: &StoreArgs) -> Result<Results, CommandError> {
    let folder = store.folder(&|name| std::env::var(name).ok()).ok_or(CommandError::NoStore)?;
    Ok(Results::folder(&folder))
}

/// What the names of models and tools stand for.
fn meanings<'a>(plan: &ModelPlan, graphs: impl Iterator<Item = &'a GraphSpec>) -> BTreeMap<String, Value> {
    let models = plan.meanings().map(|(name, meaning)| (format!("model {name}"), meaning));
    let tools =
        graphs.flat_map(|graph| &graph.tools).map(|tool| (format!("tool {}", tool.name), json!(tool)));
    models.chain(tools).collect()
}
