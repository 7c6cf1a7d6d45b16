//! `POST /v1/responses`.
//!
//! A request is translated to what chat completions ask of a model. Nothing of it is kept: a conversation goes on with
//! all its items.

mod form;
mod input;
mod item;
mod order;
mod stream;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::json;
use crate::asking::{begun, ended, key};
use crate::desk::Desk;
use crate::event_stream;
use crate::refusal::Refusal;
use order::ResponseOrder;
use stream::Events;

/// Answers a request for a response.
///
/// The room that its body takes is given back when the work is done.
pub(crate) async fn respond(
    desk: &Desk,
    headers: &HeaderMap,
    body: &[u8],
    room: OwnedSemaphorePermit,
) -> Result<Response, Refusal> {
    let key = key(headers);
    let order = ResponseOrder::read(body, desk, key.map(HeaderValue::as_bytes))?;
    let ResponseOrder { asking, form, streams } = order;
    let mut progress = asking.board(desk, key, room)?;
    if streams {
        begun(&mut progress).await?;
        return Ok(event_stream::response(Events::new(form), progress));
    }
    ended(&mut progress).await?;
    let whole = progress.borrow().answer().map(|answer| form.whole(answer));
    whole.map(|whole| json(StatusCode::OK, &whole)).ok_or_else(crate::asking::broken)
}
