//! The graph as its next run has it, for people, and the authorities of certificates, for workers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::Plan;

/// The key of the authorities.
pub(super) const AUTHORITIES: &str = "ca.crt";
/// The key of the graph.
const GRAPH: &str = "graph.yaml";
/// A ConfigMap has no more than a MiB.
const LARGEST: usize = 900_000;

pub(super) fn configuration(plan: &Plan<'_>) -> ConfigMap {
    let mut data = BTreeMap::from([(GRAPH.to_owned(), graph(plan))]);
    if let Some(authorities) = plan.authorities {
        data.insert(AUTHORITIES.to_owned(), authorities.to_owned());
    }
    ConfigMap {
        metadata: plan.owner.metadata(plan.names().graph(), plan.names().labels()),
        data: Some(data),
        ..ConfigMap::default()
    }
}

/// The effective graph as a manifest.
fn graph(plan: &Plan<'_>) -> String {
    let manifest = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": plan.owner.name},
        "spec": plan.effective,
    });
    match serde_saphyr::to_string(&manifest) {
        Ok(text) if text.len() <= LARGEST => text,
        Ok(text) => format!("# The graph has {} bytes, which is more than a ConfigMap holds.\n", text.len()),
        Err(error) => format!("# The graph cannot be written as YAML: {error}\n"),
    }
}
