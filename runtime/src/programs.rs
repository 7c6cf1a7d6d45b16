//! The programs that a process can execute.

mod agent;
mod algorithm;
mod aside;
mod asking;
mod effects;
mod embed;
mod embedding;
mod function;
mod graphs;
mod history;
mod human;
mod judge;
mod prepare_error;
mod prompt;
mod retrieve;
mod router;
mod tool;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use superstep_engine::{Failure, Payload, View};
use superstep_graph::{Program as Kind, ToolProgram, VertexName, VertexSpec};

use crate::cache::{Cached, ResultCache};
use crate::embedder::Embedder;
use crate::model::Model;
use crate::models::Models;
use crate::program::{Closure, Program};
use crate::roots::nearest;
use crate::schema::Schema;
use crate::template::Template;
use crate::tool::Tool;
use crate::tools::{CheckedTool, ToolError, Tools};

pub(crate) use asking::bare;
pub use effects::EffectExpressions;
pub(crate) use function::seen;
use graphs::PreparedGraphs;
pub(crate) use graphs::{ByAddress, Prepared, PreparedGraph, address_of, ports_of};
pub use prepare_error::PrepareError;

/// How many prepared programs are kept; past it all are let go and prepared again when needed.
const KEPT: usize = 10_000;

/// Prepares vertices: compiles their templates, expressions and schemas once, and finds their models
/// and registered programs.
#[derive(Default)]
pub struct Programs {
    models: Models,
    tools: Tools,
    custom: BTreeMap<String, Arc<dyn Program>>,
    cache: ResultCache,
    prepared: Mutex<HashMap<[u8; 32], Arc<dyn Program>>>,
    graphs: PreparedGraphs,
}

impl Programs {
    /// The built-in programs, with `models` for prompts.
    pub fn new(models: Models) -> Self {
        Self { models, ..Self::default() }
    }

    /// The same programs, with `tools` for those that call them.
    #[must_use]
    pub fn with_tools(self, tools: Tools) -> Self {
        Self { tools, prepared: Mutex::default(), graphs: PreparedGraphs::default(), ..self }
    }

    /// The same programs, with results of vertices that have a `cache` kept in `cache`. Without it they are kept
    /// as long as these programs.
    #[must_use]
    pub fn with_cache(self, cache: ResultCache) -> Self {
        Self { cache, prepared: Mutex::default(), graphs: PreparedGraphs::default(), ..self }
    }

    /// Adds a tool under the name that graphs give it; a later one of that name replaces it.
    ///
    /// # Errors
    /// The parameters of the tool are no JSON schema.
    pub fn register_tool(
        &mut self,
        name: impl Into<VertexName>,
        tool: Arc<dyn Tool>,
    ) -> Result<(), ToolError> {
        self.tools.insert(name, [tool])?;
        self.forget_prepared();
        Ok(())
    }

    fn forget_prepared(&mut self) {
        self.prepared = Mutex::default();
        self.graphs = PreparedGraphs::default();
    }

    /// Registers `program` under `name`, for vertices with `custom: {name: …}`. A later one of the
    /// same name replaces it.
    pub fn register(&mut self, name: impl Into<String>, program: Arc<dyn Program>) {
        self.custom.insert(name.into(), program);
        self.forget_prepared();
    }

    /// Registers a function of what an activation sees; its value is the payload on the default port.
    /// It is called on the thread that drives the run, so it must not block.
    pub fn register_fn(
        &mut self,
        name: impl Into<String>,
        function: impl Fn(&View) -> Result<Payload, Failure> + Send + Sync + 'static,
    ) {
        self.register(name, Arc::new(Closure(function)));
    }

