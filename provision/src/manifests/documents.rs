//! The documents that are searched and the edges that are walked: in their manifest, or in files beside it.

#[cfg(feature = "parquet")]
mod rows;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use superstep_api::{CheckedGraph, Diagnostic, Resource, ResourceSet};
use superstep_graph::{DocumentSpec, Documents, FieldPath, Link, Links, Problem, validate};

use super::beside::Beside;

/// Puts the documents and edges of files into the graphs that name the files, so that a run keeps what they held.
pub(super) fn take_in(resources: &mut ResourceSet, beside: Beside, diagnostics: &mut Vec<Diagnostic>) {
    for graph in resources.graphs.values_mut() {
        let mut spec = graph.content.document.spec.graph.clone();
        let mut mistakes = Vec::new();
        let files = Files { graph, beside };
        for (index, vertex) in spec.vertices.iter_mut().enumerate() {
            let retrieve = vertex.retrieve.as_mut();
            if let Some(documents) = retrieve.and_then(|retrieve| retrieve.documents.as_mut()) {
                let place = (field(index, "retrieve", "documents"), "documents");
                if let Some(inline) = files.all(&documents.files, place, &mut mistakes, documents_of) {
                    *documents = Documents { inline: Some(inline), ..Documents::default() };
                }
            }
            let algorithm = vertex.algorithm.as_mut();
            if let Some(edges) = algorithm.and_then(|algorithm| algorithm.edges.as_mut()) {
                let place = (field(index, "algorithm", "edges"), "edges");
                if let Some(inline) = files.all(&edges.files, place, &mut mistakes, edges_of) {
                    *edges = Links { inline: Some(inline), ..Links::default() };
                }
            }
        }
        match validate(&spec) {
            Ok(valid) if mistakes.is_empty() => {
                graph.content.document.spec.graph = spec;
                graph.content.graph = valid;
            }
            Ok(_) => {}
            Err(problems) => {
                mistakes.extend(problems.0.iter().map(|problem| graph.diagnose(problem)));
            }
        }
        diagnostics.append(&mut mistakes);
    }
}

fn field(vertex: usize, program: &str, member: &str) -> FieldPath {
    FieldPath::default().field("vertices").index(vertex).field(program).field(member)
}

/// The files that a graph names.
struct Files<'a> {
    graph: &'a Resource<CheckedGraph>,
    beside: Beside,
}

impl Files<'_> {
    /// What all of them hold; nothing if none are named.
    fn all<T>(
        &self,
        files: &Option<Vec<String>>,
        (path, what): (FieldPath, &str),
        mistakes: &mut Vec<Diagnostic>,
        read: impl Fn(&Path) -> Result<Vec<T>, String>,
    ) -> Option<Vec<T>> {
        let mut all = Vec::new();
        for (index, file) in files.as_ref()?.iter().enumerate() {
            let wrong = |message| {
                let problem = Problem::error(path.field("files").index(index), message);
                self.graph.diagnose(&problem)
            };
            match self.beside.file(&self.graph.source().name, file) {
                Err(not_sent) => mistakes.push(wrong(not_sent.to_string())),
                Ok(place) => match read(&place) {
                    Ok(read) => all.extend(read),
                    Err(why) => {
                        mistakes.push(wrong(format!("cannot take {what} from {}: {why}", place.display())));
                    }
                },
            }
        }
        Some(all)
    }
}

/// An item of a file, with its number, and what it is.
type Item = (&'static str, usize, Value);

/// What a file holds.
enum Content {
    /// Items, as it is of JSON, lines or a list, or of Parquet.
    Items(Vec<Item>),
    /// A text, as it is of another kind.
    Text(String),
}

/// What the rows of a file are.
#[derive(Clone, Copy)]
enum Rows {
    Documents,
    Edges,
}

/// What a file holds.
fn content(path: &Path, what: Rows) -> Result<Content, String> {
    let end = path.extension().and_then(|end| end.to_str());
    if end == Some("parquet") {
        return rows_of(path, what).map(Content::Items);
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    match end {
        Some("jsonl") => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            let item = |(number, line): (usize, &str)| {
                let value = serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
                Ok(("line", number, value))
            };
            lines.map(item).collect::<Result<_, String>>().map(Content::Items)
        }
        Some("json") => {
            let values: Vec<Value> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            Ok(Content::Items((1..).zip(values).map(|(number, value)| ("item", number, value)).collect()))
        }
        Some(_) | None => Ok(Content::Text(text)),
    }
}

#[cfg(feature = "parquet")]
fn rows_of(path: &Path, what: Rows) -> Result<Vec<Item>, String> {
    let item = match what {
        Rows::Documents => rows::object,
        Rows::Edges => rows::edge,
    };
    let rows = rows::rows(path).map_err(|error| error.to_string())?;
    Ok((1..).zip(rows).map(|(number, row)| ("row", number, item(row))).collect())
}

#[cfg(not(feature = "parquet"))]
fn rows_of(_: &Path, _: Rows) -> Result<Vec<Item>, String> {
    Err("this build does not read Parquet: it lacks the feature parquet".to_owned())
}

/// The documents of a file, each with an id by which it can be found in there.
fn documents_of(path: &Path) -> Result<Vec<DocumentSpec>, String> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let items = match content(path, Rows::Documents)? {
        Content::Items(items) => items,
        Content::Text(text) => {
            return Ok(vec![DocumentSpec { id: Some(name), text, metadata: BTreeMap::new() }]);
        }
    };
    let document = |(kind, number, value): Item| {
        document(value, format!("{name}:{number}")).map_err(|why| format!("{kind} {number}: {why}"))
    };
    items.into_iter().map(document).collect()
}

