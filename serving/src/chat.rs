//! `POST /v1/chat/completions`.

mod messages;
mod order;
mod reply;
mod stream;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::json;
use crate::asking::{begun, ended, key};
use crate::desk::Desk;
use crate::event_stream;
use crate::refusal::Refusal;
use order::ChatOrder;
use stream::Pieces;

/// Answers a request for chat completions.
///
/// The room that its body takes is given back when the work is done.
pub(crate) async fn chat(
    desk: &Desk,
    headers: &HeaderMap,
    body: &[u8],
    room: OwnedSemaphorePermit,
) -> Result<Response, Refusal> {
    let key = key(headers);
    let ChatOrder { asking, form, streams } = ChatOrder::read(body, desk, key.map(HeaderValue::as_bytes))?;
    let mut progress = asking.board(desk, key, room)?;
    if streams {
        begun(&mut progress).await?;
        return Ok(event_stream::response(Pieces::new(form), progress));
    }
    ended(&mut progress).await?;
    let whole = form.whole(&progress.borrow());
    Ok(json(StatusCode::OK, &whole))
}
