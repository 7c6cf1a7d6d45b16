//! The program `retrieve`: the passages of documents that are nearest to a text.

mod document;
mod index;
mod passage;

use std::sync::Arc;

use futures::FutureExt as _;
use serde_json::{Value, json};
use superstep_engine::{Emission, Failure, Outcome, Payload, ProgramResult, ValueChange, View};
use superstep_graph::{Port, RetrieveProgram, VertexSpec};

use super::aside::aside;
use super::embedding::{Embedding, Texts};
use super::{PrepareError, expression, handed_on};
use crate::cel::Expression;
use crate::embedder::Embedder;
use crate::program::{Activation, Execution, Program};
use crate::roots::{Bindings, Scope};
use document::{Document, Making};
use index::{Added, Index, Kept, MOST, Search};
use passage::{Passage, passages};

pub(super) struct Retrieve(Arc<Prepared>);

struct Prepared {
    embedding: Embedding,
    making: Making,
    documents: Origin,
    query: Option<Expression>,
    search: Search,
}

/// A document that is to be embedded, in passages.
type Missing = (Document, Vec<Passage>);

/// Where its documents come from.
enum Origin {
    Nowhere,
    Written(Arc<[Document]>),
    Cel(Expression),
}

impl Retrieve {
    pub(super) fn prepare(
        vertex: &VertexSpec,
        retrieve: &RetrieveProgram,
        model: &Arc<dyn Embedder>,
    ) -> Result<Self, PrepareError> {
        let making = Making { model: retrieve.model.clone(), chunk: retrieve.chunk };
        let compile = |field: &str, source: &String| {
            expression(vertex, &format!("retrieve.{field}"), source, Scope::Vertex)
        };
        let documents = match retrieve.documents.as_ref().map(|documents| (&documents.inline, &documents.cel))
        {
            None => Origin::Nowhere,
            Some((_, Some(cel))) => Origin::Cel(compile("documents.cel", cel)?),
            Some((Some(inline), None)) => Origin::Written(making.written(inline).into()),
            // Who reads a manifest puts what its files hold in their place.
            Some((None, None)) => {
                return Err(PrepareError::Unread {
                    vertex: vertex.name.clone(),
                    field: "retrieve.documents",
                });
            }
        };
        let embedding = Embedding {
            vertex: vertex.name.clone(),
            model_name: retrieve.model.clone(),
            model: Arc::clone(model),
        };
        let query = retrieve.query.as_ref().map(|query| compile("query", query)).transpose()?;
        let search = Search { top: retrieve.top as usize, min_score: retrieve.min_score };
        Ok(Self(Arc::new(Prepared { embedding, making, documents, query, search })))
    }
}

impl Program for Retrieve {
    fn start(&self, activation: Activation) -> Execution {
        let prepared = Arc::clone(&self.0);
        Execution::Running(
            async move {
                match prepared.run(activation).await {
                    Ok(result) => Outcome::Done(result),
                    Err(failure) => Outcome::Failed(failure),
                }
            }
            .boxed(),
        )
    }
}

impl Prepared {
    async fn run(self: Arc<Self>, activation: Activation) -> Result<ProgramResult, Failure> {
        let view = Arc::new(activation.view);
        let query = self.query(&view)?;
        let (preparing, seen) = (Arc::clone(&self), Arc::clone(&view));
        let missing = aside(move || preparing.missing(&seen)).await?;
        let passages = missing.iter().flat_map(|(_, passages)| passages);
        let mut texts: Vec<String> = passages.map(|passage| passage.text.clone()).collect();
        let passages = texts.len();
        texts.extend_from_slice(query.as_ref().map(Texts::as_slice).unwrap_or_default());
        let mut vectors = self.embedding.embed(&activation.calls, &texts).await?;
        let queries = vectors.split_off(passages);
        aside(move || {
            let mut index = Index::read(view.value.value())?;
            let addition = self.addition(missing, &vectors);
            let added = addition.documents.len();
            let kept = (added > 0).then(|| json!(addition));
            index.add(addition);
            let found = index.nearest(&self.making.model, &queries, self.search)?;
            Ok(result(query, found, kept, (added, index.size())))
        })
        .await
    }

    fn addition(&self, missing: Vec<Missing>, vectors: &[Vec<f32>]) -> Added<'static> {
        let mut rest = vectors;
        let documents = missing.into_iter().map(|(document, passages)| {
            let (own, others) = rest.split_at(passages.len());
            rest = others;
            Kept::new(document, passages, own)
        });
        Added { documents: documents.collect(), model: self.making.model.to_string().into() }
    }

    /// What is searched for; none if nothing is.
    fn query(&self, view: &View) -> Result<Option<Texts>, Failure> {
        let wanted = match &self.query {
            Some(query) => query.evaluate(Bindings::Vertex(view))?,
            None if view.messages.is_empty() && view.element.is_none() => return Ok(None),
            None => handed_on(view),
        };
        if wanted.value().is_null() {
            return Ok(None);
        }
        Texts::of(wanted.value(), if self.query.is_some() { "retrieve.query" } else { "what came" }).map(Some)
    }

    /// The documents that are to be embedded.
    fn missing(&self, view: &View) -> Result<Vec<Missing>, Failure> {
        let index = Index::read(view.value.value())?;
        let read;
        let documents: &[Document] = match &self.documents {
            Origin::Nowhere => &[],
            Origin::Written(documents) => documents,
            Origin::Cel(cel) => {
                read = self.making.read(cel.evaluate(Bindings::Vertex(view))?.value())?;
                &read
            }
        };
        let cut = |document: &Document| (document.clone(), passages(&document.text, self.making.chunk));
        let missing: Vec<Missing> =
            documents.iter().filter(|document| !index.holds(document)).map(cut).collect();
        let size = index.size() + missing.iter().map(|(_, passages)| passages.len()).sum::<usize>();
        if size > MOST {
            let message = format!("the documents have {size} passages; {MOST} are searched at most");
            return Err(Failure::permanent(message));
        }
        Ok(missing)
    }
}

fn result(
    query: Option<Texts>,
    found: Vec<Vec<Value>>,
    kept: Option<Value>,
    (added, size): (usize, usize),
) -> ProgramResult {
    let mut found = found.into_iter();
    let (port, mut payload) = match query {
        None => (Port::from(Port::INDEXED), json!({})),
        Some(Texts::One(query)) => (Port::default(), json!({"query": query, "matches": found.next()})),
        Some(Texts::Many(queries)) => {
            let results = queries.into_iter().zip(found);
            let results = results.map(|(query, matches)| json!({"query": query, "matches": matches}));
            (Port::default(), json!({"results": results.collect::<Vec<_>>()}))
        }
    };
    payload["added"] = json!(added);
    payload["size"] = json!(size);
    ProgramResult {
        emissions: vec![Emission { port, payload: Payload::from(payload) }],
        value: kept.map_or(ValueChange::Keep, |kept| ValueChange::Append(kept.into())),
        ..ProgramResult::default()
    }
}

#[cfg(test)]
mod tests;
