//! Models that tell how well documents answer a question.

use futures::future::BoxFuture;
use superstep_engine::{Failure, Usage};

/// A model that tells how well documents answer a question. It serves requests at the same time; what waits may be
/// computed as one batch.
pub trait Reranker: Send + Sync {
    /// How well the documents of `request` answer. Dropping the future ends the work.
    ///
    /// The usage of the answer has tokens.
    fn rerank(&self, request: RerankRequest) -> BoxFuture<'static, Result<Ranking, Failure>>;
}

/// What is asked of a reranker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerankRequest {
    /// The question.
    pub query: String,
    /// What may answer it, at least one.
    pub documents: Vec<String>,
}

/// How well documents answer a question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// Of each document, in their order, a number between 0 and 1: the larger the better.
    pub scores: Vec<f64>,
    /// The tokens read.
    pub usage: Usage,
}
