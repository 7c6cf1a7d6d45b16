//! Documents, as they come.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use superstep_engine::Failure;
use superstep_graph::{Chunking, DocumentSpec, VertexName, canonical_json};

use crate::cel::kind;

/// A document to be searched.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) metadata: Map<String, Value>,
    /// Tells whether what is kept of it is still right.
    pub(super) digest: String,
}

/// What the vectors of a document depend on beside itself.
#[derive(Clone, Debug)]
pub(super) struct Making {
    pub(super) model: VertexName,
    pub(super) chunk: Chunking,
}

impl Making {
    /// The documents of a manifest.
    pub(super) fn written(&self, documents: &[DocumentSpec]) -> Vec<Document> {
        let made = documents.iter().cloned();
        last_of_each(
            made.map(|DocumentSpec { id, text, metadata }| {
                self.document(id, text, metadata.into_iter().collect())
            })
            .collect(),
        )
    }

    /// The documents that a value holds: none in null, one, or a list of them.
    ///
    /// # Errors
    /// It holds something else.
    pub(super) fn read(&self, value: &Value) -> Result<Vec<Document>, Failure> {
        let documents = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => {
                items.iter().map(|item| self.read_one(item)).collect::<Result<Vec<_>, _>>()?
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                vec![self.read_one(value)?]
            }
        };
        Ok(last_of_each(documents))
    }

    fn read_one(&self, value: &Value) -> Result<Document, Failure> {
        let wrong = |reason: String| Failure::permanent(format!("retrieve.documents: {reason}"));
        if let Value::String(text) = value {
            return Ok(self.document(None, text.clone(), Map::new()));
        }
        let Value::Object(members) = value else {
            return Err(wrong(format!("a document is a text or an object, this is {}", kind(value))));
        };
        let mut members = members.clone();
        let text = match members.remove("text") {
            Some(Value::String(text)) => text,
            Some(other) => return Err(wrong(format!("the text of a document is {}", kind(&other)))),
            None => return Err(wrong("a document has no text".to_owned())),
        };
        let id = match members.remove("id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(Value::Number(id)) => Some(id.to_string()),
            Some(other) => return Err(wrong(format!("the id of a document is {}", kind(&other)))),
        };
        let metadata = match members.remove("metadata") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(metadata)) => metadata,
            Some(other) => return Err(wrong(format!("the metadata of a document is {}", kind(&other)))),
        };
        members.extend(metadata);
        Ok(self.document(id, text, members))
    }

    fn document(&self, id: Option<String>, text: String, metadata: Map<String, Value>) -> Document {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| short(text.as_bytes()));
        let Self { model, chunk } = self;
        let made_of = json!({"model": model, "chunk": chunk, "text": text, "metadata": metadata});
        let digest = short(canonical_json(&made_of).as_bytes());
        Document { id, text, metadata, digest }
    }
}

/// The last document of each id, in the order of the documents.
fn last_of_each(documents: Vec<Document>) -> Vec<Document> {
    let mut seen = BTreeSet::new();
    let mut last: Vec<Document> =
        documents.into_iter().rev().filter(|document| seen.insert(document.id.clone())).collect();
    last.reverse();
    last
}

/// A hash that no two texts of one vertex share.
fn short(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..24].to_owned()
}
