//! What one server serves.

use std::sync::Arc;

use superstep_graph::Prices;
use superstep_runtime::{Embedder, Model, Priced, PricedEmbedder};

/// A model that writes, one that embeds, or one that does both.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) writing: Option<Arc<dyn Model>>,
    pub(super) embedding: Option<Arc<dyn Embedder>>,
}

impl Served {
    /// A language model.
    #[cfg(feature = "inference")]
    pub(super) fn writing(model: Arc<dyn Model>) -> Self {
        Self { writing: Some(model), embedding: None }
    }

    /// A sentence model.
    #[cfg(feature = "inference")]
    pub(super) fn embedding(embedder: Arc<dyn Embedder>) -> Self {
        Self { writing: None, embedding: Some(embedder) }
    }

    /// What does either when it is asked, as a service outside that tells which it does by its answer.
    pub(super) fn both(model: Arc<dyn Model>, embedder: Arc<dyn Embedder>) -> Self {
        Self { writing: Some(model), embedding: Some(embedder) }
    }

    /// The same at these prices.
    pub(super) fn at(self, prices: Prices) -> Self {
        let priced = |model| Arc::new(Priced::new(model, prices)) as Arc<dyn Model>;
        let priced_embedder = |embedder| Arc::new(PricedEmbedder::new(embedder, prices)) as Arc<dyn Embedder>;
        Self { writing: self.writing.map(priced), embedding: self.embedding.map(priced_embedder) }
    }
}
