//! Whom workers hear, and whom they reach.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::Plan;
use super::store::store;
use crate::agent_graph::needs::port_of;
use crate::names::{GRPC, HEALTH, HTTP, OfModelServer};
use crate::network;

/// The label of pods that may ask for the runs of a graph.
const CLIENT: &str = "superstep.dev/client";

pub(super) fn policy(plan: &Plan<'_>) -> NetworkPolicy {
    let (names, settings) = (plan.names(), plan.settings);
    let workers = network::pods(names.selector());
    let clients = network::pods(BTreeMap::from([(CLIENT.to_owned(), plan.owner.name.clone())]));
    let ingress = vec![
        network::comes(vec![workers.clone(), network::operator(settings), clients], vec![network::tcp(GRPC)]),
        // The kubelet, and whoever reads metrics.
        network::comes(Vec::new(), vec![network::tcp(HEALTH)]),
    ];
    let mut egress = vec![network::names(), network::goes(vec![workers], vec![network::tcp(GRPC)])];
    egress.extend(network::api_server(settings));
    if let Some(signer) = &settings.signer_address {
        egress.push(network::goes(vec![network::operator(settings)], vec![network::tcp(port_of(signer))]));
    }
    let servers = plan.needs.servers.iter().map(|name| network::pods(OfModelServer(name).selector()));
    let servers: Vec<_> = servers.collect();
    if !servers.is_empty() {
        egress.push(network::goes(servers, vec![network::tcp(HTTP)]));
    }
    let mut ports = plan.needs.ports.clone();
    if store(plan).is_remote {
        ports.extend(&settings.store.ports);
    }
    if !ports.is_empty() {
        // A policy cannot name hosts of the world outside, so that only ports are held.
        egress.push(network::goes(Vec::new(), ports.into_iter().map(network::tcp).collect()));
    }
    NetworkPolicy {
        metadata: plan.owner.metadata(names.worker(), names.labels()),
        spec: Some(network::policy(names.selector(), ingress, egress)),
    }
}
