//! The life of a graph and of a model server: created, scaled, changed, deleted, created again.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;

use super::cluster::{Room, answered};
use super::proxy::Proxy;

/// What was there after each step.
pub(crate) type Steps = Vec<(&'static str, BTreeMap<String, Value>)>;

/// What happens before each step of a life.
pub(crate) enum Between {
    /// Nothing.
    Nothing,
    /// From here on is shown what is there before the step, until somebody who is told of it shows more.
    Stale(Proxy, Sender<&'static str>),
}

impl Between {
    /// A step begins.
    pub(crate) async fn begin(&self, step: &'static str) {
        if let Self::Stale(proxy, turn) = self {
            proxy.freeze();
            turn.send(step).await.unwrap();
            // The process lists what is there before the step, and lists it again after it.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }
}

/// A graph of one model, with what a test adds to its spec.
pub(crate) fn graph(name: &str, more: &Value) -> Value {
    let mut spec = json!({
        "entry": ["hello"],
        "models": [{"name": "small", "modelServerRef": {"name": "small"}}],
        "vertices": [{"name": "hello", "prompt": {"model": "small", "template": "hi"}}],
    });
    for (member, value) in more.as_object().unwrap() {
        spec[member] = value.clone();
    }
    json!({
        "apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": name}, "spec": spec,
    })
}

/// A model server on our own engine.
pub(crate) fn server(name: &str, context: u32) -> Value {
    json!({
        "apiVersion": "superstep.dev/v1alpha1", "kind": "ModelServer", "metadata": {"name": name},
        "spec": {
            "model": {"name": "tiny", "sources": [{"file": {"path": "tiny.gguf"}}]},
            "engine": {"candle": {"contextLength": context}},
        },
    })
}

/// Runs `kubectl scale`.
pub(crate) async fn scale(room: &Room, kind: &str, name: &str, replicas: u32) {
    let scale = json!({"spec": {"replicas": replicas}});
    let (api, how, patch) = (room.api(kind), PatchParams::default(), Patch::Merge(scale));
    answered(async || api.patch_scale(name, &how, &patch).await).await.unwrap();
}

/// Lives it.
pub(crate) async fn live(room: &Room, between: &Between) -> Steps {
    let mut steps = Vec::new();
    between.begin("create").await;
    room.apply(graph("triage", &json!({}))).await;
    room.apply(server("small", 512)).await;
    both_ready(room).await;
    steps.push(("create", seen(room).await));

    between.begin("scale").await;
    scale(room, "AgentGraph", "triage", 3).await;
    scale(room, "ModelServer", "small", 2).await;
    both_ready(room).await;
    steps.push(("scale", seen(room).await));

    between.begin("change").await;
    let external =
        json!({"provider": "OpenAI", "model": "gpt", "credentialRef": {"name": "openai", "key": "apiKey"}});
    let models = json!([
        {"name": "small", "modelServerRef": {"name": "small"}},
        {"name": "large", "external": external},
    ]);
    room.apply(graph("triage", &json!({"models": models}))).await;
    room.apply(server("small", 1_024)).await;
    both_ready(room).await;
    steps.push(("change", seen(room).await));

    between.begin("delete").await;
    room.delete("AgentGraph", "triage").await;
    room.delete("ModelServer", "small").await;
    room.until_empty().await;

    between.begin("recreate").await;
    room.apply(server("small", 512)).await;
    room.apply(graph("triage", &json!({}))).await;
    both_ready(room).await;
    steps.push(("recreate", seen(room).await));

    between.begin("end").await;
    room.delete("ModelServer", "small").await;
    room.delete("AgentGraph", "triage").await;
    room.until_empty().await;
    steps
}

async fn both_ready(room: &Room) {
    room.until_ready("ModelServer", "small").await;
    room.until_ready("AgentGraph", "triage").await;
}

/// What is there, with the name of the namespace left out.
async fn seen(room: &Room) -> BTreeMap<String, Value> {
    let children = room.children().await;
    children.into_iter().map(|(name, value)| (name, neutral(room, &value))).collect()
}

/// A value with the name of the namespace left out.
pub(crate) fn neutral(room: &Room, value: &Value) -> Value {
    serde_json::from_str(&value.to_string().replace(&room.namespace, "NAMESPACE")).unwrap()
}
