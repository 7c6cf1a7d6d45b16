//! How programs ask for vectors: texts go in batches, each a call of its own, whose outcome is recorded.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_engine::{CallOutcome, CallRequest, Failure, Payload, Usage};
use superstep_graph::VertexName;

use crate::call_subject::CallSubject;
use crate::calls::{CallTicket, Calls};
use crate::cel::kind;
use crate::embedder::{EmbedRequest, Embedder, Embeddings};
use crate::model::cost;
use crate::vectors::{normalize, packed, unpacked};

/// Texts of one call: what a crash can lose, and what providers take at once.
const BATCH: usize = 64;
/// Calls of one activation that are under way at a time.
const AT_ONCE: usize = 4;

/// A model, as one vertex asks it for vectors.
pub(super) struct Embedding {
    pub(super) vertex: VertexName,
    pub(super) model_name: VertexName,
    pub(super) model: Arc<dyn Embedder>,
}

/// What a call's outcome records of an answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recorded {
    /// Packed.
    vectors: Vec<String>,
}

impl Embedding {
    /// The vectors of `texts`, in their order, each of length 1. Without texts nothing is asked.
    ///
    /// # Errors
    /// A call failed, or the model gave other vectors than were asked for.
    pub(super) async fn embed(&self, calls: &Calls, texts: &[String]) -> Result<Vec<Vec<f32>>, Failure> {
        let batches: Vec<_> = texts.chunks(BATCH).map(|batch| self.batch(calls, batch.to_vec())).collect();
        let vectors: Vec<Vec<Vec<f32>>> = stream::iter(batches).buffered(AT_ONCE).try_collect().await?;
        let mut vectors = vectors.concat();
        let dimension = vectors.first().map(Vec::len);
        if vectors.iter().any(|vector| Some(vector.len()) != dimension) {
            return Err(self.wrong("its vectors have different lengths"));
        }
        vectors.iter_mut().for_each(|vector| normalize(vector));
        Ok(vectors)
    }

    async fn batch(&self, calls: &Calls, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Failure> {
        let reserve = self.model.reserve(&texts);
        let expected = texts.len();
        let request = EmbedRequest { vertex: self.vertex.clone(), texts, idempotency_key: String::new() };
        let call = CallRequest {
            target: format!("model {}", self.model_name),
            digest: request.digest(&self.model_name),
            repeatable: true,
            reserve,
        };
        let subject = calls.is_watched().then(|| CallSubject::Embedding {
            name: self.model_name.clone(),
            identity: self.model.identity(),
            texts: request.texts.clone(),
        });
        let answer = calls.perform_about(call, subject, |ticket: CallTicket| {
            let request = EmbedRequest { idempotency_key: ticket.idempotency_key, ..request };
            let answer = self.model.embed(request);
            async move { self.outcome(answer.await, expected) }
        });
        self.recorded(&answer.await?, expected)
    }

    fn outcome(&self, answer: Result<Embeddings, Failure>, expected: usize) -> CallOutcome {
        match answer {
            Ok(Embeddings { vectors, usage }) => {
                let usage = Usage { calls: 1, cost: cost(&self.model.prices(), &usage), ..usage };
                let answer = self.checked(&vectors, expected).map(|()| {
                    let vectors = vectors.iter().map(|vector| packed(vector)).collect();
                    json!(Recorded { vectors }).into()
                });
                CallOutcome { answer, usage }
            }
            Err(failure) => {
                CallOutcome { answer: Err(failure), usage: Usage { calls: 1, ..Usage::default() } }
            }
        }
    }

    fn checked(&self, vectors: &[Vec<f32>], expected: usize) -> Result<(), Failure> {
        if vectors.len() != expected {
            return Err(self.wrong(&format!("{} vectors came for {expected} texts", vectors.len())));
        }
        let is_one = |vector: &Vec<f32>| !vector.is_empty() && vector.iter().all(|float| float.is_finite());
        if vectors.iter().all(is_one) { Ok(()) } else { Err(self.wrong("a vector has no finite numbers")) }
    }

    fn recorded(&self, answer: &Payload, expected: usize) -> Result<Vec<Vec<f32>>, Failure> {
        let read = |reason: String| self.wrong(&format!("the recorded answer: {reason}"));
        let recorded = Recorded::deserialize(answer.value()).map_err(|error| read(error.to_string()))?;
        let vectors: Option<Vec<_>> = recorded.vectors.iter().map(|vector| unpacked(vector)).collect();
        let vectors = vectors.ok_or_else(|| read("a vector is no list of floats".to_owned()))?;
        self.checked(&vectors, expected)?;
        Ok(vectors)
    }

    /// That the model did not answer what it was asked.
    pub(super) fn wrong(&self, reason: &str) -> Failure {
        Failure::permanent(format!("model {:?}: {reason}", self.model_name))
    }
}

/// What texts are wanted of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    /// One text.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl Texts {
    /// The texts that a value holds: one, or a list of them. Each is a text, or an object with a member `text`.
    ///
    /// # Errors
    /// It holds something else; `whose` names it.
    pub(super) fn of(value: &Value, whose: &str) -> Result<Self, Failure> {
        match value {
            Value::Array(items) => {
                let texts = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| text_of(item, &|| format!("item {index} of {whose}")));
                Ok(Self::Many(texts.collect::<Result<_, _>>()?))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Ok(Self::One(text_of(value, &|| whose.to_owned())?))
            }
        }
    }

    /// All of them.
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

fn text_of(value: &Value, whose: &dyn Fn() -> String) -> Result<String, Failure> {
    let text = value.as_str().or_else(|| value.get("text").and_then(Value::as_str));
    text.map(str::to_owned).ok_or_else(|| {
        let what = kind(value);
        let message = format!("{} is {what}: a text, or an object with a member text, is expected", whose());
        Failure::permanent(message)
    })
}
