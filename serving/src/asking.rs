//! What a model is asked to write, whichever path the request came by.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use superstep_graph::{Sampling, VertexName};
use superstep_runtime::{ChatMessage, Model, ModelRequest};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use crate::desk::Desk;
use crate::flight::Progress;
use crate::flights::{FlightKey, Order};
use crate::refusal::Refusal;
use crate::tool_use::ToolUse;

/// The header by which a request is known when it comes again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Who asks, where the request does not say.
const NOBODY: &str = "request";
/// So long a stream waits for its first text before it begins all the same: what fails until then is told by the
/// status of the answer.
const FIRST_TEXT: Duration = Duration::from_secs(5);

/// What a request says of the answers that it wants.
pub(crate) struct Wanted {
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) sampling: Sampling,
    pub(crate) seed: u64,
    pub(crate) schema: Option<Arc<Value>>,
    /// What it says of who asks.
    pub(crate) metadata: Map<String, Value>,
    pub(crate) choices: u32,
}

/// What a model is asked to write.
pub(crate) struct Asking {
    model: Arc<dyn Model>,
    /// How many calls the conversation has already.
    pub(crate) calls_before: usize,
    /// What it is asked, once for each answer.
    requests: Vec<ModelRequest>,
    /// Hash of all that decides the answers.
    digest: [u8; 32],
}

impl Asking {
    /// The answers of `model` that a request wants which came with `key`, and which may call `tools`. Several are drawn
    /// with the seeds that follow each other.
    pub(crate) fn new(
        (name, model): (&str, &Arc<dyn Model>),
        wanted: Wanted,
        tools: &ToolUse,
        key: Option<&[u8]>,
    ) -> Self {
        let Wanted { messages, sampling, seed, schema, metadata, choices } = wanted;
        let calls_before = messages.iter().map(|message| message.tool_calls.len()).sum();
        let mut request = ModelRequest {
            vertex: vertex(&metadata),
            messages: messages.into(),
            tools: [].into(),
            sampling,
            seed,
            schema,
            idempotency_key: key.map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
        };
        tools.prepare(&mut request);
        let numbered = |number: u32| {
            let mut request = request.clone();
            request.seed = request.seed.wrapping_add(number.into());
            // Each answer is a call of its own.
            if number > 0 && !request.idempotency_key.is_empty() {
                request.idempotency_key = format!("{}#{number}", request.idempotency_key);
            }
            request
        };
        let requests = (0..choices).map(numbered).collect();
        let digest = digest(&request, name, choices, tools);
        Self { model: Arc::clone(model), calls_before, requests, digest }
    }

    /// Boards the flight of a request that came with `key`. The room that its body takes is given back when the work
    /// is done.
    pub(crate) fn board(
        self,
        desk: &Desk,
        key: Option<&HeaderValue>,
        room: OwnedSemaphorePermit,
    ) -> Result<Receiver<Progress>, Refusal> {
        let Self { model, requests, digest, .. } = self;
        let key = key.map(|key| flight_key(key, &digest));
        let board = desk.flights.board(key, Order { model, requests, room });
        board.map_err(|full| Refusal::busy(full.0))
    }
}

/// The key of a request, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(IDEMPOTENCY_KEY).filter(|key| !key.is_empty())
}

/// The vertex that asks, as our own workers tell it in `metadata.vertex`.
fn vertex(metadata: &Map<String, Value>) -> VertexName {
    metadata.get("vertex").and_then(Value::as_str).unwrap_or(NOBODY).into()
}

/// Waits for the first text, for a while.
pub(crate) async fn begun(progress: &mut Receiver<Progress>) -> Result<(), Refusal> {
    match timeout(FIRST_TEXT, progress.wait_for(Progress::has_begun)).await {
        Ok(Ok(begun)) => match begun.failure() {
            Some(failure) => Err(Refusal::failed(failure)),
            None => Ok(()),
        },
        Ok(Err(_)) => Err(broken()),
        Err(_) => Ok(()),
    }
}

/// Waits until all answers are there.
pub(crate) async fn ended(progress: &mut Receiver<Progress>) -> Result<(), Refusal> {
    let ended = progress.wait_for(Progress::is_over).await.map_err(|_| broken())?;
    match ended.failure() {
        Some(failure) => Err(Refusal::failed(failure)),
        None => Ok(()),
    }
}

/// The work ended without an end.
pub(crate) fn broken() -> Refusal {
    Refusal::unavailable("the work on the request broke off", Duration::from_secs(1))
}

/// What a request with a key is known by.
fn flight_key(key: &HeaderValue, digest: &[u8; 32]) -> FlightKey {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key.as_bytes());
    hasher.update(digest);
    hasher.finalize().into()
}

fn digest(request: &ModelRequest, name: &str, choices: u32, tools: &ToolUse) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&request.digest(&VertexName::from(name)));
    hasher.update(&choices.to_le_bytes());
    hasher.update(&[u8::from(tools.is_prompted())]);
    hasher.update(request.vertex.as_str().as_bytes());
    hasher.finalize().into()
}
