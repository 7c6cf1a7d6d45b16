//! Answers told as they are written, as server-sent events.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use super::reply::{Form, Reply, beside, call, logprobs};
use crate::flight::{Choice, Progress};
use crate::refusal::Refusal;

/// After so much silence a comment is sent, so that nobody between takes the connection for dead.
const SILENCE: Duration = Duration::from_secs(10);

/// A response that tells the answers as they are written. A client that goes away takes its listener with it.
pub(super) fn response(form: Form, progress: Receiver<Progress>) -> Response {
    let told = vec![Told::Nothing; progress.borrow().choices.len()];
    let telling = Telling { form, progress, told, pieces: VecDeque::new(), is_over: false };
    let pieces = unfold(telling, |mut telling| async {
        let piece = telling.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), telling))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

/// A stream that is told.
struct Telling {
    form: Form,
    progress: Receiver<Progress>,
    told: Vec<Told>,
    /// What waits to be sent.
    pieces: VecDeque<Bytes>,
    is_over: bool,
}

/// What was told of one answer.
#[derive(Clone, Copy)]
enum Told {
    /// Not even that it begins.
    Nothing,
    /// So many bytes of its text.
    Text(usize),
    /// All of it.
    All,
}

impl Telling {
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
                Ok(Err(_)) => {
                    let refusal = Refusal::unavailable("the work on the request broke off", SILENCE);
                    self.end_with(&refusal);
                }
                Err(_) => return Some(Bytes::from_static(b": still at it\n\n")),
            }
        }
    }

    /// Takes what has come since the last time.
    fn gather(&mut self) {
        let progress = self.progress.borrow_and_update();
        if let Some(failure) = progress.failure() {
            let refusal = Refusal::failed(failure);
            drop(progress);
            self.end_with(&refusal);
            return;
        }
        let mut events = Vec::new();
        for (index, choice) in progress.choices.iter().enumerate() {
            self.told[index] = tell(&self.form, index, choice, self.told[index], &mut events);
        }
        let is_over = self.told.iter().all(|told| matches!(told, Told::All));
        if is_over && self.form.includes_usage() {
            events.push(self.form.usage_chunk(&progress));
        }
        drop(progress);
        self.pieces.extend(events.iter().map(event));
        if is_over {
            self.pieces.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
            self.is_over = true;
        }
    }

    fn end_with(&mut self, refusal: &Refusal) {
        self.pieces.push_back(event(&refusal.body()));
        self.is_over = true;
    }
}

fn event(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// Tells what is new of one answer, and says what was told of it then.
fn tell(form: &Form, index: usize, choice: &Choice, told: Told, events: &mut Vec<Value>) -> Told {
    let mut chunk = |delta: Value, finish: Option<&str>, logprobs: Value| {
        let choice = json!({"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs});
        events.push(form.chunk(json!([choice])));
    };
    let from = match told {
        Told::All => return Told::All,
        // Nothing is told of an answer that may yet be refused.
        Told::Nothing if choice.text.is_empty() && choice.ended.is_none() => return Told::Nothing,
        Told::Nothing => {
            chunk(json!({"role": "assistant", "content": "", "refusal": null}), None, Value::Null);
            0
        }
        Told::Text(bytes) => bytes,
    };
    let Some(Ok(answer)) = &choice.ended else {
        if form.holds_back() || choice.text.len() == from {
            return Told::Text(from);
        }
        chunk(json!({"content": choice.text[from..]}), None, Value::Null);
        return Told::Text(choice.text.len());
    };
    let Reply { text, calls, finish } = form.reply(answer);
    if let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
        chunk(json!({"content": rest}), None, Value::Null);
    }
    let more = beside(answer);
    if !more.is_empty() {
        chunk(Value::Object(more), None, Value::Null);
    }
    if !calls.is_empty() {
        let calls = calls.iter().enumerate().map(|(number, wanted)| {
            let mut wanted = call(wanted);
            wanted["index"] = json!(number);
            wanted
        });
        chunk(json!({"tool_calls": calls.collect::<Vec<Value>>()}), None, Value::Null);
    }
    chunk(json!({}), Some(finish), logprobs(answer));
    Told::All
}
