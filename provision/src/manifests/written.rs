//! Resources as documents that can be sent.

use serde::Serialize;
use superstep_api::ResourceSet;

/// Every resource as a text of JSON, which [`read_documents`](super::read_documents) reads as the same resource. What
/// was taken in from files beside the manifests stands in it, and so do the values of variables.
pub fn write_documents(resources: &ResourceSet) -> Vec<String> {
    let graphs = resources.graphs.values().map(|graph| text(&graph.content.document));
    let servers = resources.model_servers.values().map(|server| text(&server.content));
    let patches = resources.patches.values().map(|patch| text(&patch.content));
    graphs.chain(servers).chain(patches).collect()
}

fn text(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("the members of resources have names")
}
