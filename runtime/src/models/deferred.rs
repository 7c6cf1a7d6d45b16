//! A model that is loaded when it is needed: where a process may never call it.

use std::error::Error;
use std::panic::resume_unwind;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::Failure;
use superstep_graph::Prices;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::call_subject::ModelIdentity;
use crate::embedder::{EmbedRequest, Embedder, Embeddings};
use crate::model::{Model, ModelAnswer, ModelRequest};
use crate::model_work::ModelWork;
use crate::program::OnText;

use super::NotLoaded;

/// Why a model cannot be loaded; with its causes.
pub type NotLoadable = Box<dyn Error + Send + Sync>;

/// What a model has turned out to be.
#[derive(Clone)]
pub struct Loaded {
    /// What writes.
    pub writing: Option<Arc<dyn Model>>,
    /// What embeds.
    pub embedding: Option<Arc<dyn Embedder>>,
}

/// A model that is loaded when it is first called, if nobody has [loaded](Self::load) it before. What it costs to be
/// called is not known until then: a request reserves as many tokens as its messages have bytes. Clones share what is
/// loaded.
#[derive(Clone)]
pub struct Deferred(Arc<Inner>);

struct Inner {
    name: String,
    calls_tools: bool,
    prices: Prices,
    make: Box<dyn Fn() -> Result<Loaded, NotLoadable> + Send + Sync>,
    loaded: OnceCell<Loaded>,
}

impl Deferred {
    /// A model called `name` in messages, which `make` loads: on a thread that it may block. Before it is loaded it says of
    /// itself whether it has tool calling of its own, and what its tokens cost, as it is told here.
    pub fn new(
        name: impl Into<String>,
        (calls_tools, prices): (bool, Prices),
        make: impl Fn() -> Result<Loaded, NotLoadable> + Send + Sync + 'static,
    ) -> Self {
        let (name, make, loaded) = (name.into(), Box::new(make), OnceCell::new());
        Self(Arc::new(Inner { name, calls_tools, prices, make, loaded }))
    }

    /// Whether it is loaded.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.0.loaded.initialized()
    }

    /// Loads it, unless it is loaded. After an error it may be tried again.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub async fn load(&self) -> Result<&Loaded, NotLoadable> {
        let inner = Arc::clone(&self.0);
        let load = || async move {
            let loading = spawn_blocking(move || (inner.make)());
            loading.await.unwrap_or_else(|ended| resume_unwind(ended.into_panic()))
        };
        self.0.loaded.get_or_try_init(load).await
    }

    async fn called(&self) -> Result<&Loaded, Failure> {
        let failed = |error: NotLoadable| {
            let name = &self.0.name;
            Failure::transient(format!("model {name:?} cannot be loaded: {error}"))
        };
        self.load().await.map_err(failed)
    }

    fn writing(&self) -> Option<&Arc<dyn Model>> {
        self.0.loaded.get()?.writing.as_ref()
    }

    fn embedding(&self) -> Option<&Arc<dyn Embedder>> {
        self.0.loaded.get()?.embedding.as_ref()
    }

    fn does_not(&self, what: &str) -> Failure {
        Failure::permanent(format!("model {:?} {what}", self.0.name))
    }
}

impl Model for Deferred {
    fn prompt_tokens(&self, request: &ModelRequest) -> u64 {
        match self.writing() {
            Some(model) => model.prompt_tokens(request),
            None => NotLoaded::default().prompt_tokens(request),
        }
    }

    fn calls_tools(&self) -> bool {
        self.writing().map_or(self.0.calls_tools, |model| model.calls_tools())
    }

    fn identity(&self) -> Option<ModelIdentity> {
        self.writing()?.identity()
    }

    fn prices(&self) -> Prices {
        self.writing().map_or(self.0.prices, |model| model.prices())
    }

    fn work(&self) -> Option<ModelWork> {
        self.writing()?.work()
    }

    fn generate(
        &self,
        request: ModelRequest,
        on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let deferred = self.clone();
        async move {
            match &deferred.called().await?.writing {
                Some(model) => model.generate(request, on_text).await,
                None => Err(deferred.does_not("writes no texts")),
            }
        }
        .boxed()
    }
}

impl Embedder for Deferred {
    fn tokens(&self, texts: &[String]) -> u64 {
        match self.embedding() {
            Some(embedder) => embedder.tokens(texts),
            None => NotLoaded::default().tokens(texts),
        }
    }

    fn identity(&self) -> Option<ModelIdentity> {
        self.embedding()?.identity()
    }

    fn prices(&self) -> Prices {
        self.embedding().map_or(self.0.prices, |embedder| embedder.prices())
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'static, Result<Embeddings, Failure>> {
        let deferred = self.clone();
        async move {
            match &deferred.called().await?.embedding {
                Some(embedder) => embedder.embed(request).await,
                None => Err(deferred.does_not("embeds no texts")),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;
    use superstep_graph::Sampling;

    use super::*;
    use crate::model::{ChatMessage, Role};
    use crate::models::{Scripted, ScriptedModel};

    fn request() -> ModelRequest {
        ModelRequest {
            vertex: "a".into(),
            messages: Arc::new(vec![ChatMessage::new(Role::User, "four more words here")]),
            tools: Arc::from([]),
            sampling: Sampling::default(),
            seed: 0,
            schema: None,
            idempotency_key: "k".to_owned(),
        }
    }

    /// A model that fails to load at first, and how often that was tried.
    fn failing_once() -> (Deferred, Arc<AtomicU32>) {
        let tries = Arc::new(AtomicU32::new(0));
        let tried = Arc::clone(&tries);
        let make = move || {
            if tried.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err("there is no file".into());
            }
            let script = ScriptedModel { otherwise: Some(json!("yes")), ..ScriptedModel::default() };
            Ok(Loaded { writing: Some(Arc::new(Scripted::new(script))), embedding: None })
        };
        (Deferred::new("small", (true, Prices::default()), make), tries)
    }

    #[tokio::test]
    async fn it_is_loaded_once_when_it_is_called_and_again_after_an_error() {
        let (deferred, tries) = failing_once();
        assert!(!deferred.is_loaded() && deferred.calls_tools());
        assert_eq!(deferred.prompt_tokens(&request()), 20);
        let failure = deferred.generate(request(), None).await.unwrap_err();
        assert!(failure.class.is_retryable() && failure.message.contains("there is no file"), "{failure:?}");
        for _ in 0..2 {
            assert_eq!(deferred.generate(request(), None).await.unwrap().text, "yes");
        }
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        // It speaks for itself from now on.
        assert!(deferred.clone().is_loaded() && !deferred.calls_tools());
        assert_eq!(deferred.prompt_tokens(&request()), 5);
    }

    #[tokio::test]
    async fn what_it_does_not_do_is_a_failure() {
        let (deferred, _) = failing_once();
        assert!(deferred.load().await.is_err());
        let request =
            EmbedRequest { vertex: "a".into(), texts: vec!["x".to_owned()], idempotency_key: "k".to_owned() };
        let failure = deferred.embed(request).await.unwrap_err();
        assert!(!failure.class.is_retryable() && failure.message.contains("embeds no texts"), "{failure:?}");
    }
}
