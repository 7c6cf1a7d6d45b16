//! How workers are found, and how many of them may be taken away.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Plan;
use crate::names::GRPC;

/// The service that gives each pod its name, and that of those who ask for runs.
pub(super) fn services(plan: &Plan<'_>) -> [Service; 2] {
    let names = plan.names();
    let service = |name: String, rest: ServiceSpec| Service {
        metadata: plan.owner.metadata(name, names.labels()),
        spec: Some(ServiceSpec {
            ports: Some(vec![ServicePort {
                name: Some("grpc".to_owned()),
                port: GRPC,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String("grpc".to_owned())),
                ..ServicePort::default()
            }]),
            selector: Some(names.selector()),
            ..rest
        }),
        status: None,
    };
    // A worker is looked up before it is ready: it becomes so only with the others.
    let each = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        publish_not_ready_addresses: Some(true),
        ..ServiceSpec::default()
    };
    [service(names.workers(), each), service(names.runs(), ServiceSpec::default())]
}

/// Nodes are drained one worker after another.
pub(super) fn budget(plan: &Plan<'_>) -> PodDisruptionBudget {
    let selector: BTreeMap<String, String> = plan.names().selector();
    PodDisruptionBudget {
        metadata: plan.owner.metadata(plan.names().worker(), plan.names().labels()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
            // A pod that does not run holds up no drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