/// The edges of a file, as they are written.
fn edges_of(path: &Path) -> Result<Vec<Value>, String> {
    let items = match content(path, Rows::Edges)? {
        Content::Items(items) => items,
        Content::Text(_) => return Err("a file of edges ends in .jsonl, .json or .parquet".to_owned()),
    };
    let edge = |(kind, number, value): Item| match Link::read(&value) {
        Ok(_) => Ok(value),
        Err(why) => Err(format!("{kind} {number}: {why}")),
    };
    items.into_iter().map(edge).collect()
}

/// A document as files have it: members that are not known are metadata.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    id: Value,
    text: String,
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

fn document(value: Value, place: String) -> Result<DocumentSpec, String> {
    if let Value::String(text) = value {
        return Ok(DocumentSpec { id: Some(place), text, metadata: BTreeMap::new() });
    }
    let Row { id, text, metadata, others } = Row::deserialize(value).map_err(|error| error.to_string())?;
    let id = match id {
        Value::Null => place,
        Value::String(id) => id,
        Value::Number(id) => id.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err("an id is a text or a number".to_owned());
        }
    };
    let metadata = others.into_iter().chain(metadata).collect();
    Ok(DocumentSpec { id: Some(id), text, metadata })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, text: &str) -> Result<Value, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        documents_of(&path).map(|documents| json!(documents))
    }

    #[test]
    fn files_hold_documents_in_three_forms() {
        let lines = "{\"id\": 7, \"text\": \"a\", \"url\": \"u\", \"metadata\": {\"page\": 1}}\n\n\"b\"\n{\"text\": \"c\"}\n";
        let expected = json!([
            {"id": "7", "text": "a", "metadata": {"page": 1, "url": "u"}},
            {"id": "faq.jsonl:3", "text": "b"},
            {"id": "faq.jsonl:4", "text": "c"},
        ]);
        assert_eq!(read("faq.jsonl", lines).unwrap(), expected);
        let list = "[\"a\", {\"text\": \"b\"}]";
        let expected = json!([{"id": "l.json:1", "text": "a"}, {"id": "l.json:2", "text": "b"}]);
        assert_eq!(read("l.json", list).unwrap(), expected);
        assert_eq!(read("notes.md", "# All\n").unwrap(), json!([{"id": "notes.md", "text": "# All\n"}]));
    }

    #[test]
    fn mistakes_in_files_have_their_line() {
        for (name, text, part) in [
            ("a.jsonl", "\"a\"\n{", "line 2: EOF"),
            ("a.jsonl", "{\"txt\": \"a\"}", "line 1: missing field `text`"),
            ("a.jsonl", "{\"id\": [], \"text\": \"a\"}", "line 1: an id is a text or a number"),
            ("a.json", "{}", "expected a sequence"),
            ("a.json", "[1]", "item 1"),
        ] {
            let why = read(name, text).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
        assert!(documents_of(Path::new("absent.md")).is_err());
    }

    #[test]
    fn files_hold_edges_in_two_forms() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            edges_of(&path).map(Value::from)
        };
        let lines = "[\"a\", 1]\n\n{\"from\": \"a\", \"to\": \"b\", \"weight\": 2}\n";
        let expected = json!([["a", 1], {"from": "a", "to": "b", "weight": 2}]);
        assert_eq!(read("e.jsonl", lines), Ok(expected));
        assert_eq!(read("e.json", "[[1, 2, 0.5]]"), Ok(json!([[1, 2, 0.5]])));
        for (name, text, part) in [
            ("e.jsonl", "[1, 2]\n[1]", "line 2: an edge is"),
            ("e.json", "[[1, 2, -1]]", "item 1: a weight"),
            ("e.csv", "1,2", ".jsonl"),
        ] {
            let why = read(name, text).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }
}
