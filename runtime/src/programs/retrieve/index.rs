//! What a vertex keeps of its documents: its value, a list of what each activation added.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use superstep_engine::Failure;
use superstep_graph::VertexName;

use super::document::Document;
use super::passage::Passage;
use crate::vectors::{dot, packed, unpacked};

/// The most passages of an index. All of them are compared with each query.
pub(super) const MOST: usize = 100_000;

/// What one activation adds. It is read without copying it, for it is read in each activation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Added<'a> {
    #[serde(borrow)]
    pub(super) model: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) documents: Vec<Kept<'a>>,
}

/// A document as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Kept<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    digest: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    #[serde(borrow)]
    passages: Vec<KeptPassage<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeptPassage<'a> {
    start: usize,
    end: usize,
    #[serde(borrow)]
    text: Cow<'a, str>,
    /// Packed.
    #[serde(borrow)]
    vector: Cow<'a, str>,
}

impl Kept<'_> {
    pub(super) fn new(document: Document, passages: Vec<Passage>, vectors: &[Vec<f32>]) -> Self {
        let kept = passages.into_iter().zip(vectors).map(|(Passage { start, end, text }, vector)| {
            KeptPassage { start, end, text: text.into(), vector: packed(vector).into() }
        });
        Self {
            id: document.id.into(),
            digest: document.digest.into(),
            metadata: document.metadata,
            passages: kept.collect(),
        }
    }
}

/// The documents of a vertex, each in its last form.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    documents: BTreeMap<Cow<'a, str>, (Cow<'a, str>, Kept<'a>)>,
}

impl<'a> Index<'a> {
    /// The index that is the value of a vertex.
    ///
    /// # Errors
    /// The value is none.
    pub(super) fn read(value: &'a Value) -> Result<Self, Failure> {
        let mut index = Self::default();
        if !value.is_null() {
            let added = Vec::<Added<'a>>::deserialize(value).map_err(|error| {
                Failure::permanent(format!("the value of the vertex is no index of documents: {error}"))
            })?;
            added.into_iter().for_each(|added| index.add(added));
        }
        Ok(index)
    }

    /// Whether `document` is kept as it is.
    pub(super) fn holds(&self, document: &Document) -> bool {
        let kept = self.documents.get(document.id.as_str());
        kept.is_some_and(|(_, kept)| kept.digest == document.digest)
    }

    /// Takes in what is added; a document of a known id replaces the one before.
    pub(super) fn add(&mut self, Added { model, documents }: Added<'a>) {
        for kept in documents {
            self.documents.insert(kept.id.clone(), (model.clone(), kept));
        }
    }

    /// How many passages it has.
    pub(super) fn size(&self) -> usize {
        self.documents.values().map(|(_, kept)| kept.passages.len()).sum()
    }

    /// The passages nearest to each of `queries`, the nearest first; equally near ones in the order of their
    /// documents' ids.
    ///
    /// # Errors
    /// It was made with another model than `model`, or is damaged.
    pub(super) fn nearest(
        &self,
        model: &VertexName,
        queries: &[Vec<f32>],
        search: Search,
    ) -> Result<Vec<Vec<Value>>, Failure> {
        let mut scored: Vec<Vec<Scored<'_>>> = queries.iter().map(|_| Vec::new()).collect();
        for (maker, kept) in self.documents.values().filter(|_| !queries.is_empty()) {
            if maker != model.as_str() {
                let message = format!(
                    "the document {:?} was embedded with model {maker:?}, not with {model:?}",
                    kept.id
                );
                return Err(Failure::permanent(message));
            }
            for (number, passage) in kept.passages.iter().enumerate() {
                let vector = passage.vector(&kept.id)?;
                for (query, scored) in queries.iter().zip(&mut scored) {
                    if query.len() != vector.len() {
                        return Err(another_length(&kept.id, vector.len(), query.len()));
                    }
                    let score = rounded(dot(query, &vector));
                    if search.min_score.is_none_or(|least| score >= least) {
                        scored.push(Scored { score, kept, number });
                    }
                }
            }
        }
        Ok(scored.into_iter().map(|scored| best(scored, search.top)).collect())
    }
}

/// How much is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    pub(super) top: usize,
    pub(super) min_score: Option<f64>,
}

struct Scored<'a> {
    score: f64,
    kept: &'a Kept<'a>,
    /// Of the passage in its document, from 0.
    number: usize,
}

/// The best, as they are handed on. Documents come in the order of their ids, and a stable sort keeps that.
fn best(mut scored: Vec<Scored<'_>>, top: usize) -> Vec<Value> {
    scored.sort_by(|one, two| two.score.total_cmp(&one.score));
    scored.truncate(top);
    scored.iter().map(Scored::shown).collect()
}

impl Scored<'_> {
    fn shown(&self) -> Value {
        let KeptPassage { start, end, text, vector: _ } = &self.kept.passages[self.number];
        json!({
            "id": self.kept.id, "passage": self.number, "start": start, "end": end, "score": self.score,
            "text": text, "metadata": self.kept.metadata,
        })
    }
}

impl KeptPassage<'_> {
    fn vector(&self, id: &str) -> Result<Vec<f32>, Failure> {
        unpacked(&self.vector).ok_or_else(|| {
            Failure::permanent(format!("the vertex keeps a vector of document {id:?} that is none"))
        })
    }
}

fn another_length(id: &str, kept: usize, asked: usize) -> Failure {
    Failure::permanent(format!(
        "the vectors of document {id:?} have {kept} numbers, and that of the query has {asked}: it was embedded with \
         another model"
    ))
}

/// A score of six places: what rounding inside a model changes in the others is no difference.
fn rounded(score: f32) -> f64 {
    let rounded = (f64::from(score) * 1e6).round() / 1e6;
    // No score is written as -0.
    rounded + 0.0
}
