//! Answers told as they are written, as server-sent events.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::unfold;
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use crate::asking::broken;
use crate::flight::Progress;
use crate::refusal::Refusal;

/// After so much silence a comment is sent, so that nobody between takes the connection for dead.
const SILENCE: Duration = Duration::from_secs(10);

/// How a stream tells of the answers.
pub(crate) trait Telling: Send + 'static {
    /// Tells what is new since the last time. Whether all has been told.
    fn tell(&mut self, progress: &Progress, events: &mut Vec<Bytes>) -> bool;

    /// Tells why there is no more.
    fn fail(&mut self, refusal: &Refusal, events: &mut Vec<Bytes>);
}

/// A response that tells the answers as they are written. A client that goes away takes its listener with it.
pub(crate) fn response(telling: impl Telling, progress: Receiver<Progress>) -> Response {
    let events = Events { telling, progress, pieces: VecDeque::new(), is_over: false };
    let pieces = unfold(events, |mut events| async {
        let piece = events.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), events))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

/// A stream that is told.
struct Events<T> {
    telling: T,
    progress: Receiver<Progress>,
    /// What waits to be sent.
    pieces: VecDeque<Bytes>,
    is_over: bool,
}

impl<T: Telling> Events<T> {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Some(piece);
            }
            if self.is_over {
                return None;
            }
            self.gather();
            if !self.pieces.is_empty() || self.is_over {
                continue;
            }
            match timeout(SILENCE, self.progress.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => self.end_with(&broken()),
                Err(_) => return Some(Bytes::from_static(b": still at it\n\n")),
            }
        }
    }

    /// Takes what has come since the last time.
    fn gather(&mut self) {
        let progress = self.progress.borrow_and_update();
        let failed = progress.failure().map(Refusal::failed);
        let mut events = Vec::new();
        if failed.is_none() {
            self.is_over = self.telling.tell(&progress, &mut events);
        }
        drop(progress);
        self.pieces.extend(events);
        if let Some(refusal) = failed {
            self.end_with(&refusal);
        }
    }

    fn end_with(&mut self, refusal: &Refusal) {
        let mut events = Vec::new();
        self.telling.fail(refusal, &mut events);
        self.pieces.extend(events);
        self.is_over = true;
    }
}
