//! A model server that speaks OpenAI's chat completions, and answers as the request determines (*pure*) or each time
//! otherwise (*nonce*).

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::ledger::Ledger;

/// Serves on `listen`, for as long as the process lives; where that is.
///
/// # Errors
///
/// If nobody can listen there.
pub async fn serve(listen: SocketAddr, ledger: Ledger) -> Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await.context("the model server cannot listen")?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(ledger);
    tokio::spawn(async move {
        axum::serve(listener, router).await.expect("serving ends with the process");
    });
    Ok(address)
}

async fn complete(State(ledger): State<Ledger>, headers: HeaderMap, body: Bytes) -> Response {
    let Some((run, asked, stream)) = read(&body) else {
        return (StatusCode::BAD_REQUEST, "no prompt of the form [RUN] TEXT").into_response();
    };
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let request = blake3::hash(asked.as_bytes());
    let call = ledger.begin(&run, key, request.to_hex().as_str());
    wait(ledger.latency(), request.as_bytes()[0]).await;
    let answer = call.answer();
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
    let choice = |name: &str| json!({"index": 0, name: {"role": "assistant", "content": answer}, "finish_reason": "stop"});
    if stream {
        let chunk = json!({"object": "chat.completion.chunk", "choices": [choice("delta")], "usage": usage});
        return ([(header::CONTENT_TYPE, "text/event-stream")], format!("data: {chunk}\n\ndata: [DONE]\n\n"))
            .into_response();
    }
    let whole = json!({"object": "chat.completion", "choices": [choice("message")], "usage": usage});
    ([(header::CONTENT_TYPE, "application/json")], whole.to_string()).into_response()
}

/// The run that a request names, all that it asks apart from that, and whether it wants a stream.
fn read(body: &[u8]) -> Option<(String, String, bool)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let messages = body["messages"].as_array()?;
    let text = messages.last()?["content"].as_str()?;
    let (run, asked) = text.strip_prefix('[')?.split_once("] ")?;
    Some((run.to_owned(), asked.to_owned(), body["stream"].as_bool().unwrap_or(false)))
}

/// Waits for as long as an answer takes, which may be changed meanwhile.
async fn wait(mut average: watch::Receiver<Duration>, hash: u8) {
    let begun = Instant::now();
    loop {
        let until = begun + latency(*average.borrow_and_update(), hash);
        tokio::select! {
            () = sleep_until(until) => return,
            changed = average.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// From half to three halves of the average, as the request determines.
fn latency(average: Duration, hash: u8) -> Duration {
    average / 2 + average * u32::from(hash) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_under_way_comes_when_answers_are_quick_again() {
        let average = watch::Sender::new(Duration::from_secs(3_600));
        let mut waiting = std::pin::pin!(wait(average.subscribe(), 0));
        let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting);
        assert!(early.await.is_err());
        average.send_replace(Duration::ZERO);
        waiting.await;
    }
}
