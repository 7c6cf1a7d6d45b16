//! Answers that break off, are silent, too large, or of which nobody wants the rest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use superstep_engine::FailureClass;
use superstep_providers::Providers;
use superstep_runtime::{Model, OnText};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::fake::{Fake, ask, events, listen, model, request};

/// How long something may take on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that takes requests, writes `answer` to each, and then either hangs up or says nothing more; it tells when
/// the other side of a request has hung up.
async fn server(answer: String, hangs_up: bool) -> (String, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            // One that was given up before it was sent is none.
            if !has_request(&mut socket).await || socket.write_all(answer.as_bytes()).await.is_err() {
                continue;
            }
            if hangs_up {
                continue;
            }
            let mut rest = [0; 64];
            while socket.read(&mut rest).await.is_ok_and(|read| read > 0) {}
            sender.send(()).unwrap_or_default();
        }
    });
    (uri, receiver)
}

/// Reads to the end of the request; false if it is cut off before that.
async fn has_request(socket: &mut TcpStream) -> bool {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(read @ 1..) = socket.read(&mut buffer).await else { return false };
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if body.zip(length).is_some_and(|(came, length): (usize, usize)| came >= length) {
            return true;
        }
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100000\r\n\r\n";
const PIECE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}]}\n\n";
const END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

fn at(uri: &str, more: serde_json::Value) -> Arc<dyn Model> {
    model(&mut Providers::new().unwrap(), "OpenAI", uri, more)
}

#[tokio::test]
async fn a_lost_connection_is_no_short_answer() {
    let (uri, _) = server(format!("{HEAD}{PIECE}"), true).await;
    let (answer, heard) = listen(&at(&uri, json!({})), request()).await;
    let failure = answer.unwrap_err();
    assert_eq!((failure.class, heard), (FailureClass::Transient, vec!["Hel".to_owned()]));
    assert!(failure.message.contains("broke off"), "{failure}");
}

#[tokio::test]
async fn what_is_lost_after_the_end_is_not_missed() {
    let (uri, _) = server(format!("{HEAD}{PIECE}{END}"), true).await;
    let (answer, _) = listen(&at(&uri, json!({})), request()).await;
    assert_eq!(answer.unwrap().text, "Hel");
}

#[tokio::test]
async fn a_stream_that_ends_before_its_answer_is_no_short_answer() {
    let open_ai = json!({"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": null}]});
    let anthropic =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}});
    let gemini = json!({"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]});
    for (provider, piece) in
        [("OpenAI", open_ai), ("Mistral", json!({})), ("Anthropic", anthropic), ("Gemini", gemini)]
    {
        let fake = Fake::new(events(&[piece])).await;
        let failure = listen(&fake.model(provider, json!({})), request()).await.0.unwrap_err();
        assert_eq!(failure.class, FailureClass::Transient, "{failure}");
        assert!(failure.message.contains("the answer broke off"), "{failure}");
    }
    let body = wiremock::ResponseTemplate::new(200)
        .set_body_raw("{\"message\":{\"content\":\"Hel\"},\"done\":false}\n{\"mess", "application/x-ndjson");
    let failure = listen(&Fake::new(body).await.model("Ollama", json!({})), request()).await.0.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "{failure}");
    let whole = wiremock::ResponseTemplate::new(200).set_body_raw("{\"choices\": [", "application/json");
    let failure = ask(&Fake::new(whole).await.model("OpenAI", json!({})), request()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "{failure}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let (uri, mut gone) = server(format!("{HEAD}{PIECE}"), false).await;
    let begun = Instant::now();
    // Its time may be over before it was sent, of which the server hears nothing.
    while gone.try_recv().is_err() {
        assert!(begun.elapsed() < PATIENCE, "the server does not hear of it");
        let failure = listen(&at(&uri, json!({"timeout": "200ms"})), request()).await.0.unwrap_err();
        assert_eq!(failure.class, FailureClass::Transient);
        assert!(failure.message.contains("it took too long (timeout 0.2 s)"), "{failure}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_hung_up() {
    let (uri, mut gone) = server(format!("{HEAD}{PIECE}"), false).await;
    let model = at(&uri, json!({}));
    let (tell, mut heard) = mpsc::unbounded_channel();
    let on_text: OnText = Arc::new(move |_| tell.send(()).unwrap_or_default());
    let answer = model.generate(request(), Some(on_text));
    tokio::select! {
        answer = answer => panic!("{answer:?}"),
        _ = heard.recv() => {}
    }
    tokio::time::timeout(PATIENCE, gone.recv()).await.unwrap().unwrap();
}
