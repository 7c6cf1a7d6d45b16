//! From `ModelServer` resources and models of providers to models that answer.

mod external;

mod bar;
mod cache;
mod commands;
mod download;
mod fetch_error;
mod hub;
mod served;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_api::{ModelServer, ModelServerSpec, ResourceSet};
use superstep_graph::{GraphSpec, Program, VertexName};
use superstep_runtime::{Model, Models, NotLoaded, Scripted, ScriptedModel, ToolSignature, Tools};

use crate::args::runs::ShowProgress;
use fetch_error::FetchError;
use served::Served;
use sources::{CacheUse, Search};

pub(crate) use commands::models;
pub(crate) use hub::HubFile;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    /// Two graphs of the run use one name for two models.
    #[error("the graphs of the run call both {first:?} and {second:?} model {name:?}: use different names")]
    Ambiguous {
        /// The name.
        name: VertexName,
        /// One `ModelServer`.
        first: String,
        /// The other.
        second: String,
    },
    /// A model cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file cannot be read as a model.
    #[cfg(feature = "inference")]
    #[error(transparent)]
    File(#[from] superstep_runtime::LoadError),
    /// No source of the weights gives a file.
    #[error("ModelServer {server:?} has no file: {tried}")]
    NoFile {
        /// The resource.
        server: String,
        /// What was tried.
        tried: String,
    },
    /// The weights cannot be loaded.
    #[cfg(feature = "inference")]
    #[error("ModelServer {server:?}: {source}")]
    Load {
        /// The resource.
        server: String,
        /// Why.
        source: superstep_runtime::LocalModelError,
    },
    /// This build cannot compute models.
    #[cfg(not(feature = "inference"))]
    #[error("{what} needs a build with the feature inference")]
    NotBuilt {
        /// What needs it.
        what: String,
    },
    /// Two graphs of the run give a model different fallbacks.
    #[error("the graphs of the run give model {name:?} different fallbacks: use different names")]
    Fallbacks {
        /// The name.
        name: VertexName,
    },
    /// A provider cannot be asked.
    #[cfg(feature = "providers")]
    #[error(transparent)]
    Provider(#[from] superstep_providers::ProviderError),
    /// This build asks no providers.
    #[cfg(not(feature = "providers"))]
    #[error("model {model:?} is external, which needs a build with the feature providers")]
    NoProviders {
        /// The model.
        model: VertexName,
    },
    /// The script has another form than this version knows.
    #[error("the script of ModelServer {server:?} is not valid: {source}")]
    Script {
        /// The resource.
        server: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The models of a run, as its log keeps them: all that is needed to load them again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ModelPlan {
    /// By the name that graphs use.
    models: BTreeMap<VertexName, ModelServer>,
    /// Those of providers, and which stands in for which.
    #[serde(flatten)]
    outside: external::Outside,
    /// What the tools of servers were called with when the run was begun, by the name that graphs use. Other
    /// tools say so in the graph.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tools: BTreeMap<VertexName, Vec<ToolSignature>>,
}

/// The graphs that a run of `root` can open, itself included.
pub(crate) fn reachable(resources: &ResourceSet, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut work = vec![root.to_owned()];
    while let Some(name) = work.pop() {
        let Some(graph) = resources.graphs.get(&name) else { continue };
        if !found.insert(name) {
            continue;
        }
        let spec = graph.content.graph.spec();
        work.extend(spec.vertices.iter().filter_map(|vertex| match vertex.program() {
            Some(Program::Graph(graph)) => Some(graph.reference.name.clone()),
            Some(_) | None => None,
        }));
        // What a vertex may hand on, a mutation may open.
        work.extend(spec.vertices.iter().flat_map(|vertex| vertex.capabilities.graphs.iter().cloned()));
    }
    found
}

impl ModelPlan {
    /// The models that `graphs` name. References were checked when the files were read.
    ///
    /// # Errors
    /// Two graphs use one name for two models.
    pub(crate) fn of<'a>(
        resources: &ResourceSet,
        graphs: impl Iterator<Item = &'a GraphSpec>,
    ) -> Result<Self, ModelError> {
        let mut plan = Self::default();
        for model in graphs.flat_map(|graph| &graph.models) {
            plan.outside.add(model, plan.models.get(&model.name))?;
            let Some(reference) = &model.model_server_ref else { continue };
            let Some(server) = resources.model_servers.get(&reference.name) else { continue };
            let server = server.content.clone();
            let second = server.metadata.name.clone();
            plan.outside.is_no_other(model, &second)?;
            if let Some(first) = plan.models.insert(model.name.clone(), server)
                && first.metadata.name != second
            {
                let (name, first) = (model.name.clone(), first.metadata.name);
                return Err(ModelError::Ambiguous { name, first, second });
            }
        }
        Ok(plan)
    }

    /// Loads every model, fetched where that is needed; one server serves all names that stand for it.
    ///
    /// # Errors
    /// A model cannot be used.
    pub(crate) fn load(&self, show: ShowProgress) -> Result<Models, ModelError> {
        let mut servers: BTreeMap<&str, Served> = BTreeMap::new();
        let mut models = BTreeMap::new();
        let mut asked = external::Asked::default();
        for (name, server) in &self.models {
            let server_name = server.metadata.name.as_str();
            let model = match servers.get(server_name) {
                Some(model) => model.clone(),
                None => load(server_name, &server.spec, show, &mut asked)?,
            };
            servers.insert(server_name, model.clone());
            models.insert(name.clone(), model);
        }
        self.outside.load(models, &mut asked)
    }

    /// What each name stands for.
    pub(crate) fn meanings(&self) -> impl Iterator<Item = (&VertexName, Value)> {
        let served = self.models.iter().map(|(name, server)| (name, json!(server.spec)));
        served.chain(self.outside.meanings())
    }

    /// Keeps what the tools are called with of which the graphs do not tell.
    pub(crate) fn keep_signatures<'a>(&mut self, graphs: impl Iterator<Item = &'a GraphSpec>, tools: &Tools) {
        let told_elsewhere = graphs.flat_map(|graph| &graph.tools).filter(|tool| tool.mcp.is_some());
        self.tools.extend(told_elsewhere.map(|tool| (tool.name.clone(), tools.signatures(&tool.name))));
    }

    /// The models by name alone, for looking at a run.
    pub(crate) fn not_loaded(&self) -> Models {
        let served = self.models.iter().map(|(name, server)| (name.clone(), calls_tools(&server.spec)));
        let mut models = Models::default();
        for (name, calls_tools) in self.outside.calling_tools(served.collect()) {
            models.insert(name.clone(), Arc::new(NotLoaded { calls_tools }));
            models.insert_embedder(name, Arc::new(NotLoaded::default()));
        }
        models
    }

    /// The tools of `graphs` by what is known of them, for looking at a run.
    pub(crate) fn tools_not_loaded<'a>(&self, graphs: impl Iterator<Item = &'a GraphSpec>) -> Tools {
        let mut tools = Tools::default();
        for tool in graphs.flat_map(|graph| &graph.tools) {
            tools.insert_not_loaded(tool, self.tools.get(&tool.name).map(Vec::as_slice));
        }
        tools
    }
}