    /// The models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The program of `vertex`, its effects included, ready to be started any number of times. Equal
    /// vertices share one. To be called once per vertex of a revision, not per activation: it hashes
    /// the vertex.
    ///
    /// # Errors
    /// The vertex cannot be executed by this process.
    pub fn for_vertex(&self, vertex: &VertexSpec) -> Result<Arc<dyn Program>, PrepareError> {
        let key = *blake3::hash(&serde_json::to_vec(vertex).expect("a vertex has text keys only")).as_bytes();
        if let Some(program) = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(program));
        }
        let program = self.prepare(vertex)?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.len() >= KEPT {
            prepared.clear();
        }
        prepared.insert(key, Arc::clone(&program));
        Ok(program)
    }

    /// Whether this process can execute `vertex`; a sub-graph's effects are checked, its graph is
    /// not.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, vertex: &VertexSpec) -> Result<(), PrepareError> {
        match self.for_vertex(vertex) {
            Ok(_) => Ok(()),
            Err(PrepareError::Frame { .. }) => EffectExpressions::compile(vertex).map(drop),
            Err(error) => Err(error),
        }
    }

    fn prepare(&self, vertex: &VertexSpec) -> Result<Arc<dyn Program>, PrepareError> {
        let name = &vertex.name;
        let program: Arc<dyn Program> = match vertex.program() {
            None => return Err(PrepareError::NoProgram { vertex: name.clone() }),
            Some(Kind::Graph(_)) => return Err(PrepareError::Frame { vertex: name.clone() }),
            Some(Kind::Function(function)) => Arc::new(function::Function::prepare(vertex, function)?),
            Some(Kind::Router(router)) => Arc::new(router::Router::prepare(vertex, router)?),
            Some(Kind::Prompt(prompt)) => {
                Arc::new(prompt::Prompt::prepare(vertex, prompt, self.model(name, &prompt.model)?)?)
            }
            Some(Kind::Agent(agent)) => {
                let offered = agent.tools.iter().map(|tool| self.tools(name, tool));
                let offered = offered.collect::<Result<Vec<_>, _>>()?.concat();
                let model = self.model(name, &agent.model)?;
                Arc::new(agent::Agent::prepare(vertex, agent, model, offered)?)
            }
            Some(Kind::Human(human)) => Arc::new(human::Human::prepare(vertex, human)?),
            Some(Kind::Judge(judge)) => {
                Arc::new(judge::Judge::prepare(vertex, judge, self.model(name, &judge.model)?)?)
            }
            Some(Kind::Tool(tool)) => {
                let offered = self.tools(name, &tool.name)?;
                Arc::new(tool::ToolCall::prepare(vertex, tool, chosen(name, tool, offered)?)?)
            }
            Some(Kind::Embed(embed)) => {
                Arc::new(embed::Embed::prepare(vertex, embed, self.embedder(name, &embed.model)?)?)
            }
            Some(Kind::Retrieve(retrieve)) => {
                let model = self.embedder(name, &retrieve.model)?;
                Arc::new(retrieve::Retrieve::prepare(vertex, retrieve, model)?)
            }
            Some(Kind::Algorithm(algorithm)) => Arc::new(algorithm::Walk::prepare(vertex, algorithm)?),
            Some(Kind::Custom(custom)) => {
                let found = self.custom.get(&custom.name).cloned();
                found.ok_or_else(|| PrepareError::UnknownProgram {
                    vertex: name.clone(),
                    program: custom.name.clone(),
                    hint: nearest(&custom.name, self.custom.keys().map(String::as_str)),
                })?
            }
        };
        // Effects are made anew of a kept result, for they may read more than the program does.
        let program = match self.cache.keying(vertex)? {
            Some(keying) => Arc::new(Cached::new(program, self.cache.clone(), keying)),
            None => program,
        };
        Ok(match EffectExpressions::compile(vertex)? {
            Some(effects) => Arc::new(effects::WithEffects::new(program, effects)),
            None => program,
        })
    }

    fn model(&self, vertex: &VertexName, name: &VertexName) -> Result<&Arc<dyn Model>, PrepareError> {
        self.models.find(name).ok_or_else(|| match self.models.find_embedder(name) {
            Some(_) => wrong_model(vertex, name, "embeds texts and writes none"),
            None => self.unknown_model(vertex, name),
        })
    }

    fn embedder(&self, vertex: &VertexName, name: &VertexName) -> Result<&Arc<dyn Embedder>, PrepareError> {
        self.models.find_embedder(name).ok_or_else(|| match self.models.find(name) {
            Some(_) => wrong_model(vertex, name, "writes texts and embeds none"),
            None => self.unknown_model(vertex, name),
        })
    }

    fn unknown_model(&self, vertex: &VertexName, name: &VertexName) -> PrepareError {
        PrepareError::UnknownModel {
            vertex: vertex.clone(),
            model: name.clone(),
            hint: nearest(name.as_str(), self.models.names()),
        }
    }

    /// The tools that stand for one name of the graph.
    fn tools(&self, vertex: &VertexName, name: &VertexName) -> Result<&[CheckedTool], PrepareError> {
        self.tools.find(name).ok_or_else(|| PrepareError::UnknownTool {
            vertex: vertex.clone(),
            tool: name.to_string(),
            hint: nearest(name.as_str(), self.tools.names()),
        })
    }
}

