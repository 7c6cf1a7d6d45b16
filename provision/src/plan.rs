//! A new run of a graph, and what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use superstep_api::ResourceSet;
use superstep_engine::Payload;
use superstep_graph::{InWorkerModels, ValidatedGraph};
use superstep_runtime::Programs;
use superstep_store::Results;

use crate::error::ProvisionError;
use crate::models::{Downloads, ModelError, ModelPlan};
use crate::programs::programs;
use crate::reachable::reachable;
use crate::tools;

/// A new run of a graph: the graphs that it can open, and the models and tools that they name. Nothing is loaded.
#[derive(Clone, Debug)]
pub struct RunPlan {
    root: String,
    graphs: BTreeMap<String, ValidatedGraph>,
    models: ModelPlan,
    /// Servers whose models are loaded when they are needed.
    later: BTreeSet<String>,
}

/// What a run was given.
#[derive(Debug)]
pub struct Provided {
    /// Its programs, ready to run.
    pub programs: Programs,
    /// What its log keeps of them, from which another process has [`programs_of`](crate::programs_of) it.
    pub attachment: Payload,
}

impl RunPlan {
    /// A run of the graph `root`, which is one of `resources`. `parameters` fit it, as
    /// [`check_parameters`](superstep_runtime::check_parameters) says; null gives none.
    ///
    /// # Errors
    /// Two graphs of the run use one name for two models.
    pub fn of(resources: &ResourceSet, root: &str, parameters: &Value) -> Result<Self, ModelError> {
        let graph = |name: String| {
            let graph = resources.graphs.get(&name)?.content.graph.clone();
            Some((name, graph))
        };
        let mut graphs: BTreeMap<_, _> = reachable(resources, root).into_iter().filter_map(graph).collect();
        // A graph that opens itself has the parameters that each opening gives.
        if let Some(graph) = graphs.get_mut(root) {
            *graph = graph.with_parameters(parameters);
        }
        let models = ModelPlan::of(resources, graphs.values().map(ValidatedGraph::spec))?;
        Ok(Self { root: root.to_owned(), graphs, models, later: BTreeSet::new() })
    }

    /// The same for a worker, which has some of the vertices: models that are placed `InWorker` are loaded when they are
    /// needed.
    #[must_use]
    pub fn for_a_worker(self) -> Self {
        let later = InWorkerModels::of(self.graphs.values().map(ValidatedGraph::spec)).servers().clone();
        Self { later, ..self }
    }

    /// The name of the run's own graph.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Its own graph, with its parameters, and those that it can open as sub-graphs.
    pub fn graphs(&self) -> &BTreeMap<String, ValidatedGraph> {
        &self.graphs
    }

    /// Makes the tools, fetches and loads the models, and puts the programs together, which keep results of vertices
    /// in `results`. Tools that hold a connection need the runtime that this is called on as long as they live.
    ///
    /// # Errors
    /// A tool or a model cannot be used.
    pub async fn provide(
        &self,
        results: Results,
        downloads: Arc<dyn Downloads>,
    ) -> Result<Provided, ProvisionError> {
        let specs = || self.graphs.values().map(ValidatedGraph::spec);
        let tools = tools::load(specs()).await?;
        let mut models = self.models.clone();
        models.keep_signatures(specs(), &tools);
        let attachment = serde_json::to_value(&models).expect("names of models are texts");
        let programs = programs((&models, &self.later), specs(), tools, results, downloads).await?;
        Ok(Provided { programs, attachment: attachment.into() })
    }
}
