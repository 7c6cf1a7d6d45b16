//! Answers that are JSON.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::unfold;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

/// An answer that is JSON.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, kind())], body.to_string()).into_response()
}

/// An answer that is JSON in pieces. It keeps its room until all of them are read.
pub(crate) fn json_of<const N: usize>(pieces: [Bytes; N], room: OwnedSemaphorePermit) -> Response {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let sent = unfold((pieces.into_iter(), room), |(mut pieces, room)| async move {
        let piece = pieces.next()?;
        Some((Ok::<_, Infallible>(piece), (pieces, room)))
    });
    let headers = [(header::CONTENT_TYPE, kind()), (header::CONTENT_LENGTH, HeaderValue::from(length))];
    (headers, Body::from_stream(sent)).into_response()
}

fn kind() -> HeaderValue {
    HeaderValue::from_static("application/json")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::to_bytes;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn an_answer_in_pieces_keeps_its_room_until_it_is_read() {
        let rooms = Arc::new(Semaphore::new(1));
        let room = Arc::clone(&rooms).try_acquire_owned().unwrap();
        let answer = json_of(["{\"a\"", ":1", "}"].map(Bytes::from), room);
        assert_eq!(answer.headers()[header::CONTENT_LENGTH], "7");
        assert_eq!(rooms.available_permits(), 0);
        assert_eq!(to_bytes(answer.into_body(), 7).await.unwrap(), "{\"a\":1}");
        assert_eq!(rooms.available_permits(), 1);
    }
}
