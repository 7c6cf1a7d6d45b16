//! What a run refers to, as it was last seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_api::{
    AgentGraphObject, AgentGraphPatchObject, AgentGraphSpec, ModelServerObject, ModelServerSpec,
};
use superstep_graph::{GraphSpec, Problem, Program, validate};

use crate::effective::effective;

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
    /// The patches for all later runs of the graph of this name, in their order.
    fn patches(&self, graph: &str) -> Vec<Arc<AgentGraphPatchObject>>;
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
        let mut spec = graph.spec.clone();
        spec.graph = patched(&spec.graph, &known.patches(&name));
        work.extend(opened(&spec));
        found.insert(name, spec);
    }
    Ok(found)
}

fn patched(spec: &GraphSpec, patches: &[Arc<AgentGraphPatchObject>]) -> GraphSpec {
    let named = |patch: &'_ Arc<AgentGraphPatchObject>| patch.metadata.name.clone().unwrap_or_default();
    let names: Vec<String> = patches.iter().map(named).collect();
    let mutations = patches.iter().map(|patch| &patch.spec.mutations[..]);
    effective(spec, names.iter().map(String::as_str).zip(mutations)).spec
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What there is, by name.
    #[derive(Default)]
    struct There {
        graphs: BTreeMap<&'static str, Value>,
        servers: BTreeMap<&'static str, Value>,
        patches: Vec<Value>,
    }

    fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> Arc<K> {
        let object = json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    impl Known for There {
        fn graph(&self, name: &str) -> Option<Arc<AgentGraphObject>> {
            self.graphs.get(name).map(|spec| object("AgentGraph", name, spec))
        }

        fn server(&self, name: &str) -> Option<Arc<ModelServerObject>> {
            self.servers.get(name).map(|spec| object("ModelServer", name, spec))
        }

        fn patches(&self, graph: &str) -> Vec<Arc<AgentGraphPatchObject>> {
            let of = self.patches.iter().filter(|spec| spec["graphRef"]["name"] == graph);
            of.map(|spec| object("AgentGraphPatch", "add", spec)).collect()
        }
    }

    fn there() -> There {
        let root = json!({
            "entry": ["a"],
            "models": [{"name": "m", "modelServerRef": {"name": "small"}}],
            "vertices": [
                {"name": "a", "prompt": {"model": "m", "template": "hi"}},
                {"name": "b", "graph": {"ref": {"name": "sub"}}},
            ],
        });
        let sub = json!({"entry": ["c"], "vertices": [{"name": "c", "function": {"cel": "1"}}]});
        let small = json!({
            "model": {"name": "tiny", "sources": [{"file": {"path": "${DIR:-here}/tiny.gguf"}}]},
            "engine": {"candle": {}},
        });
        There {
            graphs: BTreeMap::from([("root", root), ("sub", sub)]),
            servers: BTreeMap::from([("small", small)]),
            patches: Vec::new(),
        }
    }

    #[test]
    fn what_a_graph_opens_comes_too_and_variables_have_their_defaults() {
        let found = dereference(&there(), "root").unwrap();
        assert_eq!(found.graphs.keys().collect::<Vec<_>>(), ["root", "sub"]);
        let source = &found.servers["small"].model.as_ref().unwrap().sources[0];
        assert_eq!(source.file.as_ref().unwrap().path, "here/tiny.gguf");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (reason, change) in [
            ("GraphNotFound", (|there: &mut There| drop(there.graphs.remove("sub"))) as fn(&mut There)),
            ("ModelServerNotFound", |there| there.servers.clear()),
            ("GraphInvalid", |there| there.graphs.get_mut("sub").unwrap()["entry"] = json!(["none"])),
            ("GraphInvalid", |there| there.servers.get_mut("small").unwrap()["model"] = Value::Null),
        ] {
            let mut there = there();
            change(&mut there);
            assert_eq!(dereference(&there, "root").unwrap_err().reason(), reason);
        }
    }

    #[test]
    fn later_runs_have_the_patches_of_their_graph() {
        let mut there = there();
        there.patches.push(json!({
            "graphRef": {"name": "sub"},
            "mutations": [{"addVertex": {"name": "d", "function": {"cel": "2"}}}],
        }));
        let found = dereference(&there, "root").unwrap();
        assert_eq!((found.graphs["root"].graph.vertices.len(), found.graphs["sub"].graph.vertices.len()), (2, 2));
    }
}
