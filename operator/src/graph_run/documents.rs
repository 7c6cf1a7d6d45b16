//! What the workers of a run are sent: documents that need nothing of the cluster any more.

use serde::Serialize;
use serde_json::json;
use superstep_api::{Engine, ModelServerSpec};
use superstep_graph::{ExternalModel, Placement, Provider};

use super::dereference::Referenced;
use crate::names::OfModelServer;
use crate::weights::in_pods;

/// The documents of a run, each as JSON.
pub(super) fn documents(referenced: &Referenced, namespace: &str) -> Vec<String> {
    let graphs = referenced.graphs.iter().map(|(name, spec)| document("AgentGraph", name, spec));
    let servers = referenced.servers.iter().map(|(name, spec)| {
        let placement = placement(referenced, name);
        document("ModelServer", name, &for_workers(spec, name, namespace, placement))
    });
    graphs.chain(servers).collect()
}

fn document(kind: &str, name: &str, spec: &impl Serialize) -> String {
    let document = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    document.to_string()
}

/// Where a model server runs for the graphs of a run: in the workers if one of them wants it there.
fn placement(referenced: &Referenced, server: &str) -> Placement {
    let models = referenced.graphs.values().flat_map(|spec| &spec.graph.models);
    let mut of_server =
        models.filter(|model| model.model_server_ref.as_ref().is_some_and(|named| named.name == server));
    let in_worker = of_server.any(|model| model.placement == Placement::InWorker);
    if in_worker { Placement::InWorker } else { Placement::Server }
}

/// A model server as workers have it: the pods that serve it are a service outside to them, and what they load
/// themselves lies in their own pods.
fn for_workers(
    spec: &ModelServerSpec,
    name: &str,
    namespace: &str,
    placement: Placement,
) -> ModelServerSpec {
    let is_outside = spec.engine.external.is_some() || spec.engine.scripted.is_some();
    match (&spec.model, placement) {
        (None, _) => spec.clone(),
        (Some(_), _) if is_outside => spec.clone(),
        (Some(model), Placement::InWorker) => {
            ModelServerSpec { model: Some(in_pods(model)), ..spec.clone() }
        }
        (Some(model), Placement::Server) => {
            let served = ExternalModel {
                provider: Provider::OpenAICompatible,
                model: model.name.clone(),
                base_url: Some(OfModelServer(name).url(namespace)),
                credential_ref: None,
                timeout: None,
                prices: None,
                calls_tools: None,
                keeps_schemas: None,
            };
            let engine = Engine { external: Some(served), ..Engine::default() };
            ModelServerSpec { model: None, engine, ..spec.clone() }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn of(placement: &str, engine: Value) -> Vec<Value> {
        let graph = json!({
            "entry": ["a"],
            "models": [{"name": "m", "modelServerRef": {"name": "small"}, "placement": placement}],
            "vertices": [{"name": "a", "prompt": {"model": "m", "template": "hi"}}],
        });
        let server = json!({
            "model": {"name": "tiny", "sources": [{"claim": {"name": "weights", "path": "tiny.gguf"}}]},
            "engine": engine,
        });
        let referenced = Referenced {
            graphs: BTreeMap::from([("g".to_owned(), serde_json::from_value(graph).unwrap())]),
            servers: BTreeMap::from([("small".to_owned(), serde_json::from_value(server).unwrap())]),
        };
        let read = |text: String| serde_json::from_str(&text).unwrap();
        documents(&referenced, "team").into_iter().map(read).collect()
    }

    #[test]
    fn pods_that_serve_a_model_are_a_service_outside() {
        let documents = of("Server", json!({"candle": {}}));
        assert_eq!(documents[0]["kind"], "AgentGraph");
        let engine = json!({"external": {
            "provider": "OpenAICompatible", "model": "tiny", "baseUrl": "http://small-model.team.svc:8000/v1",
        }});
        assert_eq!((&documents[1]["spec"]["engine"], &documents[1]["spec"]["model"]), (&engine, &Value::Null));
    }

    #[test]
    fn a_model_in_workers_is_a_file_there() {
        let documents = of("InWorker", json!({"candle": {}}));
        let sources = json!([{"file": {"path": "/claims/weights/tiny.gguf"}}]);
        assert_eq!(documents[1]["spec"]["model"]["sources"], sources);
        assert_eq!(documents[1]["spec"]["engine"], json!({"candle": {}}));
    }
}
