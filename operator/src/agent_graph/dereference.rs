//! What a graph refers to, as it was last seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;
use superstep_api::{AgentGraphObject, AgentGraphPatchObject, ModelServerObject, ModelServerSpec};
use superstep_graph::{GraphSpec, Placement};

use crate::context::Context;
use crate::effective::with_patches;
use crate::patches::for_later_runs;

/// Where what a graph names is looked up.
pub(crate) trait Known {
    /// The graph of this name.
    fn graph(&self, name: &str) -> Option<Arc<AgentGraphObject>>;
    /// The model server of this name.
    fn server(&self, name: &str) -> Option<Arc<ModelServerObject>>;
    /// The patches of this graph's later runs.
    fn patches(&self, graph: &str) -> Vec<Arc<AgentGraphPatchObject>>;
    /// Whether there is an object of this name that cannot be read.
    fn is_malformed(&self, kind: &str, name: &str) -> bool;
}

/// The objects of a namespace.
pub(crate) struct Namespace<'a> {
    pub(crate) context: &'a Context,
    pub(crate) namespace: &'a str,
}

impl Known for Namespace<'_> {
    fn graph(&self, name: &str) -> Option<Arc<AgentGraphObject>> {
        self.context.graphs.named(self.namespace, name)
    }

    fn server(&self, name: &str) -> Option<Arc<ModelServerObject>> {
        self.context.servers.named(self.namespace, name)
    }

    fn patches(&self, graph: &str) -> Vec<Arc<AgentGraphPatchObject>> {
        for_later_runs(self.context.patches.all(), self.namespace, graph)
    }

    fn is_malformed(&self, kind: &str, name: &str) -> bool {
        match kind {
            "AgentGraph" => self.context.graphs.has(self.namespace, name),
            _ => self.context.servers.has(self.namespace, name),
        }
    }
}

/// A model server that graphs name.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// It, with every variable replaced by its default.
    pub(crate) spec: ModelServerSpec,
    /// Whether it runs in the workers.
    pub(crate) in_worker: bool,
}

/// Something that is named and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// In one word.
    pub(crate) reason: &'static str,
    /// In a sentence, with what would help.
    pub(crate) message: String,
}

/// What the runs of a graph can come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Referenced {
    /// The effective graphs by name; the graph itself is among them.
    pub(crate) graphs: BTreeMap<String, GraphSpec>,
    /// The model servers by name.
    pub(crate) servers: BTreeMap<String, Server>,
    /// What is not there.
    pub(crate) missing: Vec<Missing>,
}

/// What the runs of a graph can come to.
pub(crate) fn dereference(known: &dyn Known, root: &AgentGraphObject) -> Referenced {
    let mut found = Referenced::default();
    let name = root.name_any();
    let mut work = opened(&mut found, known, root);
    while let Some((by, next)) = work.pop() {
        if found.graphs.contains_key(&next) {
            continue;
        }
        match known.graph(&next) {
            Some(graph) => work.extend(opened(&mut found, known, &graph)),
            None => {
                let place = if by == name { String::new() } else { format!(" of AgentGraph {by:?}") };
                found.missing.push(missing(known, "AgentGraph", &next, &format!("a vertex{place}")));
            }
        }
    }
    servers(&mut found, known);
    found.missing.dedup();
    found
}

/// Notes a graph, and names those that it can open.
fn opened(found: &mut Referenced, known: &dyn Known, graph: &AgentGraphObject) -> Vec<(String, String)> {
    let name = graph.name_any();
    let spec = with_patches(&graph.spec.graph, &known.patches(&name)).spec;
    let programs = spec.vertices.iter().filter_map(|vertex| Some(&vertex.graph.as_ref()?.reference.name));
    let handed_on = spec.vertices.iter().flat_map(|vertex| &vertex.capabilities.graphs);
    let names = programs.chain(handed_on).map(|other| (name.clone(), other.clone())).collect();
    found.graphs.insert(name, spec);
    names
}

fn servers(found: &mut Referenced, known: &dyn Known) {
    let models =
        found.graphs.iter().flat_map(|(graph, spec)| spec.models.iter().map(move |model| (graph, model)));
    let (mut servers, mut absent) = (BTreeMap::<String, Server>::new(), Vec::new());
    for (graph, model) in models {
        let Some(named) = &model.model_server_ref else { continue };
        let in_worker = model.placement == Placement::InWorker;
        if let Some(server) = servers.get_mut(&named.name) {
            server.in_worker |= in_worker;
            continue;
        }
        match known.server(&named.name).map(|server| server.spec.on_cluster()) {
            Some(Ok(spec)) => {
                servers.insert(named.name.clone(), Server { spec, in_worker });
            }
            Some(Err(problems)) => absent.push(Missing {
                reason: "ModelServerInvalid",
                message: format!(
                    "ModelServer {:?} has mistakes: {}",
                    named.name,
                    problems.first().map(ToString::to_string).unwrap_or_default()
                ),
            }),
            None => {
                let by = format!("model {:?} of AgentGraph {graph:?}", model.name.as_str());
                absent.push(missing(known, "ModelServer", &named.name, &by));
            }
        }
    }
    found.servers = servers;
    found.missing.append(&mut absent);
}

fn missing(known: &dyn Known, kind: &str, name: &str, by: &str) -> Missing {
    if known.is_malformed(kind, name) {
        let reason = if kind == "AgentGraph" { "AgentGraphInvalid" } else { "ModelServerInvalid" };
        return Missing { reason, message: format!("{kind} {name:?} cannot be read: see its status") };
    }
    let reason = if kind == "AgentGraph" { "AgentGraphMissing" } else { "ModelServerMissing" };
    Missing {
        reason,
        message: format!("{by} names {kind} {name:?}, which is not there: create it, or name another one"),
    }
}
