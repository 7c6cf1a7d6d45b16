//! From a text to validated graphs.

use std::sync::Arc;

use superstep_api::{Source, load};
use superstep_graph::validate;

/// Reads a text as a manifest and checks what it holds. Every doubt has a place that can be shown, and what was
/// found valid is valid when it is looked at again.
pub fn manifests(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Arc::new(Source { name: "input.yaml".to_owned(), text: text.to_owned(), named: true });
    let loaded = load(&[source], &|_| None);
    let mut diagnostics = loaded.diagnostics;
    for graph in loaded.resources.graphs.values() {
        let problems = superstep_runtime::check(&graph.content.document.spec.graph);
        diagnostics.extend(problems.iter().map(|problem| graph.diagnose(problem)));
        let valid = &graph.content.graph;
        let again = validate(valid.spec()).expect("what is valid is valid again");
        assert_eq!(again.revision(), valid.revision());
    }
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty());
        if let Some(place) = &diagnostic.place {
            assert!(place.source.text.get(place.span.clone()).is_some(), "{:?}", place.span);
            assert!(place.position().line > 0);
        }
    }
}
