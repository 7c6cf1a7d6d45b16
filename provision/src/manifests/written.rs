//! Resources as documents that can be sent.

use serde::Serialize;
use superstep_api::ResourceSet;

/// Every resource as a text of JSON, which [`read_documents`](super::read_documents) reads as the same resource. What
/// was taken in from files beside the manifests stands in it, and so do the values of variables. The names of members
/// have at most 1,024 characters, as in YAML; longer ones are refused by the reader.
pub fn write_documents(resources: &ResourceSet) -> Vec<String> {
    let graphs = resources.graphs.values().map(|graph| text(&graph.content.document));
    let servers = resources.model_servers.values().map(|server| text(&server.content));
    let patches = resources.patches.values().map(|patch| text(&patch.content));
    graphs.chain(servers).chain(patches).collect()
}

fn text(document: &impl Serialize) -> String {
    let text = serde_json::to_string(document).expect("the members of resources have names");
    if !text.contains(is_no_yaml) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        // Beside ASCII, JSON has characters in texts only.
        if is_no_yaml(character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Characters that JSON takes as they are, and YAML does not, or not in texts of one line (YAML 1.2.2, 5.1 to 5.4).
fn is_no_yaml(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
