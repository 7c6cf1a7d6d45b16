//! From `ModelServer` resources and models of providers to models that answer.

mod cache;
mod deferred;
mod download;
mod downloads;
mod external;
mod fetch_error;
mod hub;
mod served;
mod sources;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_api::{ModelServer, ModelServerSpec, ResourceSet};
use superstep_graph::{GraphSpec, VertexName};
use superstep_runtime::{Model as _, Models, NotLoaded, Scripted, ScriptedModel, ToolSignature, Tools};

pub use cache::{Cached, ModelCache, digest};
pub use downloads::{Downloads, Quiet};
pub use fetch_error::FetchError;
pub use hub::HubFile;
pub use served::Served;
#[cfg(feature = "inference")]
pub use sources::sentence_model;
pub use sources::{CacheUse, Search};
#[cfg(feature = "inference")]
pub use weights::{converted_folder, load_options, sentence_options};

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
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
    /// A graph names a model that ranks documents, and does nothing else.
    #[error("model {name:?} is ModelServer {server:?}, which ranks documents and neither writes nor embeds")]
    OnlyRanks {
        /// The name.
        name: VertexName,
        /// The resource.
        server: String,
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
pub struct ModelPlan {
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

impl ModelPlan {
    /// The models that `graphs` name. References were checked when the files were read.
    ///
    /// # Errors
    /// Two graphs use one name for two models.
    pub fn of<'a>(
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

    /// Loads every model, fetched where that is needed, but for those of the servers `later`, which are loaded when they are
    /// needed; services outside have nothing to load. One server serves all names that stand for it. It blocks the thread,
    /// which may be one of a tokio runtime.
    ///
    /// # Errors
    /// A model cannot be used.
    pub(crate) fn load(
        &self,
        later: &BTreeSet<String>,
        downloads: &Arc<dyn Downloads>,
    ) -> Result<Models, ModelError> {
        let mut put_off = BTreeMap::new();
        let mut servers: BTreeMap<&str, Served> = BTreeMap::new();
        let mut models = BTreeMap::new();
        let mut asked = external::Asked::default();
        for (name, server) in &self.models {
            let server_name = server.metadata.name.as_str();
            let model = match servers.get(server_name) {
                Some(model) => model.clone(),
                None if later.contains(server_name) && server.spec.engine.external.is_none() => {
                    let model = deferred::deferred(server, downloads);
                    put_off.insert(server_name, model.clone());
                    Served::deferred(model)
                }
                None => load(server_name, &server.spec, &**downloads, &mut asked)?,
            };
            if model.writing.is_none() && model.embedding.is_none() {
                return Err(ModelError::OnlyRanks { name: name.clone(), server: server_name.to_owned() });
            }
            servers.insert(server_name, model.clone());
            models.insert(name.clone(), model);
        }
        let mut models = self.outside.load(models, &mut asked)?;
        put_off.into_iter().for_each(|(server, model)| models.defer(server, model));
        Ok(models)
    }

    /// What the names of models and tools stand for, by which kept results are told apart.
    pub(crate) fn meanings<'a>(
        &self,
        graphs: impl Iterator<Item = &'a GraphSpec>,
    ) -> BTreeMap<String, Value> {
        let served = self.models.iter().map(|(name, server)| (name, json!(server.spec)));
        let models = served.chain(self.outside.meanings());
        let models = models.map(|(name, meaning)| (format!("model {name}"), meaning));
        let tools = graphs.flat_map(|graph| &graph.tools);
        models.chain(tools.map(|tool| (format!("tool {}", tool.name), json!(tool)))).collect()
    }

    /// Keeps what the tools are called with of which the graphs do not tell.
    pub(crate) fn keep_signatures<'a>(&mut self, graphs: impl Iterator<Item = &'a GraphSpec>, tools: &Tools) {
        let told_elsewhere = graphs.flat_map(|graph| &graph.tools).filter(|tool| tool.mcp.is_some());
        self.tools.extend(told_elsewhere.map(|tool| (tool.name.clone(), tools.signatures(&tool.name))));
    }

    /// The models by name alone, for looking at a run.
    pub fn not_loaded(&self) -> Models {
        let served = self.models.iter().map(|(name, server)| (name.clone(), calls_tools(&server.spec)));
        let mut models = Models::default();
        for (name, calls_tools) in self.outside.calling_tools(served.collect()) {
            models.insert(name.clone(), Arc::new(NotLoaded { calls_tools }));
            models.insert_embedder(name, Arc::new(NotLoaded::default()));
        }
        models
    }

    /// The tools of `graphs` by what is known of them, for looking at a run.
    pub fn tools_not_loaded<'a>(&self, graphs: impl Iterator<Item = &'a GraphSpec>) -> Tools {
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

/// What `server` serves, fetched where that is needed. It blocks the thread, which may be one of a tokio runtime.
///
/// # Errors
/// The model cannot be used.
pub fn load_server(server: &ModelServer, downloads: &dyn Downloads) -> Result<Served, ModelError> {
    load(&server.metadata.name, &server.spec, downloads, &mut external::Asked::default())
}

fn load(
    server: &str,
    spec: &ModelServerSpec,
    downloads: &dyn Downloads,
    asked: &mut external::Asked,
) -> Result<Served, ModelError> {
    let served = match (&spec.engine.scripted, &spec.engine.external) {
        (Some(script), _) => {
            let script: ScriptedModel = serde_json::from_value(script.clone())
                .map_err(|source| ModelError::Script { server: server.to_owned(), source })?;
            let scripted = Arc::new(Scripted::new(script));
            let ranking = Some(Arc::clone(&scripted) as _);
            Served { ranking, ..Served::both(Arc::clone(&scripted) as _, scripted) }
        }
        (None, Some(external)) => asked.model(&server.into(), external)?,
        (None, None) => weights::load(server, spec, downloads)?,
    };
    Ok(match spec.prices {
        None => served,
        Some(prices) => served.at(prices),
    })
}
