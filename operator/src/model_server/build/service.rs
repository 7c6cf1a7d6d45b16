//! Where a model is asked.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Plan;
use crate::names::HTTP;

pub(super) fn service(plan: &Plan<'_>) -> Service {
    Service {
        metadata: plan.owner.metadata(plan.names().model(), plan.names().labels()),
        spec: Some(ServiceSpec {
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: HTTP,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String("http".to_owned())),
                ..ServicePort::default()
            }]),
            selector: Some(plan.names().selector()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
