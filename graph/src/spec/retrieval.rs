//! The programs `embed` and `retrieve` as written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edge::is_default;
use crate::name::VertexName;

/// Texts as vectors of length 1: at most one of `text` and `texts`. Without them it is what came: the element
/// in a forEach, else the payload of the only message, else the list of payloads; each a text, or an object
/// with a member `text`. One text gives `{embedding: […]}`, a list `{embeddings: [[…], …]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbedProgram {
    /// A model of the graph that embeds.
    pub model: VertexName,
    /// A minijinja template of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// CEL that gives a list of texts, or of objects with a member `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<String>,
}

/// The passages of documents that are nearest to a text, by the cosine of their vectors, all of them compared.
/// The vertex keeps the vectors of its documents in its value, so that each is computed once. One query gives
/// `{query, matches, added, size}`, a list of them `{results: [{query, matches}], added, size}`. An activation
/// without a query sends `{added, size}` on the port `indexed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetrieveProgram {
    /// A model of the graph that embeds.
    pub model: VertexName,
    /// The documents to search. Those that are known already, and have not changed, are not embedded again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Documents>,
    /// CEL of what is searched for: a text, or a list of texts; null searches for nothing. Default: what came,
    /// as with `embed`, and nothing if nothing came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// How many passages are found at most, for each query; default 4.
    #[serde(default = "four", skip_serializing_if = "is_four")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000)))]
    pub top: u32,
    /// The least score of a passage that is found, between -1 and 1. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -1, max = 1)))]
    pub min_score: Option<f64>,
    /// How documents are cut into passages.
    #[serde(default, skip_serializing_if = "is_default")]
    pub chunk: Chunking,
}

fn four() -> u32 {
    4
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_four(top: &u32) -> bool {
    *top == four()
}

/// Documents: exactly one of `files`, `inline` and `cel`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_origin))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Documents {
    /// Files, seen from the manifest, read with it: in JSON lines (`.jsonl`) a document is a line, `.json` is a
    /// list of documents, and any other file is a text that is one document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub files: Option<Vec<String>>,
    /// The documents themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<Vec<DocumentSpec>>,
    /// CEL that gives a list of documents, or one: each an object with `text`, and `id` and `metadata` if it has
    /// them, or a text; null gives none. Other members of an object belong to its metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DocumentSpec {
    /// What it is cited by. A later document of the same id replaces it. Default: made of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is searched.
    pub text: String,
    /// What is handed on with each of its passages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Value>,
}

/// How documents are cut into passages: between words, where there are some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Chunking {
    /// The most characters of a passage; default 800. A model reads only the begin of a longer text than it was
    /// made for, which for small ones is 1,000 characters.
    #[cfg_attr(feature = "schema", schemars(range(min = 16)))]
    pub characters: u32,
    /// How many of them the next passage begins with again, at most; default 80, at most half of `characters`.
    pub overlap: u32,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { characters: 800, overlap: 80 }
    }
}
