//! Writes the inputs that fuzzing begins with, of the graphs of the project at `SUPERSTEP_SEEDS_ROOT`, into a folder
//! for each target in `SUPERSTEP_SEEDS_CORPUS`.
//!
//! What it links was built with counters that only the runtime of the fuzzer has. So it is a target that does its
//! work before the first input, and ends then.

#![no_main]

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use superstep_api::{Source, load};
use superstep_inference::testing::TinyModel;

/// Folders of the project with manifests, good and bad.
const FOLDERS: [&str; 6] =
    ["manifests", "api/testdata", "cli/tests/bad", "cli/tests/good", "cli/tests/graphs", "tests/conformance"];

libfuzzer_sys::fuzz_target!(
    init: match write() {
        Ok(()) => std::process::exit(0),
        Err(error) => panic!("cannot write the inputs to begin with: {error}"),
    },
    |_data: &[u8]| ()
);

fn write() -> io::Result<()> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name));
    let (root, corpus) = (folder("SUPERSTEP_SEEDS_ROOT")?, folder("SUPERSTEP_SEEDS_CORPUS")?);
    let mut texts = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut texts)?;
    }
    let corpus = Corpus { folder: corpus };
    for text in &texts {
        corpus.add("manifests", text.as_bytes())?;
    }
    for spec in texts.iter().flat_map(|text| specs(text)) {
        corpus.walk(&spec)?;
    }
    for schema in schemas() {
        corpus.schema(&schema)?;
    }
    for length in [1, 6, 11, 26, 51, 101, 201] {
        for seed in 0..6 {
            let bytes = noise(seed, length);
            corpus.add("patches", &bytes)?;
            corpus.add("records", &bytes)?;
            corpus.add("gguf", &bytes)?;
        }
    }
    // As they are; and the beginning of a model file as it is.
    corpus.add("records", &[0, 0, 0])?;
    for first in 32..36 {
        corpus.add("gguf", &[first, 0, 0])?;
    }
    let tiny = TinyModel::default().bytes();
    corpus.add("gguf", &[&[0], &tiny[..2_048]].concat())
}

struct Corpus {
    folder: PathBuf,
}

impl Corpus {
    fn add(&self, target: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        fs::write(folder.join(format!("seed-{hash:016x}")), bytes)
    }

    fn schema(&self, schema: &Value) -> io::Result<()> {
        self.add("schemas", &[b"\x10", schema.to_string().as_bytes()].concat())
    }

    /// Takes the expressions, templates and schemas out of a document.
    fn walk(&self, value: &Value) -> io::Result<()> {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let kind: Option<&[u8]> = match name.as_str() {
                        "cel" | "query" | "arguments" | "payload" => Some(&[0]),
                        "when" | "transform" => Some(&[1]),
                        "append" | "mutations" | "value" => Some(&[2]),
                        "template" | "system" | "prompt" => Some(&[3]),
                        _ => None,
                    };
                    if let (Some(kind), Some(text)) = (kind, member.as_str()) {
                        self.add("expressions", &[kind, text.as_bytes()].concat())?;
                    }
                    if name == "schema" {
                        self.schema(member)?;
                    }
                    self.walk(member)?;
                }
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.walk(item))?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }
}

fn collect(folder: &Path, texts: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, texts)?;
        } else if path.extension().is_some_and(|end| end == "yaml") {
            let mut text = String::new();
            fs::File::open(&path)?.read_to_string(&mut text)?;
            texts.push(text);
        }
    }
    Ok(())
}

/// The graphs of a text, as documents.
fn specs(text: &str) -> Vec<Value> {
    let source = Source { name: "seed.yaml".to_owned(), text: text.to_owned(), named: false };
    let loaded = load(&[Arc::new(source)], &|_| None);
    let graphs = loaded.resources.graphs.values();
    graphs.filter_map(|graph| serde_json::to_value(&graph.content.document.spec).ok()).collect()
}

fn schemas() -> Vec<Value> {
    vec![
        json!(true),
        json!({"type": "integer", "minimum": -3, "maximum": 1_000}),
        json!({"type": ["string", "null"], "minLength": 2, "maxLength": 5}),
        json!({"enum": ["a", 1, null, {"b": []}]}),
        json!({"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3}),
        json!({"anyOf": [{"type": "number"}, {"type": "object", "additionalProperties": {"type": "string"}}]}),
        json!({"type": "string", "pattern": "^[a-c]{2,4}(x|y)?$"}),
        json!({"type": "string", "format": "date"}),
        json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["next"],
            "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}}, "additionalProperties": false}}}),
        json!({"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a"]}]}),
        json!({"oneOf": [{"const": "x"}, {"const": "y"}], "not": {"const": "z"}}),
    ]
}

/// Bytes that are the same each time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ length as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}
