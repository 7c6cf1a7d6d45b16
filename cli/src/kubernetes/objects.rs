//! The objects of runs and graphs.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use superstep_api::run_name;

use super::kubectl::{Kubectl, KubectlError};
use crate::exit::CommandError;
use crate::log;
use crate::output::{self, OutputFormat};

/// How long a run may take to begin before one who waits for it gives up. Pods may have to be made before.
const BEGINS: Duration = Duration::from_secs(300);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);
const API_VERSION: &str = "superstep.dev/v1alpha1";

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// Which cluster it is, as an address says it.
    pub(super) cluster: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// Its graph.
    pub(super) graph: String,
    /// Its name among the runs of its workers.
    pub(super) run: String,
}

/// What is wanted of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Running,
    Suspended,
    Cancelled,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Suspended => "Suspended",
            Self::Cancelled => "Cancelled",
        }
    }
}

impl Located {
    /// The run of this object.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(kubectl: &Kubectl, name: &str) -> Result<Self, KubectlError> {
        let object: Value = kubectl.json(&["get", "graphrun", name])?;
        Ok(Self::of(kubectl, &object))
    }

    fn of(kubectl: &Kubectl, object: &Value) -> Self {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            cluster: kubectl.place(),
            namespace: kubectl.namespace().to_owned(),
            graph: text("/spec/graphRef/name"),
            run: run_name(&text("/metadata/name"), &text("/metadata/uid")),
        }
    }
}

/// Creates a run, and gives its name.
///
/// # Errors
/// The cluster refuses it.
pub(super) fn create(
    kubectl: &Kubectl,
    name: Option<&str>,
    graph: &str,
    spec: &Value,
) -> Result<String, KubectlError> {
    let metadata = match name {
        Some(name) => json!({"name": name}),
        None => json!({"generateName": format!("{graph}-")}),
    };
    let object = json!({"apiVersion": API_VERSION, "kind": "GraphRun", "metadata": metadata, "spec": spec});
    let created = kubectl.give(&["create"], &object)?;
    Ok(created.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Waits until the workers have a run.
///
/// # Errors
/// It fails before, or takes too long.
pub(super) fn begun(kubectl: &Kubectl, name: &str) -> Result<Located, KubectlError> {
    let until = Instant::now() + BEGINS;
    let mut told = String::new();
    loop {
        let object: Value = kubectl.json(&["get", "graphrun", name])?;
        let said = |member: &str| {
            object
                .pointer(&format!("/status/{member}"))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if !said("startedAt").is_empty() {
            return Ok(Located::of(kubectl, &object));
        }
        let why = said("message");
        if matches!(said("phase").as_str(), "Failed" | "Cancelled") || Instant::now() >= until {
            return Err(KubectlError::NotBegun { run: name.to_owned(), why });
        }
        if told != why {
            log::say(&format!("{name} waits: {why}"));
            told = why;
        }
        sleep(LOOK);
    }
}

/// Says what is wanted of a run.
///
/// # Errors
/// The cluster refuses it.
pub(super) fn set_mode(kubectl: &Kubectl, run: &str, mode: Mode) -> Result<(), KubectlError> {
    let patch = json!({"spec": {"operatingMode": mode.name()}}).to_string();
    kubectl.json::<Value>(&["patch", "graphrun", run, "--type=merge", "--patch", &patch])?;
    log::say(&format!("{run} is to be {}", mode.name()));
    Ok(())
}

/// Writes a graph as later runs have it, as a manifest.
///
/// # Errors
/// There is none, or stdout cannot be written to.
pub(super) fn promote(kubectl: &Kubectl, graph: &str) -> Result<(), CommandError> {
    let config: Value = kubectl.json(&["get", "configmap", &format!("{graph}-graph")])?;
    let text = config.pointer("/data/graph.yaml").and_then(Value::as_str).unwrap_or_default();
    let spec: Value = serde_saphyr::from_str(text).map_err(io::Error::other)?;
    let object: Value = kubectl.json(&["get", "agentgraph", graph])?;
    output::write(&manifest(&object, &spec), OutputFormat::Yaml, &mut io::stdout().lock())?;
    Ok(())
}

/// The manifest of a graph with another spec; its workers are as they were.
fn manifest(object: &Value, effective: &Value) -> Value {
    let mut spec = effective.get("spec").unwrap_or(effective).clone();
    if let Some(workers) = object.pointer("/spec/workers")
        && spec.get("workers").is_none()
    {
        spec["workers"] = workers.clone();
    }
    let mut metadata = json!({"name": object["metadata"]["name"]});
    if let Some(labels) = object.pointer("/metadata/labels") {
        metadata["labels"] = labels.clone();
    }
    json!({"apiVersion": API_VERSION, "kind": "AgentGraph", "metadata": metadata, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::super::args::ClusterArgs;
    use super::*;

    #[test]
    fn a_run_has_the_name_that_the_operator_gives_it() {
        let object = json!({
            "metadata": {"name": "triage-x", "uid": "0a1b2c3d-4e5f"},
            "spec": {"graphRef": {"name": "triage"}},
        });
        let args = ClusterArgs {
            namespace: Some("team".to_owned()),
            context: Some("other".to_owned()),
            ..ClusterArgs::default()
        };
        let found = Located::of(&Kubectl::new(&args).unwrap(), &object);
        assert_eq!((found.namespace.as_str(), found.cluster.as_str()), ("team", "?context=other"));
        assert_eq!((found.run.as_str(), found.graph.as_str()), ("triage-x.0a1b2c3d", "triage"));
    }

    #[test]
    fn a_promoted_graph_keeps_its_workers_and_labels() {
        let object = json!({
            "metadata": {"name": "g", "labels": {"team": "a"}, "uid": "u"},
            "spec": {"entry": ["a"], "workers": {"replicas": 3}},
        });
        let manifest = manifest(&object, &json!({"entry": ["a", "b"]}));
        assert_eq!(manifest["spec"], json!({"entry": ["a", "b"], "workers": {"replicas": 3}}));
        assert_eq!(manifest["metadata"], json!({"name": "g", "labels": {"team": "a"}}));
    }
}
