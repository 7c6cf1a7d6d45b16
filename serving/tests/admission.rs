//! How many requests are worked on, and how many may wait.

use serde_json::json;

use crate::given::{Given, content, events, says, script_offered, taken};

const RUNNING: &str = "vllm:num_requests_running";
const WAITING: &str = "vllm:num_requests_waiting";

#[tokio::test]
async fn past_the_queue_requests_are_turned_away_and_told_when_to_come_again() {
    let script = json!({"rules": [{"last": "long", "answer": "x", "latency": "1h"}], "otherwise": "y"});
    let given = Given::offering(script_offered(script, 1), 1).await;
    let long = tokio::spawn(given.chat(&says("long", json!({}))).send());
    given.until(RUNNING, 1.0).await;
    let waits = tokio::spawn(given.chat(&says("short", json!({}))).send());
    given.until(WAITING, 1.0).await;
    for more in [json!({}), json!({"stream": true})] {
        let (status, headers, body) = taken(given.chat(&says("short", more))).await;
        assert_eq!((status, &body["error"]["code"]), (429, &json!("queue_full")));
        let pause: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&pause), "{pause}");
    }
    let two = json!({"n": 2});
    assert_eq!(given.refusal(&says("short", two)).await.0, 429);
    // Who goes away gives his place back, and the next has it.
    long.abort();
    assert_eq!(waits.await.unwrap().unwrap().status(), 200);
    given.until(RUNNING, 0.0).await;
    given.until(WAITING, 0.0).await;
    assert_eq!(given.metric("superstep_serving_turned_away_total").await, 3.0);
}

#[tokio::test]
async fn who_waits_and_goes_away_leaves_the_queue() {
    let script = json!({"rules": [{"last": "long", "answer": "x", "latency": "1h"}]});
    let given = Given::offering(script_offered(script, 1), 4).await;
    let long = tokio::spawn(given.chat(&says("long", json!({}))).send());
    given.until(RUNNING, 1.0).await;
    let stream = given.chat(&says("long", json!({"stream": true}))).header("idempotency-key", "k").send();
    let waits = tokio::spawn(stream);
    given.until(WAITING, 1.0).await;
    waits.abort();
    given.until(WAITING, 0.0).await;
    long.abort();
    given.until(RUNNING, 0.0).await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_no_place() {
    let long = "word ".repeat(200_000);
    let given = Given::offering(script_offered(json!({"otherwise": long}), 1), 4).await;
    let tokens = json!({"stream": true, "max_tokens": 1_000_000});
    let unread = given.chat(&says("x", tokens.clone())).send().await.unwrap();
    given.until(RUNNING, 0.0).await;
    let again = given.chat(&says("x", tokens)).send().await.unwrap();
    let texts = events(again).await;
    let text: String =
        texts.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text.len(), long.len());
    drop(unread);
}

#[tokio::test]
async fn what_responses_repeat_that_nobody_reads_takes_room() {
    let given = Given::offering(script_offered(json!({"otherwise": "y"}), 4), 64).await;
    let asks = |bytes: usize, more: serde_json::Value| {
        let mut body = json!({"model": "tiny", "input": "x", "instructions": "i".repeat(bytes)});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        given.post("/v1/responses", &body).send()
    };
    let (long, short) = (15 << 20, 1 << 10);
    let streamed = json!({"stream": true});
    let mut unread = Vec::new();
    // 17 of them are 255 MiB of the 256 that bodies may have.
    for number in 0..17 {
        let response = asks(long, streamed.clone()).await.unwrap();
        assert_eq!(response.status(), 200, "{number}");
        unread.push(response);
    }
    // No model is at work, and the bodies were taken in.
    given.until(RUNNING, 0.0).await;
    for more in [streamed.clone(), json!({})] {
        assert_eq!(asks(long, more).await.unwrap().status(), 429);
    }
    assert_eq!(asks(short, json!({})).await.unwrap().status(), 200);
    // What is read gives its room back, as what is left does.
    let read = unread.pop().unwrap();
    assert!(read.text().await.unwrap().len() > long);
    let again = asks(long, streamed.clone()).await.unwrap();
    assert_eq!(again.status(), 200);
    drop((again, unread));
    for _ in 0..3_000 {
        let response = asks(long, json!({})).await.unwrap();
        if response.status() == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no room is given back");
}

#[tokio::test]
async fn many_at_once_are_all_answered() {
    let given = Given::tiny().await;
    let asked = (0..32).map(|seed| {
        let body = says("Hello", json!({"temperature": 1.0, "seed": seed, "max_tokens": 8}));
        let given = &given;
        async move { content(&given.answer(&body).await).to_owned() }
    });
    let texts = futures::future::join_all(asked).await;
    for (seed, text) in texts.iter().enumerate() {
        let body = says("Hello", json!({"temperature": 1.0, "seed": seed, "max_tokens": 8}));
        assert_eq!(text, content(&given.answer(&body).await));
    }
}
