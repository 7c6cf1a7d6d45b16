//! What all requests share: the model, once it is there, and how it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use superstep_engine::Failure;
use superstep_graph::Sampling;
use superstep_runtime::{ChatMessage, EmbedRequest, ModelRequest, RerankRequest, Role};
use tokio::sync::Semaphore;

use crate::counts::Counts;
use crate::desk::Desk;
use crate::offered::Offered;
use crate::refusal::Refusal;

/// The most bytes of the bodies of all requests that wait or are worked on, in units of [`UNIT`].
const MOST_UNITS: usize = (256 << 20) / UNIT;
/// Bytes are counted in such units.
pub(crate) const UNIT: usize = 1 << 10;
/// After so long a client may ask again whether the model is loaded.
const LOADING: Duration = Duration::from_secs(5);
/// What a model is tried with.
const TRIAL: &str = "Hello";

/// What all requests share.
pub(super) struct Hall {
    desk: OnceLock<Arc<Desk>>,
    queue: usize,
    pub(super) counts: Arc<Counts>,
    /// Room for the bodies of requests.
    pub(super) room: Arc<Semaphore>,
    is_ready: AtomicBool,
    is_dead: AtomicBool,
    is_tried: AtomicBool,
}

impl Hall {
    pub(super) fn new(queue: usize) -> Self {
        Self {
            desk: OnceLock::new(),
            queue,
            counts: Arc::default(),
            room: Arc::new(Semaphore::new(MOST_UNITS)),
            is_ready: AtomicBool::new(false),
            is_dead: AtomicBool::new(false),
            is_tried: AtomicBool::new(false),
        }
    }

    /// The desk, once the model is there.
    pub(super) fn desk(&self) -> Result<&Arc<Desk>, Refusal> {
        self.desk.get().ok_or_else(|| Refusal::unavailable("the model is being loaded", LOADING))
    }

    /// Whether requests are answered, and new ones welcome.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire) && !self.is_dead()
    }

    /// Whether only a new process can help.
    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Acquire)
    }

    pub(super) fn retire(&self) {
        self.is_ready.store(false, Ordering::Release);
    }

    /// Puts up the desk, after a model of this process has made a first token.
    pub(super) async fn open(self: &Arc<Self>, offered: Offered) -> Result<(), Failure> {
        if offered.is_local {
            try_out(&offered).await?;
        }
        let hall = Arc::downgrade(self);
        let doubt = Box::new(move || doubt(&hall));
        let desk = Desk::new(offered, self.queue, Arc::clone(&self.counts), doubt);
        if self.desk.set(Arc::new(desk)).is_err() {
            return Err(Failure::permanent("the server has a model already"));
        }
        self.is_ready.store(true, Ordering::Release);
        Ok(())
    }
}

/// Tries the model of this process again after a failure that should not be; one that fails again has died.
fn doubt(hall: &Weak<Hall>) {
    let Some(hall) = hall.upgrade() else { return };
    let Ok(desk) = hall.desk().map(Arc::clone) else { return };
    if !desk.offered.is_local || hall.is_tried.swap(true, Ordering::AcqRel) {
        return;
    }
    tokio::spawn(async move {
        if let Err(failure) = try_out(&desk.offered).await {
            tracing::error!(%failure, "the model has died");
            hall.is_dead.store(true, Ordering::Release);
        }
        hall.is_tried.store(false, Ordering::Release);
    });
}

/// Lets the model make one token, one vector, or one score.
async fn try_out(offered: &Offered) -> Result<(), Failure> {
    if let Some(model) = &offered.model {
        let request = ModelRequest {
            vertex: "trial".into(),
            messages: vec![ChatMessage::new(Role::User, TRIAL)].into(),
            tools: Arc::default(),
            sampling: Sampling { max_tokens: Some(1), ..Sampling::default() },
            seed: 0,
            schema: None,
            idempotency_key: String::new(),
        };
        model.generate(request, None).await?;
    }
    if let Some(embedder) = &offered.embedder {
        let (texts, idempotency_key) = (vec![TRIAL.to_owned()], String::new());
        embedder.embed(EmbedRequest { vertex: "trial".into(), texts, idempotency_key }).await?;
    }
    if let Some(reranker) = &offered.reranker {
        reranker.rerank(RerankRequest { query: TRIAL.to_owned(), documents: vec![TRIAL.to_owned()] }).await?;
    }
    Ok(())
}
