//! The JSON schema and the reader agree, over every field that there is.

#![expect(clippy::unwrap_used, reason = "what the tests share may fail them as a test may")]

#[path = "schema/fields.rs"]
mod fields;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use superstep_api::{
    AgentGraph, AgentGraphPatch, Kind, ModelServer, RunSpec, SchemaKind, Source, load, read_document, schema,
};

/// Folders whose documents a user may take as examples, and one that has what they leave out.
const FOLDERS: [&str; 4] = ["../manifests", "../cli/tests/good", "../cli/tests/graphs", "testdata"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
}

/// Every resource of the folders.
fn documents(folders: &[&str]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    folders.iter().for_each(|folder| files(Path::new(folder), &mut found));
    found.sort();
    let mut documents = Vec::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let options = serde_saphyr::options! { strict_booleans: true };
        let values: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options).unwrap();
        let ours = values.into_iter().filter(|value| kind_of(value).is_some());
        documents.extend(ours.map(|value| (path.display().to_string(), value)));
    }
    documents
}

fn kind_of(document: &Value) -> Option<SchemaKind> {
    let name = document.get("kind")?.as_str()?;
    SchemaKind::ALL.into_iter().find(|kind| kind.name() == name)
}

fn validator(kind: Option<SchemaKind>) -> Validator {
    jsonschema::draft202012::new(&schema(kind)).unwrap()
}

/// Whether the document has the form of its kind, relations apart.
fn has_form(kind: SchemaKind, document: &Value) -> bool {
    fn is<T: DeserializeOwned>(value: &Value) -> bool {
        serde_json::from_value::<T>(value.clone()).is_ok()
    }
    match kind {
        SchemaKind::Local(Kind::AgentGraph) => is::<AgentGraph>(document),
        SchemaKind::Local(Kind::ModelServer) => is::<ModelServer>(document),
        SchemaKind::Local(Kind::AgentGraphPatch) => is::<AgentGraphPatch>(document),
        SchemaKind::GraphRun => is::<RunSpec>(&document["spec"]),
    }
}

/// What the reader finds wrong with the document by itself; references to others are not looked at, nor that this
/// is no cluster. Of a run only the spec is read.
fn mistakes(document: &Value) -> Vec<String> {
    let source =
        |value: &Value| Arc::new(Source { name: "a.json".to_owned(), text: value.to_string(), named: true });
    if kind_of(document) == Some(SchemaKind::GraphRun) {
        let read = read_document::<RunSpec>(&source(&document["spec"]));
        return read.err().unwrap_or_default().iter().map(ToString::to_string).collect();
    }
    let loaded = load(&[source(document)], &|_| None);
    let errors = loaded.diagnostics.iter().filter(|found| found.is_error());
    let elsewhere = |error: &String| {
        error.contains("no ModelServer is named")
            || error.contains("no AgentGraph is named")
            || error.contains("is not available in a local run")
    };
    errors.map(ToString::to_string).filter(|error| !elsewhere(error)).collect()
}

/// A walk over a document along its schema, noting which fields and words of it occur.
struct Walk<'a> {
    definitions: &'a Map<String, Value>,
    seen: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    /// `place` names the schema: a definition, or the way to it from one.
    fn walk(&mut self, place: &str, schema: &'a Value, value: &Value) {
        if let Some(name) = definition(schema) {
            let schema = &self.definitions[name];
            return self.walk(name, schema, value);
        }
        for choices in ["anyOf", "oneOf"].iter().filter_map(|word| schema.get(word)?.as_array()) {
            for choice in choices {
                if fits(self.definitions, choice, value) {
                    self.walk(place, choice, value);
                }
            }
        }
        if let Some(word) = value.as_str().filter(|word| words(schema).any(|known| known == *word)) {
            self.seen.insert(format!("{place} = {word}"));
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let properties = schema.get("properties").and_then(Value::as_object);
            if let Some(below) = properties.and_then(|properties| properties.get(name)) {
                // The conditions of an exactly-one say nothing of a field but whether it is there.
                if !is_condition(below) {
                    self.seen.insert(format!("{place}.{name}"));
                    self.walk(&format!("{place}.{name}"), below, member);
                }
            } else if let Some(below) = schema.get("additionalProperties") {
                self.walk(&format!("{place}.*"), below, member);
            }
        }
        for item in value.as_array().into_iter().flatten() {
            if let Some(below) = schema.get("items") {
                self.walk(place, below, item);
            }
        }
    }
}

/// Whether a part of a schema takes a value.
fn fits(definitions: &Map<String, Value>, schema: &Value, value: &Value) -> bool {
    let mut whole = schema.clone();
    if let Some(members) = whole.as_object_mut() {
        members.insert("$defs".to_owned(), definitions.clone().into());
    }
    jsonschema::draft202012::is_valid(&whole, value)
}

fn is_condition(schema: &Value) -> bool {
    schema.get("not").is_some()
}

