//! Requests that come again.

use serde_json::{Value, json};

use crate::given::{Dictate, Given, content, dictated, events, says, script_offered, taken};

const GENERATIONS: &str = "superstep_serving_generations_total";
const JOINED: &str = "superstep_serving_joined_total";
const RUNNING: &str = "vllm:num_requests_running";

async fn ask(given: &Given, key: &str, body: &Value) -> Value {
    let (status, _, answer) = taken(given.chat(body).header("idempotency-key", key)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_request_that_comes_again_gets_what_it_got() {
    let given = Given::tiny().await;
    // Without a seed each request would be drawn otherwise.
    let warm = says("Hello", json!({"temperature": 1.5, "max_tokens": 12}));
    let first = ask(&given, "k", &warm).await;
    let again = ask(&given, "k", &warm).await;
    assert_eq!((content(&again), &again["usage"]), (content(&first), &first["usage"]));
    let mut streamed = warm.clone();
    streamed["stream"] = json!(true);
    let response = given.chat(&streamed).header("idempotency-key", "k").send().await.unwrap();
    let pieces = events(response).await;
    let text: String =
        pieces.iter().filter_map(|piece| piece["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, content(&first));
    assert_eq!((given.metric(GENERATIONS).await, given.metric(JOINED).await), (1.0, 2.0));
    // Another request is another, whatever its key.
    ask(&given, "k", &says("Hello!", json!({"max_tokens": 2}))).await;
    ask(&given, "l", &warm).await;
    given.answer(&warm).await;
    assert_eq!(given.metric(GENERATIONS).await, 4.0);
}

#[tokio::test]
async fn a_request_that_comes_again_joins_what_is_on_its_way() {
    let (given, tell) = dictated().await;
    let body = says("x", json!({}));
    // Nothing is written before both have come.
    let writes = async {
        given.until(JOINED, 1.0).await;
        tell.send(Dictate::Text("one two")).unwrap();
        tell.send(Dictate::End).unwrap();
    };
    let (first, second, ()) = tokio::join!(ask(&given, "k", &body), ask(&given, "k", &body), writes);
    assert_eq!((content(&first), content(&second)), ("one two", "one two"));
    assert_eq!((given.metric(GENERATIONS).await, given.metric(JOINED).await), (1.0, 1.0));
}

#[tokio::test]
async fn who_lost_the_connection_finds_the_answer_that_went_on() {
    let (given, tell) = dictated().await;
    let body = says("x", json!({}));
    let request = given.chat(&body).header("idempotency-key", "k").send();
    let lost = tokio::spawn(request);
    given.until(RUNNING, 1.0).await;
    lost.abort();
    let writes = async {
        given.until(JOINED, 1.0).await;
        tell.send(Dictate::Text("one two")).unwrap();
        tell.send(Dictate::End).unwrap();
    };
    let (answer, ()) = tokio::join!(ask(&given, "k", &body), writes);
    assert_eq!(content(&answer), "one two");
    assert_eq!(given.metric(GENERATIONS).await, 1.0);
}

#[tokio::test]
async fn what_nobody_waits_for_makes_room_for_who_does() {
    let script = json!({"rules": [{"last": "long", "answer": "x", "latency": "1h"}], "otherwise": "y"});
    let given = Given::offering(script_offered(script, 1), 4).await;
    let request = given.chat(&says("long", json!({}))).header("idempotency-key", "k").send();
    let lost = tokio::spawn(request);
    given.until(RUNNING, 1.0).await;
    lost.abort();
    assert_eq!(content(&given.answer(&says("short", json!({}))).await), "y");
    assert_eq!(given.metric("superstep_serving_abandoned_total").await, 1.0);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let given =
        Given::scripted(json!({"rules": [{"answer": "x", "fail": {"times": 1, "message": "away"}}]})).await;
    let body = says("x", json!({}));
    let (status, _, _) = taken(given.chat(&body).header("idempotency-key", "k")).await;
    assert_eq!(status, 503);
    assert_eq!(content(&ask(&given, "k", &body).await), "x");
}

#[tokio::test]
async fn answers_are_kept_within_bounds() {
    let given = Given::scripted(json!({"otherwise": "x"})).await;
    let body = says("x", json!({}));
    for number in 0..1030 {
        ask(&given, &format!("k{number}"), &body).await;
    }
    ask(&given, "k1029", &body).await;
    assert_eq!(given.metric(GENERATIONS).await, 1030.0);
    ask(&given, "k0", &body).await;
    assert_eq!(given.metric(GENERATIONS).await, 1031.0);
}
