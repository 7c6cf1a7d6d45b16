//! Parts of NetworkPolicies.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::settings::Settings;

/// Where API servers listen, where nobody says it.
const API_SERVER: [u16; 3] = [443, 6_443, 16_443];

/// Nothing comes in and nothing goes out but this.
pub(crate) fn policy(
    selector: BTreeMap<String, String>,
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(labelled(selector)),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        ingress: Some(ingress),
        egress: Some(egress),
    }
}

fn labelled(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

/// Pods of the same namespace.
pub(crate) fn pods(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(labelled(labels)), ..NetworkPolicyPeer::default() }
}

/// The pods of the operator.
pub(crate) fn operator(settings: &Settings) -> NetworkPolicyPeer {
    let namespace =
        BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), settings.own_namespace.clone())]);
    let pods = BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "superstep".to_owned()),
        ("app.kubernetes.io/component".to_owned(), "operator".to_owned()),
    ]);
    NetworkPolicyPeer {
        namespace_selector: Some(labelled(namespace)),
        pod_selector: Some(labelled(pods)),
        ..NetworkPolicyPeer::default()
    }
}

/// A port of TCP.
pub(crate) fn tcp(port: impl Into<i32>) -> NetworkPolicyPort {
    of("TCP", port.into())
}

fn of(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    }
}

/// Some may come in at a port; anybody, if nobody is named.
pub(crate) fn comes(from: Vec<NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from: Some(from).filter(|from| !from.is_empty()), ports: Some(ports) }
}

/// Something can be reached at a port; anything, if nothing is named.
pub(crate) fn goes(to: Vec<NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(to).filter(|to| !to.is_empty()), ports: Some(ports) }
}

/// Names are looked up.
pub(crate) fn names() -> NetworkPolicyEgressRule {
    goes(Vec::new(), vec![of("UDP", 53), of("TCP", 53)])
}

/// The API server is reached: at the addresses that the operator was told, or else at the usual ports.
pub(crate) fn api_server(settings: &Settings) -> Vec<NetworkPolicyEgressRule> {
    if settings.api_servers.is_empty() {
        return vec![goes(Vec::new(), API_SERVER.into_iter().map(tcp).collect())];
    }
    let rule = |address: &std::net::SocketAddr| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let block = IPBlock { cidr: format!("{}/{bits}", address.ip()), except: None };
        let peer = NetworkPolicyPeer { ip_block: Some(block), ..NetworkPolicyPeer::default() };
        goes(vec![peer], vec![tcp(address.port())])
    };
    settings.api_servers.iter().map(rule).collect()
}
