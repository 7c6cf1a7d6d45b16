//! What a server offers.

use std::sync::Arc;

use superstep_runtime::{Embedder, Model, Reranker};

/// A model that is served.
#[derive(Clone)]
pub struct Offered {
    /// The names by which clients may ask for it; the first is told to those who ask for a list. At least one.
    pub names: Vec<String>,
    /// What writes, if it does.
    pub model: Option<Arc<dyn Model>>,
    /// What embeds, if it does.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// What tells how well documents answer a question, if it does.
    pub reranker: Option<Arc<dyn Reranker>>,
    /// Requests that are worked on at the same time; others wait. At least 1.
    pub concurrent: usize,
    /// Whether it is computed in this process. Such a model is tried before it is offered, and an answer without a
    /// limit may fill its context.
    pub is_local: bool,
}

impl Offered {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.names[0]
    }

    /// Whether clients mean it by `name`.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }
}
