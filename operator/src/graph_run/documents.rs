//! What the workers of a run are sent: documents that need nothing of the cluster any more.

use serde::Serialize;
use serde_json::json;
use superstep_api::{Autoscaling, Engine, ModelServerSpec};
use superstep_graph::{ExternalModel, Provider};

use crate::agent_graph::{Referenced, Server};
use crate::names::OfModelServer;
use crate::weights::in_pods;

/// The documents of a run, each as JSON.
pub(super) fn documents(referenced: &Referenced, namespace: &str) -> Vec<String> {
    let graphs = referenced.graphs.iter().map(|(name, spec)| document("AgentGraph", name, spec));
    let servers = referenced
        .servers
        .iter()
        .map(|(name, server)| document("ModelServer", name, &for_workers(server, name, namespace)));
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

/// A model server as workers have it: the pods that serve it are a service outside to them, and what they load
/// themselves lies in their own pods.
fn for_workers(server: &Server, name: &str, namespace: &str) -> ModelServerSpec {
    let spec = &server.spec;
    let is_outside = spec.engine.external.is_some() || spec.engine.scripted.is_some();
    match &spec.model {
        Some(model) if !is_outside && server.in_worker => {
            ModelServerSpec { model: Some(in_pods(model)), autoscaling: None, ..spec.clone() }
        }
        Some(model) if !is_outside => {
            // What is ours alone, such as seeds of 64 bits, others refuse or take for something else.
            let is_ours = spec.engine.candle.is_some();
            // At zero nobody listens, and the first replica loads its weights before it does.
            let at_zero = spec.autoscaling.filter(Autoscaling::reaches_zero);
            let served = ExternalModel {
                provider: if is_ours { Provider::Superstep } else { Provider::OpenAICompatible },
                model: model.name.clone(),
                base_url: Some(OfModelServer(name).url(namespace)),
                credential_ref: None,
                timeout: None,
                starts_within: at_zero.map(|autoscaling| autoscaling.starts_within().into()),
                prices: None,
                calls_tools: Some(false),
                keeps_schemas: None,
            };
            let engine = Engine { external: Some(served), ..Engine::default() };
            let devices = superstep_api::Devices::default();
            ModelServerSpec { model: None, engine, devices, autoscaling: None, ..spec.clone() }
        }
        Some(_) | None => spec.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn of(in_worker: bool, engine: Value) -> Vec<Value> {
        scaled(in_worker, engine, &Value::Null)
    }

    fn scaled(in_worker: bool, engine: Value, autoscaling: &Value) -> Vec<Value> {
        let graph = json!({
            "entry": ["a"],
            "models": [{"name": "m", "modelServerRef": {"name": "small"}}],
            "vertices": [{"name": "a", "prompt": {"model": "m", "template": "hi"}}],
        });
        let server = json!({
            "model": {"name": "tiny", "sources": [{"claim": {"name": "weights", "path": "tiny.gguf"}}]},
            "engine": engine,
            "autoscaling": autoscaling,
        });
        let referenced = Referenced {
            graphs: BTreeMap::from([("g".to_owned(), serde_json::from_value(graph).unwrap())]),
            servers: BTreeMap::from([(
                "small".to_owned(),
                Server { spec: serde_json::from_value(server).unwrap(), in_worker },
            )]),
            missing: Vec::new(),
        };
        let read = |text: String| serde_json::from_str(&text).unwrap();
        documents(&referenced, "team").into_iter().map(read).collect()
    }

    #[test]
    fn pods_that_serve_a_model_are_a_service_outside() {
        let documents = of(false, json!({"candle": {}}));
        assert_eq!(documents[0]["kind"], "AgentGraph");
        let engine = json!({"external": {
            "provider": "Superstep", "model": "tiny", "baseUrl": "http://small-model.team.svc:8000/v1",
            "callsTools": false,
        }});
        assert_eq!(
            (&documents[1]["spec"]["engine"], &documents[1]["spec"]["model"]),
            (&engine, &Value::Null)
        );
    }

    #[test]
    fn engines_of_others_are_asked_for_nothing_that_is_ours() {
        for engine in ["vllm", "tgi", "sglang", "llamaCpp", "ollama"] {
            let documents = of(false, json!({ engine: {"image": "i"} }));
            let external = &documents[1]["spec"]["engine"]["external"];
            assert_eq!(external["provider"], "OpenAICompatible", "{engine}");
            assert_eq!(external["baseUrl"], "http://small-model.team.svc:8000/v1", "{engine}");
        }
    }

    #[test]
    fn a_server_that_may_have_no_pods_is_waited_for() {
        let of = |min: u32| {
            let documents =
                scaled(false, json!({"candle": {}}), &json!({"minReplicas": min, "maxReplicas": 2}));
            let spec = documents[1]["spec"].clone();
            assert_eq!(spec.get("autoscaling"), None);
            spec["engine"]["external"].get("startsWithin").cloned()
        };
        assert_eq!((of(0), of(1)), (Some(json!("10m")), None));
    }

    #[test]
    fn a_model_in_workers_is_a_file_there() {
        let documents = of(true, json!({"candle": {}}));
        let sources = json!([{"file": {"path": "/claims/weights/tiny.gguf"}}]);
        assert_eq!(documents[1]["spec"]["model"]["sources"], sources);
        assert_eq!(documents[1]["spec"]["engine"], json!({"candle": {}}));
    }
}
