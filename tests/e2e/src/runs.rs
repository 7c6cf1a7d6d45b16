//! Graphs and runs as documents, and runs that are waited for.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use superstep_store::RunName;

use crate::kubectl;
use crate::objects::{is, text, told};

const VERSION: &str = "superstep.dev/v1alpha1";

/// An object of one of our kinds.
pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A graph that greets, without a model.
pub(crate) fn greeting(name: &str, workers: &Value) -> Value {
    object(
        "AgentGraph",
        name,
        &json!({
            "workers": workers,
            "entry": ["greet"],
            "vertices": [{"name": "greet", "function": {"cel": "'Hello, ' + input.name"}}],
        }),
    )
}

/// A run of a graph with this input.
pub(crate) fn run(name: &str, graph: &str, input: &Value) -> Value {
    object("GraphRun", name, &json!({"graphRef": {"name": graph}, "input": {"inline": input}}))
}

/// The name of a run in the store, which another object of the same name does not have.
pub(crate) fn stored(run: &Value) -> Result<RunName> {
    let (name, uid) = (text(run, "/metadata/name"), text(run, "/metadata/uid"));
    let short = uid.get(..8).with_context(|| format!("the run {name} has no uid"))?;
    Ok(format!("{name}.{short}").parse()?)
}

/// Waits until a graph is ready.
pub(crate) fn ready(namespace: &str, kind: &str, name: &str, patience: Duration) -> Result<Value> {
    let mut last = String::new();
    let found = kubectl::until(&format!("{kind} {name} is ready"), patience, || {
        let found = kubectl::get(namespace, kind, name)?;
        last = found.as_ref().map(told).unwrap_or_default();
        Ok(found.filter(|object| is(object, "Ready")))
    });
    found.with_context(|| format!("{kind} {name}: {last}"))
}

/// Waits until a run has ended, and gives it as it is then.
pub(crate) fn ended(namespace: &str, name: &str, patience: Duration) -> Result<Value> {
    let mut last = String::new();
    let found = kubectl::until(&format!("run {name} has ended"), patience, || {
        let found = kubectl::get(namespace, "graphrun", name)?;
        last = found.as_ref().map(told).unwrap_or_default();
        Ok(found.filter(|run| ["Succeeded", "Failed", "Cancelled"].contains(&text(run, "/status/phase"))))
    });
    found.with_context(|| format!("run {name}: {last}"))
}

/// Waits until a run has ended well.
pub(crate) fn succeeded(namespace: &str, name: &str, patience: Duration) -> Result<Value> {
    let run = ended(namespace, name, patience)?;
    anyhow::ensure!(text(&run, "/status/phase") == "Succeeded", "run {name}: {}", told(&run));
    Ok(run)
}
