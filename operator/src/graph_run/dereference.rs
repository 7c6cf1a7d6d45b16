//! What a run refers to, as it was last seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_api::{AgentGraphObject, AgentGraphSpec, ModelServerObject, ModelServerSpec};
use superstep_graph::{Problem, Program, validate};

/// The graphs that a run can come to, and the model servers that they name.
#[derive(Clone, Debug)]
pub(crate) struct Referenced {
    /// By name; the run's own is among them.
    pub(crate) graphs: BTreeMap<String, AgentGraphSpec>,
    /// By name, with every variable replaced by its default.
    pub(crate) servers: BTreeMap<String, ModelServerSpec>,
}

/// Why a run cannot be handed to workers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// There is no such graph.
    #[error("AgentGraph \"{name}\" is not there")]
    NoGraph {
        /// Its name.
        name: String,
    },
    /// There is no such model server.
    #[error("ModelServer \"{name}\" is not there")]
    NoModelServer {
        /// Its name.
        name: String,
    },
    /// A graph or a model server has mistakes.
    #[error("{kind} \"{name}\" has mistakes: {}", .problems.join("; "))]
    Invalid {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// They.
        problems: Vec<String>,
    },
}

impl Unresolved {
    /// The cause in one word.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NoGraph { .. } => "GraphNotFound",
            Self::NoModelServer { .. } => "ModelServerNotFound",
            Self::Invalid { .. } => "GraphInvalid",
        }
    }
}

/// Where graphs and model servers are looked up.
pub(crate) trait Known {
    /// The graph of this name.
    fn graph(&self, name: &str) -> Option<Arc<AgentGraphObject>>;
    /// The model server of this name.
    fn server(&self, name: &str) -> Option<Arc<ModelServerObject>>;
}

/// What a run of the graph `root` needs.
///
/// # Errors
/// Something is not there or has mistakes.
pub(crate) fn dereference(known: &dyn Known, root: &str) -> Result<Referenced, Unresolved> {
    let graphs = graphs(known, root)?;
    let servers = servers(known, &graphs)?;
    Ok(Referenced { graphs, servers })
}

fn graphs(known: &dyn Known, root: &str) -> Result<BTreeMap<String, AgentGraphSpec>, Unresolved> {
    let mut found = BTreeMap::new();
    let mut work = vec![root.to_owned()];
    while let Some(name) = work.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let Some(graph) = known.graph(&name) else { return Err(Unresolved::NoGraph { name }) };
        if let Err(problems) = validate(&graph.spec.graph) {
            let problems = said(&problems.0);
            return Err(Unresolved::Invalid { kind: "AgentGraph", name, problems });
        }
        work.extend(opened(&graph.spec));
        found.insert(name, graph.spec.clone());
    }
    Ok(found)
}

/// The graphs that a graph can open, and those that a mutation of it may.
fn opened(spec: &AgentGraphSpec) -> Vec<String> {
    let vertices = &spec.graph.vertices;
    let programs = vertices.iter().filter_map(|vertex| match vertex.program() {
        Some(Program::Graph(graph)) => Some(graph.reference.name.clone()),
        Some(_) | None => None,
    });
    programs.chain(vertices.iter().flat_map(|vertex| vertex.capabilities.graphs.iter().cloned())).collect()
}

fn servers(
    known: &dyn Known,
    graphs: &BTreeMap<String, AgentGraphSpec>,
) -> Result<BTreeMap<String, ModelServerSpec>, Unresolved> {
    let mut found = BTreeMap::new();
    let models = graphs.values().flat_map(|spec| &spec.graph.models);
    for named in models.filter_map(|model| model.model_server_ref.as_ref()) {
        let name = named.name.clone();
        if found.contains_key(&name) {
            continue;
        }
        let Some(server) = known.server(&name) else { return Err(Unresolved::NoModelServer { name }) };
        match server.spec.on_cluster() {
            Ok(spec) => found.insert(name, spec),
            Err(problems) => {
                let problems = said(&problems);
                return Err(Unresolved::Invalid { kind: "ModelServer", name, problems });
            }
        };
    }
    Ok(found)
}

fn said(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}
