//! What one server serves.

use std::sync::Arc;

use superstep_graph::Prices;
use superstep_runtime::{Deferred, Embedder, Model, Priced, PricedEmbedder, Reranker};

/// A model that writes, one that embeds, one that ranks, or one that does several of these.
#[derive(Clone)]
pub struct Served {
    /// What writes.
    pub writing: Option<Arc<dyn Model>>,
    /// What embeds.
    pub embedding: Option<Arc<dyn Embedder>>,
    /// What tells how well documents answer a question. No vertex asks for that.
    pub ranking: Option<Arc<dyn Reranker>>,
    /// Of a model that is computed in this process: the requests that it works on at the same time.
    pub concurrent: Option<usize>,
}

impl Served {
    /// A language model.
    #[cfg(feature = "inference")]
    pub(super) fn writing(model: Arc<dyn Model>, concurrent: usize) -> Self {
        Self { writing: Some(model), embedding: None, ranking: None, concurrent: Some(concurrent) }
    }

    /// A sentence model.
    #[cfg(feature = "inference")]
    pub(super) fn embedding(embedder: Arc<dyn Embedder>, concurrent: usize) -> Self {
        Self { writing: None, embedding: Some(embedder), ranking: None, concurrent: Some(concurrent) }
    }

    /// A cross-encoder.
    #[cfg(feature = "inference")]
    pub(super) fn ranking(reranker: Arc<dyn Reranker>, concurrent: usize) -> Self {
        Self { writing: None, embedding: None, ranking: Some(reranker), concurrent: Some(concurrent) }
    }

    /// What does either when it is asked, as a service outside that tells which it does by its answer.
    pub(super) fn both(model: Arc<dyn Model>, embedder: Arc<dyn Embedder>) -> Self {
        Self { writing: Some(model), embedding: Some(embedder), ranking: None, concurrent: None }
    }

    /// What is loaded when it is needed, and tells what it does then.
    pub(super) fn deferred(model: Deferred) -> Self {
        Self::both(Arc::new(model.clone()), Arc::new(model))
    }

    /// The same at these prices.
    pub(super) fn at(self, prices: Prices) -> Self {
        let priced = |model| Arc::new(Priced::new(model, prices)) as Arc<dyn Model>;
        let priced_embedder = |embedder| Arc::new(PricedEmbedder::new(embedder, prices)) as Arc<dyn Embedder>;
        let (writing, embedding) = (self.writing.map(priced), self.embedding.map(priced_embedder));
        Self { writing, embedding, ..self }
    }
}
