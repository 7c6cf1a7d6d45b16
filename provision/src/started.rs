//! A run that has a log, and what its first record says that it needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use superstep_engine::RunStarted;
use superstep_graph::{GraphSpec, InWorkerModels};
use superstep_runtime::Programs;
use superstep_store::{Results, RunName};

use crate::error::ProvisionError;
use crate::models::{Downloads, ModelPlan};
use crate::programs::programs;
use crate::tools;

/// The models that the log of `run` names.
///
/// # Errors
/// They have a form that this version does not know.
pub fn plan_of(run: &RunName, started: &RunStarted) -> Result<ModelPlan, ProvisionError> {
    serde_json::from_value(started.attachment.value().clone())
        .map_err(|source| ProvisionError::Attachment { run: run.clone(), source })
}

/// Programs that do nothing, for looking at a run.
///
/// # Errors
/// As [`plan_of`].
pub fn not_loaded(run: &RunName, started: &RunStarted) -> Result<Arc<Programs>, ProvisionError> {
    let plan = plan_of(run, started)?;
    let tools = plan.tools_not_loaded(graphs(started));
    Ok(Arc::new(Programs::new(plan.not_loaded()).with_tools(tools)))
}

/// The programs of `run`, for a process that goes on with it; they keep results of vertices in `results`. As with
/// [`RunPlan::provide`](crate::RunPlan::provide), tools may need the runtime that this is called on.
///
/// # Errors
/// As [`plan_of`], or a tool or a model cannot be used.
pub async fn programs_of(
    run: &RunName,
    started: &RunStarted,
    results: Results,
    downloads: Arc<dyn Downloads>,
) -> Result<Programs, ProvisionError> {
    let plan = plan_of(run, started)?;
    let tools = tools::load(graphs(started)).await?;
    Ok(programs((&plan, &BTreeSet::new()), graphs(started), tools, results, downloads).await?)
}

/// The same for a worker, which has some of the vertices of `run`: models that are placed `InWorker` are loaded when they
/// are needed.
///
/// # Errors
/// As [`programs_of`], but for models that are not loaded yet.
pub async fn worker_programs_of(
    run: &RunName,
    started: &RunStarted,
    results: Results,
    downloads: Arc<dyn Downloads>,
) -> Result<Programs, ProvisionError> {
    let plan = plan_of(run, started)?;
    let tools = tools::load(graphs(started)).await?;
    let in_worker = InWorkerModels::of(graphs(started));
    Ok(programs((&plan, in_worker.servers()), graphs(started), tools, results, downloads).await?)
}

fn graphs(started: &RunStarted) -> impl Iterator<Item = &GraphSpec> {
    started.graphs.values().map(Arc::as_ref)
}

#[cfg(test)]
mod tests;
