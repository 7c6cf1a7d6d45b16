//! What runs need, from documents and from this machine.

use std::sync::Arc;
use std::time::SystemTime;

use futures::future::{BoxFuture, FutureExt as _};
use serde_json::Value;
use superstep_engine::{Payload, Record, RunStarted};
use superstep_graph::Problem;
use superstep_proto::v1;
use superstep_provision::{Downloads, Quiet, RunPlan, not_loaded, read_documents, worker_programs_of};
use superstep_runtime::{NewRun, Programs, carried, check_input, check_parameters, read_run};
use superstep_store::{Results, RunName, Store};

use super::{Provisions, ProvisionsError};

/// Loads what runs need in this process.
#[derive(Clone)]
pub struct Loader {
    store: Store<Record>,
    results: Results,
    downloads: Arc<dyn Downloads>,
}

/// A request that makes no run.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
    #[error("{what} is no JSON")]
    Json { what: &'static str, source: serde_json::Error },
    #[error("run \"{run}\" is of graph \"{other}\", not of \"{graph}\"")]
    OtherGraph { run: RunName, other: String, graph: String },
}

impl Loader {
    /// What runs of `store` need. Results that vertices keep for a while are lost with the process.
    #[must_use]
    pub fn new(store: Store<Record>) -> Self {
        Self { store, results: Results::memory(), downloads: Arc::new(Quiet) }
    }

    async fn plan(&self, name: RunName, request: v1::SubmitRequest) -> Result<NewRun, ProvisionsError> {
        let resources = read_documents(&request.documents)
            .map_err(|mistakes| Unfit::Mistakes(mistakes.iter().map(ToString::to_string).collect()))?;
        let wanted = Some(request.graph.as_str()).filter(|graph| !graph.is_empty());
        let chosen = resources.graph(wanted)?;
        let document = &chosen.content.document;
        let root = document.metadata.name.clone();
        let parameters = json(&request.parameters, "the parameters")?;
        let input = json(&request.input, "the input")?;
        let problems = check_parameters(&document.spec.graph, &parameters);
        fits(problems.into_iter().chain(check_input(&document.spec.graph, &input)))?;
        let plan = RunPlan::of(&resources, &root, &parameters)?.for_a_worker();
        let carried = match plan.graphs().get(&root) {
            Some(_) if !request.continue_from.is_empty() => {
                let from: RunName = request.continue_from.parse()?;
                Some(self.carried(from, root.clone()).await?)
            }
            Some(_) | None => None,
        };
        let provided = plan.provide(self.results.clone(), Arc::clone(&self.downloads)).await?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(NewRun {
            name,
            root,
            graphs: plan.graphs().clone(),
            input: Payload::from(input),
            attachment: provided.attachment,
            started_at: since.map_or(0, |since| since.as_secs()),
            carried,
        })
    }

    /// What a run has left for one that continues it.
    async fn carried(
        &self,
        from: RunName,
        graph: String,
    ) -> Result<superstep_engine::Carried, ProvisionsError> {
        let store = self.store.clone();
        let carried = tokio::task::spawn_blocking(move || {
            let (started, records) = read_run(&store, &from)?;
            if started.root != graph {
                let other = started.root.clone();
                return Err(Unfit::OtherGraph { run: from, other, graph }.into());
            }
            let programs = not_loaded(&from, &started)?;
            Ok::<_, ProvisionsError>(carried(&from, &records, &programs)?)
        });
        carried.await?
    }
}

impl Provisions for Loader {
    fn programs<'a>(
        &'a self,
        run: &'a RunName,
        started: &'a RunStarted,
    ) -> BoxFuture<'a, Result<Arc<Programs>, ProvisionsError>> {
        async move {
            let programs =
                worker_programs_of(run, started, self.results.clone(), Arc::clone(&self.downloads)).await?;
            Ok(Arc::new(programs))
        }
        .boxed()
    }

    fn not_loaded(&self, run: &RunName, started: &RunStarted) -> Result<Arc<Programs>, ProvisionsError> {
        Ok(not_loaded(run, started)?)
    }

    fn new_run(
        &self,
        name: RunName,
        request: v1::SubmitRequest,
    ) -> BoxFuture<'_, Result<NewRun, ProvisionsError>> {
        self.plan(name, request).boxed()
    }
}

fn json(bytes: &[u8], what: &'static str) -> Result<Value, Unfit> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|source| Unfit::Json { what, source })
}

fn fits(problems: impl Iterator<Item = Problem>) -> Result<(), Unfit> {
    let problems: Vec<String> = problems.map(|problem| problem.to_string()).collect();
    if problems.is_empty() { Ok(()) } else { Err(Unfit::Mistakes(problems)) }
}
