//! How well documents answer a question: cross-encoders, which read both together.
//!
//! Nogueira and Cho, arXiv:1901.04085: a BERT with a head of one label.

use std::path::Path;

use crate::encoder::{EmbedderDescription, EmbedderOptions, Encoder, Marked, ROWS, Reads, Unmarked, sigmoid};
use crate::error::{EmbedError, LoadError};

/// A loaded cross-encoder. It may be used from several threads at once.
pub struct Reranker(Encoder);

/// What documents are held against.
pub struct RerankQuery(Unmarked);

/// A question and a document, as the network reads them.
pub struct RerankPair(Marked);

/// How well a document answers a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relevance {
    /// What the head computed: the larger the better.
    pub logit: f32,
    /// The same between 0 and 1: its sigmoid.
    pub score: f64,
}

impl Reranker {
    /// Tokens that are computed at once: [`relevance`](Self::relevance) of pairs that have no more of them together
    /// is one computation.
    pub const BATCH_TOKENS: usize = ROWS;

    /// Whether the model in the folder `path` is a cross-encoder: one that gives texts a single label.
    ///
    /// # Errors
    /// [`LoadError`] if its `config.json` cannot be read, or names what is not supported.
    pub fn is_in(path: &Path) -> Result<bool, LoadError> {
        Encoder::own_head(path).map(|head| head.is_some_and(|head| head == (Reads::Text, 1)))
    }

    /// Loads the model in the folder `path`, as [`Encoder::load`] does.
    ///
    /// # Errors
    /// [`LoadError`] names the file and says what is wrong with it, or what is supported.
    pub fn load(path: &Path, options: &EmbedderOptions) -> Result<Self, LoadError> {
        let encoder = Encoder::load(path, options, &[])?;
        let is_one = encoder.heads().any(|head| head.reads == Reads::Text && head.labels.len() == 1);
        if !is_one {
            let feature = "a head other than one that gives texts a single label".to_owned();
            return Err(LoadError::Unsupported { path: path.join("config.json"), feature });
        }
        Ok(Self(encoder))
    }

    /// What the model is.
    #[must_use]
    pub fn description(&self) -> &EmbedderDescription {
        self.0.description()
    }

    /// What documents are to be held against. It is read whole.
    ///
    /// # Errors
    /// [`EmbedError`] if it cannot be split into tokens, or leaves no room for a document.
    pub fn query(&self, text: &str) -> Result<RerankQuery, EmbedError> {
        self.0.first(text).map(RerankQuery)
    }

    /// A document beside the question. Of the document as many tokens are read as have room; the names of special
    /// tokens in it are text.
    ///
    /// # Errors
    /// [`EmbedError::Tokenize`] if it cannot be split into tokens.
    pub fn pair(&self, query: &RerankQuery, document: &str) -> Result<RerankPair, EmbedError> {
        self.0.pair(&query.0, document).map(RerankPair)
    }

    /// How well the documents of pairs answer, in their order. Computes on the calling thread and the threads of the
    /// tensor library.
    ///
    /// # Errors
    /// [`EmbedError::Backend`] if the computation fails, or gives what is no number.
    pub fn relevance(&self, pairs: Vec<RerankPair>) -> Result<Vec<Relevance>, EmbedError> {
        let pairs: Vec<Marked> = pairs.into_iter().map(|pair| pair.0).collect();
        let logits = self.0.logits(Encoder::OWN_HEAD, &pairs)?;
        logits.into_iter().flatten().map(judged).collect()
    }
}

/// What a logit says. Weights or activations that overflow give none that says anything.
fn judged(logit: f32) -> Result<Relevance, EmbedError> {
    if logit.is_finite() {
        return Ok(Relevance { logit, score: sigmoid(logit) });
    }
    Err(EmbedError::Backend { reason: format!("the relevance of a document came to {logit}") })
}

impl RerankPair {
    /// The tokens that are read, the marks included.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.0.ids.len()
    }
}

#[cfg(test)]
mod tests;