fn definition(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

fn words(schema: &Value) -> impl Iterator<Item = &str> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    listed.chain(schema.get("const")).filter_map(Value::as_str)
}

/// Every field and word of a schema, named as [`Walk`] names them.
fn everything(place: &str, schema: &Value, found: &mut BTreeSet<String>) {
    found.extend(words(schema).map(|word| format!("{place} = {word}")));
    for (name, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if !is_condition(below) {
            found.insert(format!("{place}.{name}"));
            everything(&format!("{place}.{name}"), below, found);
        }
    }
    if let Some(below) = schema.get("additionalProperties") {
        everything(&format!("{place}.*"), below, found);
    }
    for word in ["anyOf", "oneOf"] {
        for choice in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
            everything(place, choice, found);
        }
    }
    if let Some(below) = schema.get("items") {
        everything(place, below, found);
    }
}

#[test]
fn every_field_and_every_word_occurs_in_a_document_that_is_accepted() {
    let whole = schema(None);
    let definitions = whole["$defs"].as_object().unwrap();
    let mut walk = Walk { definitions, seen: BTreeSet::new() };
    let documents = documents(&FOLDERS);
    assert!(documents.len() > 10);
    for (file, document) in documents {
        let kind = kind_of(&document).unwrap();
        for validator in [validator(None), validator(Some(kind))] {
            let errors: Vec<String> =
                validator.iter_errors(&document).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{file}");
        }
        assert_eq!(mistakes(&document), Vec::<String>::new(), "{file}");
        walk.walk(kind.name(), &definitions[kind.name()], &document);
    }
    let mut all = BTreeSet::new();
    definitions.iter().for_each(|(name, schema)| everything(name, schema, &mut all));
    assert!(all.len() > 150, "{all:?}");
    let untested: Vec<&String> = all.difference(&walk.seen).collect();
    assert!(untested.is_empty(), "no document has {untested:#?}: add it to testdata/every_field.yaml");
}

/// Every field is described, and every object says that it has no other.
#[test]
fn every_field_is_described_and_no_other_is_accepted() {
    let whole = schema(None);
    for (name, definition) in whole["$defs"].as_object().unwrap() {
        let objects = [definition]
            .into_iter()
            .chain(definition.get("oneOf").and_then(Value::as_array).into_iter().flatten());
        for object in objects.filter(|object| object.get("type") == Some(&json!("object"))) {
            assert_eq!(object.get("additionalProperties"), Some(&json!(false)), "{name}");
            for (field, schema) in object["properties"].as_object().into_iter().flatten() {
                let described = schema.get("description").is_some() || object.get("description").is_some();
                assert!(described, "{name}.{field}");
            }
        }
    }
}

/// Calls `visit` with the document once for each of its values, changed at that place by `change`.
fn variants(document: &Value, change: &dyn Fn(&Value) -> Vec<Value>, visit: &mut dyn FnMut(&str, &Value)) {
    let mut pointers = Vec::new();
    collect(document, String::new(), &mut pointers);
    for pointer in pointers {
        let original = document.pointer(&pointer).expect("it was found there").clone();
        for changed in change(&original) {
            let mut variant = document.clone();
            *variant.pointer_mut(&pointer).expect("it was found there") = changed;
            visit(&pointer, &variant);
        }
    }
}

fn collect(value: &Value, pointer: String, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.replace('~', "~0").replace('/', "~1"), member))
            .collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, member) in below {
        collect(member, format!("{pointer}/{name}"), found);
    }
    found.push(pointer);
}

/// A value of every type and of the forms that fields tell apart, an object without each of its members,
/// and one with a member more.
fn changes(value: &Value) -> Vec<Value> {
    let mut changed = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(7),
        json!(-1),
        json!(1.5),
        json!(5_000_000_000_u64),
        json!("word"),
        json!("Two words"),
        json!(""),
        json!("5m"),
        json!([]),
        json!(["word"]),
        json!({}),
    ];
    if let Value::Object(members) = value {
        for name in members.keys() {
            let mut fewer = members.clone();
            fewer.remove(name);
            changed.push(fewer.into());
        }
        let mut more = members.clone();
        more.insert("zzz".to_owned(), json!("word"));
        changed.push(more.into());
    }
    changed
}

