use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::*;

/// What an object in etcd may have at most leaves room for the last manifest that was applied, which clients keep
/// in an annotation of 256 KiB.
const MOST_BYTES: usize = 100 * 1024;

fn schema_of(crd: &CustomResourceDefinition) -> Value {
    serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"].clone()
}

fn kind(crd: &CustomResourceDefinition) -> &str {
    &crd.spec.names.kind
}

/// Calls `visit` with the path of each schema below, and the schema.
fn walk<'a>(path: &str, schema: &'a Value, visit: &mut dyn FnMut(&str, &'a Map<String, Value>)) {
    let members = schema.as_object().unwrap();
    visit(path, members);
    for (name, below) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(&format!("{path}.{name}"), below, visit);
    }
    if let Some(items) = members.get("items") {
        walk(&format!("{path}[]"), items, visit);
    }
    if let Some(of_map) = members.get("additionalProperties") {
        walk(&format!("{path}{{}}"), of_map, visit);
    }
}

#[test]
fn each_definition_can_be_made_and_is_small() {
    let names: Vec<String> = crds().iter().map(|crd| crd.metadata.name.clone().unwrap()).collect();
    assert_eq!(
        names,
        [
            "agentgraphs.superstep.dev",
            "agentgraphpatches.superstep.dev",
            "graphruns.superstep.dev",
            "modelservers.superstep.dev"
        ]
    );
    for crd in crds() {
        let bytes = serde_json::to_string(&crd).unwrap().len();
        assert!(bytes <= MOST_BYTES, "{} has {bytes} bytes", kind(&crd));
    }
}

/// The rules of structural schemas, by the documentation of CustomResourceDefinitions: a type everywhere but in
/// free leaves, and no word that says it in another way.
#[test]
fn each_schema_is_structural() {
    let forbidden = [
        "$ref",
        "$defs",
        "definitions",
        "const",
        "allOf",
        "not",
        "patternProperties",
        "prefixItems",
        "uniqueItems",
        "deprecated",
        "examples",
        "contentEncoding",
    ];
    for crd in crds() {
        walk(kind(&crd), &schema_of(&crd), &mut |path, schema| {
            for word in forbidden {
                assert!(!schema.contains_key(word), "{path} has {word}");
            }
            let is_free = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
            let is_either = schema.get("x-kubernetes-int-or-string") == Some(&json!(true));
            let has_type = schema.contains_key("type");
            assert!(has_type ^ is_either || is_free, "{path}");
            for choice in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
                assert_eq!(choice.as_object().unwrap().keys().collect::<Vec<_>>(), ["required"], "{path}");
            }
            assert_eq!(schema.contains_key("anyOf"), is_either, "{path}");
            let both = schema.contains_key("properties") && schema.contains_key("additionalProperties");
            assert!(!both, "{path} is an object and a map");
        });
    }
}

#[test]
fn everything_has_a_limit_and_is_described() {
    for crd in crds() {
        walk(kind(&crd), &schema_of(&crd), &mut |path, schema| {
            let kind = schema.get("type").and_then(Value::as_str);
            let has = |word: &str| schema.contains_key(word);
            match kind {
                Some("string") => assert!(has("maxLength") || has("enum") || has("format"), "{path}"),
                Some("array") => assert!(has("maxItems"), "{path}"),
                Some("object") if has("additionalProperties") => assert!(has("maxProperties"), "{path}"),
                Some("integer") => {
                    let formats = [json!("int32"), json!("int64")];
                    assert!(schema.get("format").is_some_and(|format| formats.contains(format)), "{path}");
                }
                Some(_) | None => {}
            }
            let is_part = path.ends_with(']') || path.ends_with('}');
            assert!(is_part || has("description"), "{path} is not described");
        });
    }
}

