//! `POST /v1/chat/completions`.

mod format;
mod messages;
mod order;
mod reply;
mod stream;

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use crate::answer::json;
use crate::desk::Desk;
use crate::flight::Progress;
use crate::flights::{FlightKey, Order};
use crate::refusal::Refusal;
use order::ChatOrder;

/// The header by which a request is known when it comes again.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// So long a stream waits for its first text before it begins all the same: what fails until then is told by the
/// status of the answer.
const FIRST_TEXT: Duration = Duration::from_secs(5);

/// Answers a request for chat completions.
///
/// The room that its body takes is given back when the work is done.
pub(crate) async fn chat(
    desk: &Desk,
    headers: &HeaderMap,
    body: &[u8],
    room: OwnedSemaphorePermit,
) -> Result<Response, Refusal> {
    let header = headers.get(IDEMPOTENCY_KEY).filter(|key| !key.is_empty());
    let order = ChatOrder::read(body, desk, header.map(HeaderValue::as_bytes))?;
    let key = header.map(|key| flight_key(key, &order));
    let ChatOrder { model, requests, form, streams, .. } = order;
    let board = desk.flights.board(key, Order { model, requests, room });
    let mut progress = board.map_err(|full| Refusal::busy(full.0))?;
    if streams {
        begun(&mut progress).await?;
        return Ok(stream::response(form, progress));
    }
    let ended = progress.wait_for(Progress::is_over).await.map_err(|_| broken())?;
    if let Some(failure) = ended.failure() {
        return Err(Refusal::failed(failure));
    }
    Ok(json(StatusCode::OK, &form.whole(&ended)))
}

/// Waits for the first text, for a while.
async fn begun(progress: &mut Receiver<Progress>) -> Result<(), Refusal> {
    match timeout(FIRST_TEXT, progress.wait_for(Progress::has_begun)).await {
        Ok(Ok(begun)) => match begun.failure() {
            Some(failure) => Err(Refusal::failed(failure)),
            None => Ok(()),
        },
        Ok(Err(_)) => Err(broken()),
        Err(_) => Ok(()),
    }
}

/// The work ended without an end.
fn broken() -> Refusal {
    Refusal::unavailable("the work on the request broke off", Duration::from_secs(1))
}

/// What a request with a key is known by.
fn flight_key(key: &HeaderValue, order: &ChatOrder) -> FlightKey {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key.as_bytes());
    hasher.update(&order.digest);
    hasher.finalize().into()
}
