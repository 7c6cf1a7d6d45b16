//! Whether a server is well, and how it ends.

use std::time::Duration;

use serde_json::json;

use crate::given::{Given, offered, says, script_offered, tiny_model};

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
    let given = Given::scripted(json!({"otherwise": "one two", "latency": "3s"})).await;
    let asked = tokio::spawn(given.chat(&says("x", json!({"stream": true}))).send());
    given.until("vllm:num_requests_running", 1.0).await;
    given.server.retire();
    assert_eq!(given.text("/readyz").await.0, 503);
    assert_eq!(given.text("/livez").await.0, 200);
    let address = given.server.address();
    assert!(given.server.close(Duration::from_secs(60)).await, "all was answered");
    let text = asked.await.unwrap().unwrap().text().await.unwrap();
    assert!(text.contains("two") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
}

#[tokio::test]
async fn it_does_not_wait_for_ever() {
    let given = Given::scripted(json!({"otherwise": "x", "latency": "1h"})).await;
    let asked = tokio::spawn(given.chat(&says("x", json!({}))).send());
    given.until("vllm:num_requests_running", 1.0).await;
    assert!(!given.server.close(Duration::from_millis(50)).await);
    asked.abort();
}
