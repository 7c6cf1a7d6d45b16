//! `POST /v1/responses`.
//!
//! A request is translated to what chat completions ask of a model. Nothing of it is kept: a conversation goes on with
//! all its items.

mod form;
mod input;
mod item;
mod order;
mod stream;

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::json_of;
use crate::asking::{begun, ended, key};
use crate::desk::Desk;
use crate::event_stream;
use crate::refusal::Refusal;
use crate::server::UNIT;
use order::ResponseOrder;
use stream::Events;

/// Answers a request for a response.
///
/// The room that its body takes is given back when the work is done, apart from that for what the response repeats of it:
/// a client may read that late, or never.
pub(crate) async fn respond(
    desk: &Desk,
    headers: &HeaderMap,
    body: &[u8],
    mut room: OwnedSemaphorePermit,
) -> Result<Response, Refusal> {
    let key = key(headers);
    let order = ResponseOrder::read(body, desk, key.map(HeaderValue::as_bytes))?;
    let ResponseOrder { asking, form, streams } = order;
    let kept = kept_of(&mut room, form.kept());
    let mut progress = asking.board(desk, key, room)?;
    if streams {
        begun(&mut progress).await?;
        return Ok(event_stream::response(Events::new(form, kept), progress));
    }
    ended(&mut progress).await?;
    let whole = progress.borrow().answer().map(|answer| form.whole(answer));
    whole.map(|whole| json_of(form.written(&whole), kept)).ok_or_else(crate::asking::broken)
}

/// The part of the room of a body that so many bytes of it take.
fn kept_of(room: &mut OwnedSemaphorePermit, bytes: usize) -> OwnedSemaphorePermit {
    let units = bytes.div_ceil(UNIT).min(room.num_permits());
    room.split(units).expect("it is no more than there is")
}