/// Whether a served model has tool calling of its own, as it would say itself.
fn calls_tools(spec: &ModelServerSpec) -> bool {
    match (&spec.engine.scripted, &spec.engine.external) {
        (Some(script), _) => serde_json::from_value::<ScriptedModel>(script.clone())
            .is_ok_and(|script| Scripted::new(script).calls_tools()),
        (None, Some(external)) => external::calls_tools(external),
        (None, None) => false,
    }
}

fn load(
    server: &str,
    spec: &ModelServerSpec,
    show: ShowProgress,
    asked: &mut external::Asked,
) -> Result<Served, ModelError> {
    let served = match (&spec.engine.scripted, &spec.engine.external) {
        (Some(script), _) => {
            let script: ScriptedModel = serde_json::from_value(script.clone())
                .map_err(|source| ModelError::Script { server: server.to_owned(), source })?;
            let scripted = Arc::new(Scripted::new(script));
            Served::both(Arc::clone(&scripted) as _, scripted)
        }
        (None, Some(external)) => asked.model(&server.into(), external)?,
        (None, None) => load_weights(server, spec, show)?,
    };
    Ok(match spec.prices {
        None => served,
        Some(prices) => served.at(prices),
    })
}

#[cfg(feature = "inference")]
fn load_weights(server: &str, spec: &ModelServerSpec, show: ShowProgress) -> Result<Served, ModelError> {
    let path = file_of(server, spec, Search { show, cache: CacheUse::Fill })?;
    let failed = |source| ModelError::Load { server: server.to_owned(), source };
    Ok(match sources::sentence_model(&path) {
        Some(folder) => {
            let (options, batch) = sentence_options(spec);
            let model = superstep_runtime::SentenceModel::load(folder, &options, batch).map_err(failed)?;
            Served::embedding(Arc::new(model))
        }
        None => {
            let model = superstep_runtime::LocalModel::load(&path, &options(spec)).map_err(failed)?;
            Served::writing(Arc::new(model))
        }
    })
}

/// How a sentence model is loaded, and how many requests it computes as one batch.
#[cfg(feature = "inference")]
fn sentence_options(spec: &ModelServerSpec) -> (superstep_runtime::EmbedderOptions, usize) {
    let candle = spec.engine.candle.unwrap_or_default();
    let size = |number: Option<u32>| number.map(|number| number as usize);
    let options = superstep_runtime::EmbedderOptions {
        max_tokens: size(candle.context_length),
        sha256: spec.model.as_ref().and_then(|model| model.sha256.clone()),
    };
    let batch = size(candle.max_concurrent_requests);
    (options, batch.unwrap_or(superstep_runtime::SentenceModel::BATCH))
}

#[cfg(feature = "inference")]
fn options(spec: &ModelServerSpec) -> superstep_runtime::LoadOptions {
    let mut options = superstep_runtime::LoadOptions {
        sha256: spec.model.as_ref().and_then(|model| model.sha256.clone()),
        ..superstep_runtime::LoadOptions::default()
    };
    if let Some(candle) = spec.engine.candle {
        let size = |number: Option<u32>| number.map(|number| number as usize);
        options.context_length = size(candle.context_length).unwrap_or(options.context_length);
        options.max_concurrent = size(candle.max_concurrent_requests).unwrap_or(options.max_concurrent);
    }
    options
}

#[cfg(not(feature = "inference"))]
fn load_weights(server: &str, _: &ModelServerSpec, _: ShowProgress) -> Result<Served, ModelError> {
    Err(ModelError::NotBuilt { what: format!("ModelServer {server:?}") })
}

/// The file of the weights, from the first source that gives one.
fn file_of(server: &str, spec: &ModelServerSpec, search: Search) -> Result<PathBuf, ModelError> {
    let found = spec.model.as_ref().map(|model| search.resolve(model));
    let found = found.unwrap_or_else(|| Err("it names no model".to_owned()));
    found.map_err(|tried| ModelError::NoFile { server: server.to_owned(), tried })
}
