use std::path::Path;

use serde_json::{Value, json};
use superstep_api::ObjectMeta;

use super::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What of resources matters: documents, and graphs by their revisions.
fn content(resources: &ResourceSet) -> impl PartialEq + std::fmt::Debug {
    let graphs = resources.graphs.values().map(|graph| {
        let CheckedGraph { document, graph } = &graph.content;
        (document.clone(), graph.spec().clone(), graph.revision())
    });
    let servers = resources.model_servers.values().map(|server| server.content.clone());
    let patches = resources.patches.values().map(|patch| patch.content.clone());
    (graphs.collect::<Vec<_>>(), servers.collect::<Vec<_>>(), patches.collect::<Vec<_>>())
}

fn received(texts: &[String]) -> ResourceSet {
    let said = |wrong: Vec<Diagnostic>| wrong.iter().map(ToString::to_string).collect::<Vec<_>>();
    read_documents(texts).map_err(said).unwrap()
}

#[test]
fn every_example_can_be_sent() {
    let folders = std::fs::read_dir(root().join("manifests/examples")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = folders.filter(|folder| !folder.ends_with("models")).collect();
    assert!(paths.len() > 15, "{paths:?}");
    paths.extend(
        ["hello", "quickstart", "examples/models/local.yaml"].map(|name| root().join("manifests").join(name)),
    );
    paths.push(root().join("cli/tests/good"));
    for path in paths {
        let read = read_files(std::slice::from_ref(&path), &mut io::empty(), &|_| None);
        assert!(!read.diagnostics.iter().any(Diagnostic::is_error), "{:?}", read.diagnostics);
        let sent = write_documents(&read.resources);
        let received = received(&sent);
        assert_eq!(content(&received), content(&read.resources), "{}", path.display());
        assert_eq!(write_documents(&received), sent, "{}", path.display());
    }
}

#[test]
fn every_field_is_sent() {
    let text = std::fs::read_to_string(root().join("api/testdata/every_field.yaml")).unwrap();
    let loaded = |texts: &[String]| {
        let source =
            |text: &String| Arc::new(Source { name: String::new(), text: text.clone(), named: true });
        let sources: Vec<_> = texts.iter().map(source).collect();
        let loaded = load(&sources, &|_| None);
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        loaded.resources
    };
    let mut resources = loaded(&[text]);
    let received = loaded(&write_documents(&resources));
    // What the API server says of a resource is not sent.
    let forget = |metadata: &mut ObjectMeta, status: &mut Value| {
        *metadata = serde_json::from_value(json!(metadata)).unwrap();
        *status = Value::Null;
    };
    for graph in resources.graphs.values_mut() {
        forget(&mut graph.content.document.metadata, &mut graph.content.document.status);
    }
    for server in resources.model_servers.values_mut() {
        forget(&mut server.content.metadata, &mut server.content.status);
    }
    for patch in resources.patches.values_mut() {
        forget(&mut patch.content.metadata, &mut patch.content.status);
    }
    assert_eq!(content(&received), content(&resources));
}

#[test]
fn every_text_and_number_is_sent_as_it_is() {
    let long = "k".repeat(5_000);
    let texts = [
        "",
        " ",
        "yes",
        "null",
        "1e3",
        "0x1f",
        "~",
        "---\nkind: x\n---",
        "# no\n",
        "a: b",
        "\t\r\n\u{0}\u{7f}\u{85}\u{a0}",
        "\u{2028}\u{2029}\u{feff}\u{fffe}",
        "😀 \u{10ffff}",
        "\\ \" ' ${HOME} {{ x }} %25",
        &long,
    ];
    let numbers = [
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1),
        json!(1e300),
        json!(-0.0),
        json!(5e-324),
    ];
    let members: serde_json::Map<String, Value> =
        texts.iter().map(|text| (text.chars().take(1_000).collect(), json!(text))).collect();
    let value =
        json!({"texts": texts, "numbers": numbers, "members": members, "others": [null, true, [], {}]});
    let vertices = json!([{"name": "a", "function": {"cel": "input"}}]);
    let document = json!({
        "apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": "g"},
        "spec": {"entry": ["a"], "vertices": vertices},
    });
    let mut resources = received(&[document.to_string()]);
    let graph = &mut resources.graphs.get_mut("g").unwrap().content;
    graph.document.spec.graph.vertices[0].value = value;
    graph.graph = superstep_graph::validate(&graph.document.spec.graph).unwrap();
    assert_eq!(content(&received(&write_documents(&resources))), content(&resources));
}

#[test]
fn what_lies_beside_a_document_that_was_sent_is_not_read() {
    let documents = "
apiVersion: superstep.dev/v1alpha1
kind: ModelServer
metadata: {name: s}
spec: {engine: {scripted: {file: /etc/hostname}}}
---
apiVersion: superstep.dev/v1alpha1
kind: AgentGraph
metadata: {name: g}
spec:
  entry: [find, walk]
  models: [{name: m, modelServerRef: {name: s}}]
  vertices:
  - {name: find, retrieve: {model: m, query: input, documents: {files: [/etc/passwd]}}}
  - {name: walk, algorithm: {edges: {files: [edges.jsonl]}, components: {}}}
";
    let wrong = read_documents(&[documents.to_owned()]).unwrap_err();
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    for (place, name) in [("5:", "/etc/hostname"), ("14:", "/etc/passwd"), ("15:", "edges.jsonl")] {
        let expected = format!("error: file {name:?} is not sent with this document");
        let found = wrong
            .iter()
            .any(|text| text.starts_with(&format!("<document 1>:{place}")) && text.contains(&expected));
        assert!(found, "{name}: {wrong:#?}");
    }
}

#[test]
fn no_variable_of_this_process_gets_into_a_document_that_was_sent() {
    let server = |path: &str| {
        json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "ModelServer", "metadata": {"name": "s"},
            "spec": {"engine": {"candle": {}}, "model": {"name": "m", "sources": [{"file": {"path": path}}]}},
        })
        .to_string()
    };
    let wrong = read_documents(&[server("${PATH}/m.gguf")]).unwrap_err();
    assert!(wrong.len() == 1 && wrong[0].message.contains("PATH"), "{wrong:?}");
    let read = read_documents(&[server("${PATH:-a}/m.gguf")]).unwrap();
    assert!(write_documents(&read)[0].contains("\"a/m.gguf\""));
}

#[test]
fn every_mistake_is_found_in_all_texts() {
    let graph = |name: &str, cel: &str| {
        let vertices = json!([{"name": "a", "function": {"cel": cel}}]);
        json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": name},
            "spec": {"entry": ["a"], "vertices": vertices},
        })
        .to_string()
    };
    let texts =
        [graph("a", "massage"), graph("b", "input"), graph("b", "1"), "{".to_owned(), "[]".to_owned()];
    let wrong = read_documents(&texts).unwrap_err();
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    for (number, part) in [(1, "massage"), (3, "defined twice"), (4, ""), (5, "")] {
        let place = format!("<document {number}>:");
        assert!(
            wrong.iter().any(|text| text.starts_with(&place) && text.contains(part)),
            "{number}: {wrong:#?}"
        );
    }
    assert_eq!(read_documents(&[]).unwrap().graphs.len(), 0);
}