#[test]
fn what_the_schema_refuses_the_reader_refuses_and_the_other_way_for_form() {
    let mut both = 0;
    let mut differences = BTreeSet::new();
    for (file, document) in documents(&["testdata"]) {
        let kind = kind_of(&document).unwrap();
        let validator = validator(Some(kind));
        variants(&document, &changes, &mut |pointer, variant| {
            // A document of another kind, or of none, is not read as one of this kind, and API servers alone read what a
            // run has beside its spec.
            let is_read = kind != SchemaKind::GraphRun || pointer.starts_with("/spec");
            if pointer == "/kind" || pointer == "/apiVersion" || pointer.is_empty() || !is_read {
                return;
            }
            let at = || format!("{file}: {pointer} is {}", variant.pointer(pointer).expect("it is there"));
            match (validator.is_valid(variant), has_form(kind, variant)) {
                (true, false) => drop(differences.insert(format!("refused by the reader only: {}", at()))),
                (true, true) => {}
                (false, _) if mistakes(variant).is_empty() => {
                    differences.insert(format!("refused by the schema only: {}", at()));
                }
                (false, _) => both += 1,
            }
        });
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(both > 1_000, "{both}");
}

#[test]
fn a_run_has_a_name_or_the_begin_of_one_and_what_the_example_has() {
    let (any, of_runs) = (validator(None), validator(Some(SchemaKind::GraphRun)));
    let run = |metadata: Value, spec: Value| json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun", "metadata": metadata, "spec": spec});
    let (generated, spec) = (json!({"generateName": "triage-"}), json!({"graphRef": {"name": "triage"}}));
    for good in [
        run(generated.clone(), spec.clone()),
        run(json!({"name": "triage-1", "resourceVersion": "7"}), spec.clone()),
        documents(&["../manifests/kubernetes"])
            .into_iter()
            .find_map(|(_, found)| (found["kind"] == "GraphRun").then_some(found))
            .unwrap(),
    ] {
        assert!(any.is_valid(&good) && of_runs.is_valid(&good), "{good}");
    }
    for (what, bad) in [
        ("no name", run(json!({}), spec.clone())),
        ("the begin of a name that is none", run(json!({"generateName": "Triage-"}), spec.clone())),
        ("no graph", run(generated.clone(), json!({}))),
        (
            "a field that is none",
            run(generated.clone(), json!({"graphRef": {"name": "triage"}, "inputs": {}})),
        ),
        ("a mode that is none", {
            run(generated.clone(), json!({"graphRef": {"name": "triage"}, "operatingMode": "Paused"}))
        }),
        (
            "another version",
            json!({"apiVersion": "superstep.dev/v1", "kind": "GraphRun", "metadata": generated, "spec": spec}),
        ),
        (
            "another kind",
            json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentRun", "metadata": generated, "spec": spec}),
        ),
    ] {
        assert!(!any.is_valid(&bad) && !of_runs.is_valid(&bad), "the schema takes {what}");
    }
}

#[test]
fn mistakes_of_every_sort_are_refused_by_both() {
    let graph = |spec: Value| json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": "a"}, "spec": spec});
    let vertex = |vertex: Value| graph(json!({"entry": ["a"], "vertices": [vertex]}));
    let cel = json!({"cel": "1"});
    let good = vertex(json!({"name": "a", "function": cel}));
    let any = validator(None);
    assert!(any.is_valid(&good) && mistakes(&good).is_empty(), "{:?}", mistakes(&good));
    for (what, document) in [
        ("no program", vertex(json!({"name": "a"}))),
        ("two programs", vertex(json!({"name": "a", "function": cel, "router": cel}))),
        ("a program that is null", vertex(json!({"name": "a", "function": null}))),
        ("a name with a hyphen", vertex(json!({"name": "a-b", "function": cel}))),
        ("a duration without a unit", vertex(json!({"name": "a", "function": cel, "timeout": "5"}))),
        ("a duration of five pairs", vertex(json!({"name": "a", "function": cel, "timeout": "1h1m1s1ms1h"}))),
        ("an unknown word", vertex(json!({"name": "a", "function": cel, "onFailure": "ignore"}))),
        ("an unknown field", vertex(json!({"name": "a", "functoin": cel, "function": cel}))),
        ("no entry", graph(json!({"entry": [], "vertices": [{"name": "a", "function": cel}]}))),
        (
            "no spec",
            json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": "a"}}),
        ),
        ("another version", json!({"apiVersion": "superstep.dev/v1", "kind": "AgentGraph"})),
        ("another kind", json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraf"})),
        ("no kind", json!({"apiVersion": "superstep.dev/v1alpha1"})),
        (
            "two engines",
            json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "ModelServer", "metadata": {"name": "a"},
                   "spec": {"engine": {"candle": {}, "scripted": {}}}}),
        ),
        (
            "a mutation of two kinds",
            json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraphPatch", "metadata": {"name": "a"},
                   "spec": {"graphRef": {"name": "a"}, "mutations": [
                       {"removeVertex": {"name": "a"}, "removeEdge": {"from": "a", "to": "b"}}]}}),
        ),
        (
            "a field that is set on nothing",
            json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraphPatch", "metadata": {"name": "a"},
                   "spec": {"graphRef": {"name": "a"}, "mutations": [{"set": {"field": "value", "value": 1}}]}}),
        ),
    ] {
        assert!(!any.is_valid(&document), "the schema takes {what}");
        assert!(!mistakes(&document).is_empty(), "the reader takes {what}");
    }
}
