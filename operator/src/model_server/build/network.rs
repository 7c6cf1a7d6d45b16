//! Who may ask a model, and what its pods reach.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::Plan;
use crate::names::HTTP;
use crate::network;

/// The label of pods that may ask a model, beside the workers of the namespace.
const CLIENT: &str = "superstep.dev/model-client";
/// The port of hubs and registries.
const HTTPS: u16 = 443;

pub(super) fn policy(plan: &Plan<'_>) -> NetworkPolicy {
    let workers = BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "superstep".to_owned()),
        ("app.kubernetes.io/component".to_owned(), "worker".to_owned()),
    ]);
    let clients = BTreeMap::from([(CLIENT.to_owned(), plan.owner.name.clone())]);
    let from = vec![network::pods(workers), network::pods(clients)];
    let mut ingress = vec![network::comes(from, vec![network::tcp(HTTP)])];
    if plan.spec.autoscaling.is_some() {
        // The operator asks how much is asked of them.
        let operator = vec![network::operator(plan.settings)];
        ingress.push(network::comes(operator, vec![network::tcp(HTTP)]));
    }
    let mut egress = vec![network::names()];
    if fetches(plan) {
        egress.push(network::goes(Vec::new(), vec![network::tcp(HTTPS)]));
    }
    NetworkPolicy {
        metadata: plan.owner.metadata(plan.names().model(), plan.names().labels()),
        spec: Some(network::policy(plan.names().selector(), ingress, egress)),
    }
}

/// Whether the engine fetches weights.
fn fetches(plan: &Plan<'_>) -> bool {
    let Some(model) = &plan.spec.model else { return false };
    let from_library = plan.spec.engine.ollama.is_some() && model.sources.is_empty();
    from_library || model.sources.iter().any(|source| source.hugging_face.is_some())
}
