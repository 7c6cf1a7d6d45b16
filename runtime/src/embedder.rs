//! Models that turn texts into vectors, as programs see them.

use futures::future::BoxFuture;
use serde_json::json;
use superstep_engine::{Failure, Usage};
use superstep_graph::{Prices, VertexName};

use crate::call_subject::ModelIdentity;
use crate::calls::digest;
use crate::model::cost;

/// A model that turns texts into vectors. It is shared by all vertices that name it and serves requests at the
/// same time; what waits may be computed as one batch.
pub trait Embedder: Send + Sync {
    /// An upper bound of the tokens that are read of `texts`. Default: their bytes, for a token has at least
    /// one, and four for the marks around each.
    fn tokens(&self, texts: &[String]) -> u64 {
        texts.iter().map(|text| text.len() as u64 + 4).sum()
    }

    /// Who serves the model, and as what, for those who watch a run. Default: unknown.
    fn identity(&self) -> Option<ModelIdentity> {
        None
    }

    /// What tokens cost. Default: nothing.
    fn prices(&self) -> Prices {
        Prices::default()
    }

    /// The vectors of the texts of `request`. Dropping the future ends the call.
    ///
    /// The usage of the answer has tokens; calls and cost are filled in by the caller.
    fn embed(&self, request: EmbedRequest) -> BoxFuture<'static, Result<Embeddings, Failure>>;

    /// The most that embedding `texts` can use, reserved before they are sent.
    fn reserve(&self, texts: &[String]) -> Usage {
        let usage = Usage { calls: 1, prompt_tokens: self.tokens(texts), ..Usage::default() };
        Usage { cost: cost(&self.prices(), &usage), ..usage }
    }
}

/// What is asked of an embedder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedRequest {
    /// The vertex that asks.
    pub vertex: VertexName,
    /// The texts, at least one.
    pub texts: Vec<String>,
    /// Equal whenever the same call is sent again.
    pub idempotency_key: String,
}

impl EmbedRequest {
    /// Hash of all that decides the answer, asked of the model named `model`; the idempotency key does not.
    pub fn digest(&self, model: &VertexName) -> [u8; 16] {
        digest(&json!({"model": model, "texts": self.texts}))
    }
}

/// What an embedder answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// A vector for each text, in their order, all of one length; their own length need not be 1.
    pub vectors: Vec<Vec<f32>>,
    /// The tokens read.
    pub usage: Usage,
}