/// A list that the server completes looks changed to whoever compares it with its manifest.
#[test]
fn only_keys_have_defaults_inside_lists() {
    let mut found = BTreeSet::new();
    for crd in crds() {
        walk(kind(&crd), &schema_of(&crd), &mut |path, schema| {
            if path.contains("[]") && schema.contains_key("default") {
                found.insert(path.to_owned());
            }
        });
    }
    let edges = ["AgentGraph.spec.edges[].port", "AgentGraphPatch.spec.mutations[].addEdge.port"];
    assert_eq!(found, edges.map(str::to_owned).into());
}

#[test]
fn keys_of_lists_are_there_and_have_a_value() {
    for crd in crds() {
        walk(kind(&crd), &schema_of(&crd), &mut |path, schema| {
            for key in
                schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten()
            {
                let items = &schema["items"];
                let name = key.as_str().unwrap();
                let is_required = items["required"].as_array().unwrap().contains(key);
                let has_default = items["properties"][name].get("default").is_some();
                assert!(is_required || has_default, "{path} has no {name}");
            }
        });
    }
}

/// Documents of the folders, by kind.
fn documents() -> Vec<(String, Value)> {
    fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    ["../manifests", "testdata"].iter().for_each(|folder| files(folder.as_ref(), &mut found));
    let mut all = Vec::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let options = serde_saphyr::options! { strict_booleans: true };
        let values: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options).unwrap();
        all.extend(values.into_iter().map(|value| (path.display().to_string(), value)));
    }
    all
}

/// The schema, such that what a server would drop without a word is an error.
fn strict(schema: &Value) -> Value {
    let mut strict = schema.clone();
    let members = strict.as_object_mut().unwrap();
    for (_, below) in members.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        *below = self::strict(below);
    }
    for word in ["items", "additionalProperties"] {
        if let Some(below) = members.get_mut(word) {
            *below = self::strict(below);
        }
    }
    let is_free = members.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if members.get("type") == Some(&json!("object")) && !is_free {
        members.entry("additionalProperties").or_insert(json!(false));
    }
    strict
}

/// What a local run reads, a cluster takes, with every field of it.
#[test]
fn a_cluster_takes_the_documents_of_a_local_run() {
    let crds = crds();
    let mut checked = 0;
    for (file, document) in documents() {
        let Some(crd) = crds.iter().find(|crd| document["kind"] == kind(crd)) else { continue };
        let schema = strict(&schema_of(crd)["properties"]["spec"]);
        // OpenAPI 3.0 has exclusive bounds as draft 4 has them.
        let validator = jsonschema::draft4::new(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&document["spec"])
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{file}");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn exactly_one_is_a_rule_and_reserved_words_are_written_around() {
    let [graph, ..] = crds();
    let vertex = &schema_of(&graph)["properties"]["spec"]["properties"]["vertices"]["items"];
    let rule = &vertex["x-kubernetes-validations"][0];
    assert!(rule["rule"].as_str().unwrap().contains("has(self.prompt), has(self.agent)"), "{rule}");
    assert!(rule["rule"].as_str().unwrap().contains("has(self.__function__)"), "{rule}");
    assert!(rule["message"].as_str().unwrap().contains("exactly one of prompt"), "{rule}");
}

#[test]
fn the_kinds_are_those_that_local_runs_and_people_call_by_their_short_names() {
    let short: Vec<Vec<String>> =
        crds().iter().map(|crd| crd.spec.names.short_names.clone().unwrap()).collect();
    assert_eq!(short, [["agraph"], ["agpatch"], ["grun"], ["msrv"]]);
    for crd in crds() {
        assert_eq!(crd.spec.names.categories.as_deref(), Some(&["superstep".to_owned()][..]));
        assert_eq!(crd.spec.group, crate::kind::GROUP);
        assert_eq!(format!("{}/{}", crd.spec.group, crd.spec.versions[0].name), crate::kind::API_VERSION);
        assert_eq!(crd.spec.scope, "Namespaced");
        let subresources = crd.spec.versions[0].subresources.as_ref().unwrap();
        assert!(subresources.status.is_some());
        assert_eq!(subresources.scale.is_some(), ["AgentGraph", "ModelServer"].contains(&kind(&crd)));
    }
}
