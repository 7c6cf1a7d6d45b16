//! Whether a server is well, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;
use superstep_engine::{Failure, Usage};
use superstep_runtime::{EmbedRequest, Embedder, Embeddings, Ranking, RerankRequest, Reranker};
use superstep_serving::Offered;

use crate::given::{
    Dictate, Given, PATIENCE, dictated, offered, ranking_offered, says, script_offered, taken, tiny_model,
};

/// What computes once, and has died then.
#[derive(Default)]
struct Mortal(AtomicBool);

impl Mortal {
    fn once<T: Send + 'static>(&self, computed: T) -> BoxFuture<'static, Result<T, Failure>> {
        let died = self.0.swap(true, Ordering::AcqRel);
        async move { if died { Err(Failure::transient("it has stopped")) } else { Ok(computed) } }.boxed()
    }
}

impl Embedder for Mortal {
    fn embed(&self, _: EmbedRequest) -> BoxFuture<'static, Result<Embeddings, Failure>> {
        self.once(Embeddings { vectors: vec![vec![1.0]], usage: Usage::default() })
    }
}

impl Reranker for Mortal {
    fn rerank(&self, _: RerankRequest) -> BoxFuture<'static, Result<Ranking, Failure>> {
        self.once(Ranking { scores: vec![1.0], usage: Usage::default() })
    }
}

#[tokio::test]
async fn it_lives_at_once_and_is_ready_when_the_model_has_made_a_token() {
    let given = Given::empty(4).await;
    assert_eq!(given.text("/livez").await.0, 200);
    assert_eq!(given.text("/readyz").await.0, 503);
    let (status, error) = given.refusal(&says("x", json!({}))).await;
    assert_eq!((status, &error["type"]), (503, &json!("server_error")));
    assert!(!given.text("/metrics").await.1.contains("vllm:"));
    given.server.open(offered(tiny_model(), 4)).await.unwrap();
    assert_eq!(given.text("/readyz").await.0, 200);
    given.answer(&says("x", json!({"max_tokens": 1}))).await;
}

#[tokio::test]
async fn a_model_that_makes_no_token_is_not_offered() {
    let given = Given::empty(4).await;
    let script =
        json!({"rules": [{"answer": "x", "fail": {"times": 1, "message": "broken", "permanent": true}}]});
    let mut broken = script_offered(script, 1);
    broken.is_local = true;
    let failure = given.server.open(broken).await.unwrap_err();
    assert_eq!(failure.message, "broken");
    assert_eq!(given.text("/readyz").await.0, 503);
}

#[tokio::test]
async fn a_model_that_fails_again_has_died() {
    let given = Given::empty(4).await;
    let fail = |times: u32| json!({"times": times, "message": "stopped"});
    let script = json!({"rules": [
        {"last": "once", "answer": "x", "fail": fail(1)},
        {"last": "die", "answer": "x", "fail": fail(1)},
        {"contains": "Hello", "turn": 1, "vertex": "trial", "answer": "x"}]});
    let mut local = script_offered(script, 1);
    local.is_local = true;
    given.server.open(local).await.unwrap();
    assert_eq!(given.refusal(&says("once", json!({}))).await.0, 503);
    // It was tried, and is well.
    assert_eq!(given.text("/livez").await.0, 200);
    assert_eq!(given.text("/readyz").await.0, 200);

    let given = Given::empty(4).await;
    let script = json!({"rules": [
        {"last": "die", "answer": "x", "fail": fail(9)},
        {"last": "Hello", "vertex": "trial", "answer": "x", "fail": fail(9)}]});
    let mut local = script_offered(script, 1);
    given.server.open(local.clone()).await.unwrap();
    assert_eq!(given.refusal(&says("die", json!({}))).await.0, 503);
    assert_eq!(given.text("/livez").await.0, 200, "a model elsewhere is not judged by its failures");
    let given = Given::empty(4).await;
    local.is_local = true;
    assert!(given.server.open(local).await.is_err());
}

#[tokio::test]
async fn what_embeds_or_ranks_and_fails_again_has_died() {
    let (embeds, ranks) = (Arc::new(Mortal::default()), Arc::new(Mortal::default()));
    let neither = || Offered { model: None, embedder: None, reranker: None, ..ranking_offered() };
    for (mortal, path, body) in [
        (
            Offered { embedder: Some(embeds), ..neither() },
            "/v1/embeddings",
            json!({"model": "tiny", "input": "x"}),
        ),
        (
            Offered { reranker: Some(ranks), ..neither() },
            "/v1/rerank",
            json!({"model": "tiny", "query": "x", "documents": ["x"]}),
        ),
    ] {
        let given = Given::empty(4).await;
        given.server.open(mortal).await.unwrap();
        assert_eq!(given.text("/livez").await.0, 200, "{path}");
        assert_eq!(taken(given.post(path, &body)).await.0, 503, "{path}");
        let since = Instant::now();
        while given.text("/livez").await.0 == 200 {
            assert!(since.elapsed() < PATIENCE, "{path}: the server says that it has died");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn the_metrics_have_the_names_that_endpoint_pickers_ask_for() {
    let given = Given::tiny().await;
    given.answer(&says("x", json!({"max_tokens": 3}))).await;
    let (status, text) = given.text("/metrics").await;
    assert_eq!(status, 200);
    for name in ["vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc"] {
        assert!(
            text.contains(&format!("# TYPE {name} gauge\n{name}{{model_name=\"tiny\"}} 0")),
            "{name}: {text}"
        );
    }
    assert!(text.contains("superstep_serving_answer_seconds_bucket{le=\"+Inf\"} 1"), "{text}");
    assert!(given.metric("superstep_serving_completion_tokens_total").await >= 1.0);
}

#[tokio::test]
async fn it_ends_when_all_that_was_asked_is_answered() {
    let (given, tell) = dictated().await;
    let asked = tokio::spawn(given.chat(&says("x", json!({"stream": true}))).send());
    given.until("vllm:num_requests_running", 1.0).await;
    given.server.retire();
    assert_eq!(given.text("/readyz").await.0, 503);
    assert_eq!(given.text("/livez").await.0, 200);
    let address = given.server.address();
    let closing = tokio::spawn(given.server.close(PATIENCE));
    let since = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(since.elapsed() < PATIENCE, "nobody listens");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(!closing.is_finished(), "what was asked is not answered yet");
    tell.send(Dictate::Text("one two")).unwrap();
    tell.send(Dictate::End).unwrap();
    assert!(closing.await.unwrap(), "all was answered");
    let text = asked.await.unwrap().unwrap().text().await.unwrap();
    assert!(text.contains("two") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn it_does_not_wait_for_ever() {
    let given = Given::scripted(json!({"otherwise": "x", "latency": "1h"})).await;
    let asked = tokio::spawn(given.chat(&says("x", json!({}))).send());
    given.until("vllm:num_requests_running", 1.0).await;
    assert!(!given.server.close(Duration::from_millis(50)).await);
    asked.abort();
}
