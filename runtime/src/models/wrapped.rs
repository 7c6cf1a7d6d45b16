//! Models around models: with a price, or by name alone.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::Failure;
use superstep_graph::Prices;

use crate::call_subject::ModelIdentity;
use crate::embedder::{EmbedRequest, Embedder, Embeddings};
use crate::model::{Model, ModelAnswer, ModelRequest};
use crate::model_work::ModelWork;
use crate::program::OnText;

/// A model whose tokens cost something.
pub struct Priced {
    model: Arc<dyn Model>,
    prices: Prices,
}

impl Priced {
    /// `model` at these prices.
    pub fn new(model: Arc<dyn Model>, prices: Prices) -> Self {
        Self { model, prices }
    }
}

impl Model for Priced {
    fn prompt_tokens(&self, request: &ModelRequest) -> u64 {
        self.model.prompt_tokens(request)
    }

    fn calls_tools(&self) -> bool {
        self.model.calls_tools()
    }

    fn identity(&self) -> Option<ModelIdentity> {
        self.model.identity()
    }

    fn prices(&self) -> Prices {
        self.prices
    }

    fn adapted(&self, adapter: &str) -> Option<Arc<dyn Model>> {
        let model = self.model.adapted(adapter)?;
        Some(Arc::new(Self { model, prices: self.prices }))
    }

    fn adapters(&self) -> Vec<String> {
        self.model.adapters()
    }

    fn adapters_in_use(&self) -> Vec<String> {
        self.model.adapters_in_use()
    }

    fn work(&self) -> Option<ModelWork> {
        self.model.work()
    }

    fn generate(
        &self,
        request: ModelRequest,
        on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        self.model.generate(request, on_text)
    }
}

/// An embedder whose tokens cost something.
pub struct PricedEmbedder {
    embedder: Arc<dyn Embedder>,
    prices: Prices,
}

impl PricedEmbedder {
    /// `embedder` at these prices.
    pub fn new(embedder: Arc<dyn Embedder>, prices: Prices) -> Self {
        Self { embedder, prices }
    }
}

impl Embedder for PricedEmbedder {
    fn tokens(&self, texts: &[String]) -> u64 {
        self.embedder.tokens(texts)
    }

    fn identity(&self) -> Option<ModelIdentity> {
        self.embedder.identity()
    }

    fn prices(&self) -> Prices {
        self.prices
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'static, Result<Embeddings, Failure>> {
        self.embedder.embed(request)
    }
}

/// A model that is known by name and not loaded: enough to look at a run and to replay it, not to drive it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotLoaded {
    /// Whether it has tool calling of its own. What an agent asks depends on that.
    pub calls_tools: bool,
}

impl Model for NotLoaded {
    fn calls_tools(&self) -> bool {
        self.calls_tools
    }

    fn generate(
        &self,
        request: ModelRequest,
        _on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let message = format!("the model of vertex {:?} is not loaded", request.vertex);
        futures::future::ready(Err(Failure::permanent(message))).boxed()
    }
}

impl Embedder for NotLoaded {
    fn embed(&self, request: EmbedRequest) -> BoxFuture<'static, Result<Embeddings, Failure>> {
        let message = format!("the model of vertex {:?} is not loaded", request.vertex);
        futures::future::ready(Err(Failure::permanent(message))).boxed()
    }
}
