//! Models, tools and kept results put together.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;

use superstep_graph::GraphSpec;
use superstep_runtime::{Programs, ResultCache, Tools};
use superstep_store::Results;

use crate::models::{Downloads, ModelError, ModelPlan};

/// The programs of a run of `graphs`, with the models of `plan` loaded, but for those of the servers `later`, which are
/// loaded when they are needed.
///
/// # Errors
/// A model cannot be used.
pub(crate) async fn programs<'a>(
    (plan, later): (&ModelPlan, &BTreeSet<String>),
    graphs: impl Iterator<Item = &'a GraphSpec>,
    tools: Tools,
    results: Results,
    downloads: Arc<dyn Downloads>,
) -> Result<Programs, ModelError> {
    let cache = ResultCache::new(results, plan.meanings(graphs));
    let (plan, later) = (plan.clone(), later.clone());
    // Weights are read for seconds, and fetched for minutes: no other task should wait for that.
    let loading = tokio::task::spawn_blocking(move || plan.load(&later, &downloads));
    let models = loading.await.unwrap_or_else(|ended| resume_unwind(ended.into_panic()))?;
    Ok(Programs::new(models).with_tools(tools).with_cache(cache))
}