fn wrong_model(vertex: &VertexName, model: &VertexName, does: &'static str) -> PrepareError {
    PrepareError::WrongModel { vertex: vertex.clone(), model: model.clone(), does }
}

/// The one of the tools offered under a name that a vertex calls.
fn chosen(
    vertex: &VertexName,
    program: &ToolProgram,
    offered: &[CheckedTool],
) -> Result<CheckedTool, PrepareError> {
    let unknown = |tool: String| PrepareError::UnknownTool {
        vertex: vertex.clone(),
        hint: nearest(&tool, offered.iter().map(CheckedTool::name)),
        tool,
    };
    match (&program.mcp_tool, offered) {
        (None, [only]) => Ok(only.clone()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(CheckedTool::name).collect();
            let hint = Some(format!("it offers {}: name one in mcpTool", names.join(", ")));
            Err(PrepareError::UnknownTool { vertex: vertex.clone(), tool: program.name.to_string(), hint })
        }
        (Some(name), _) => {
            offered.iter().find(|tool| tool.name() == name).cloned().ok_or_else(|| unknown(name.clone()))
        }
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let custom: Vec<&String> = self.custom.keys().collect();
        f.debug_struct("Programs")
            .field("models", &self.models)
            .field("tools", &self.tools)
            .field("custom", &custom)
            .finish_non_exhaustive()
    }
}

/// The element in a forEach, else the payload of the only message, else the list of payloads.
fn handed_on(view: &View) -> Payload {
    match (&view.element, view.messages.as_slice()) {
        (Some(element), _) => element.clone(),
        (None, [message]) => message.payload.clone(),
        (None, messages) => Payload::list(messages.iter().map(|message| &message.payload)),
    }
}

/// Compiles the expression at `field` of `vertex`, over what the vertex sees.
pub(crate) fn expression_at(
    vertex: &VertexSpec,
    field: &str,
    source: &str,
) -> Result<crate::cel::Expression, PrepareError> {
    expression(vertex, field, source, crate::roots::Scope::Vertex)
}

/// Compiles the template at `field` of `vertex`.
pub(crate) fn template(vertex: &VertexSpec, field: &str, source: &str) -> Result<Template, PrepareError> {
    Template::compile(source).map_err(|source| PrepareError::Source {
        vertex: vertex.name.clone(),
        field: field.to_owned(),
        source,
    })
}

/// Compiles the schema at `field` of `vertex`.
fn compiled_schema(vertex: &VertexSpec, field: &str, schema: &Value) -> Result<Schema, PrepareError> {
    Schema::compile(schema).map_err(|source| PrepareError::Schema {
        vertex: vertex.name.clone(),
        field: field.to_owned(),
        source,
    })
}

/// Compiles the expression at `field` of `vertex`.
fn expression(
    vertex: &VertexSpec,
    field: &str,
    source: &str,
    scope: crate::roots::Scope,
) -> Result<crate::cel::Expression, PrepareError> {
    crate::cel::Expression::compile(source, scope).map_err(|source| PrepareError::Source {
        vertex: vertex.name.clone(),
        field: field.to_owned(),
        source,
    })
}

#[cfg(test)]
pub(crate) mod tests;
