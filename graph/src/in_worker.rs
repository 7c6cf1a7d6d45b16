//! Which models run inside the workers, and which vertices call them.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::VertexName;
use crate::spec::{GraphSpec, ModelSpec, Placement, VertexSpec};

/// The models of a run that are placed [`Placement::InWorker`]. A `ModelServer` that one of its graphs places so is placed
/// so for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InWorkerModels {
    servers: BTreeSet<String>,
    /// Those that a call of a model may come to, by the name that graphs use: its own, and those of its fallbacks.
    called: BTreeMap<VertexName, BTreeSet<String>>,
}

impl InWorkerModels {
    /// Those of the graphs of one run, which use a name for one model.
    #[must_use]
    pub fn of<'a>(graphs: impl IntoIterator<Item = &'a GraphSpec>) -> Self {
        let models: BTreeMap<&VertexName, &ModelSpec> =
            graphs.into_iter().flat_map(|graph| &graph.models).map(|model| (&model.name, model)).collect();
        let in_worker = models.values().filter(|model| model.placement == Placement::InWorker);
        let servers: BTreeSet<String> = in_worker
            .filter_map(|model| model.model_server_ref.as_ref())
            .map(|named| named.name.clone())
            .collect();
        let called = models.keys().map(|name| ((*name).clone(), comes_to(name, &models, &servers)));
        Self { called: called.filter(|(_, servers)| !servers.is_empty()).collect(), servers }
    }

    /// The `ModelServer`s of all of them.
    #[must_use]
    pub fn servers(&self) -> &BTreeSet<String> {
        &self.servers
    }

    /// The `ModelServer`s of those that a vertex calls.
    pub fn called_by<'a>(&'a self, vertex: &'a VertexSpec) -> impl Iterator<Item = &'a str> {
        let called = vertex.models_used().filter_map(|name| self.called.get(name));
        called.flatten().map(String::as_str)
    }
}

/// Which of `servers` a call of the model `name` may come to.
fn comes_to(
    name: &VertexName,
    models: &BTreeMap<&VertexName, &ModelSpec>,
    servers: &BTreeSet<String>,
) -> BTreeSet<String> {
    let (mut work, mut seen, mut found) = (vec![name], BTreeSet::new(), BTreeSet::new());
    while let Some(name) = work.pop() {
        let Some(model) = models.get(name).filter(|_| seen.insert(name)) else { continue };
        let server = model.model_server_ref.as_ref().map(|named| &named.name);
        found.extend(server.filter(|server| servers.contains(*server)).cloned());
        work.extend(&model.fallbacks);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn graph(models: Value) -> GraphSpec {
        serde_json::from_value(json!({"entry": ["a"], "models": models, "vertices": []})).unwrap()
    }

    fn called(models: &InWorkerModels, vertex: Value) -> Vec<String> {
        let vertex: VertexSpec = serde_json::from_value(vertex).unwrap();
        models.called_by(&vertex).map(str::to_owned).collect()
    }

    #[test]
    fn a_vertex_calls_its_model_and_those_that_stand_in_for_it() {
        let root = graph(json!([
            {"name": "near", "modelServerRef": {"name": "s"}, "placement": "InWorker"},
            {"name": "far", "modelServerRef": {"name": "t"}, "fallbacks": ["next"]},
            {"name": "next", "external": {"provider": "OpenAI", "model": "m"}, "fallbacks": ["near", "other"]},
            {"name": "other", "modelServerRef": {"name": "u"}},
        ]));
        // Another graph of the run has a model of that server inside the workers.
        let inner =
            graph(json!([{"name": "inner", "modelServerRef": {"name": "u"}, "placement": "InWorker"}]));
        let models = InWorkerModels::of([&root, &inner]);
        assert_eq!(models.servers().iter().collect::<Vec<_>>(), ["s", "u"]);
        let prompt = |model: &str| json!({"name": "a", "prompt": {"model": model, "template": "hi"}});
        assert_eq!(called(&models, prompt("near")), ["s"]);
        assert_eq!(called(&models, prompt("far")), ["s", "u"]);
        assert_eq!(called(&models, prompt("other")), ["u"]);
        assert_eq!(called(&models, json!({"name": "a", "embed": {"model": "inner"}})), ["u"]);
        assert!(called(&models, json!({"name": "a", "function": {"cel": "1"}})).is_empty());
        assert!(InWorkerModels::of([]).servers().is_empty());
    }
}
