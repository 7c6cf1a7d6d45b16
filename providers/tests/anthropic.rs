//! Messages, by the examples of Anthropic's API reference.

use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::FailureClass;
use superstep_runtime::{Finish, ModelRequest};

use crate::fake::{
    Fake, SECRET, after_calls, ask, calls, events, grade, listen, ok, request, tokens, with_schema,
    with_tools,
};

fn message(content: Value, stop: &str) -> Value {
    json!({"id": "msg_013Zva2CMHLNnXjNJJKqJ2EF", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": content, "stop_reason": stop, "stop_sequence": null,
        "usage": {"input_tokens": 2095, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 2051,
            "output_tokens": 503}})
}

fn start(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

/// A stream of these events between its beginning and its end.
fn stream(middle: &[Value], stop: &str) -> Vec<Value> {
    let begun = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [], "model": "claude",
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 25, "output_tokens": 1}});
    let mut all = vec![json!({"type": "message_start", "message": begun}), json!({"type": "ping"})];
    all.extend_from_slice(middle);
    all.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
            "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop"}),
    ]);
    all
}

#[tokio::test]
async fn a_text() {
    let content = json!([{"type": "text", "text": "Hi! My name is Claude.", "citations": null}]);
    let fake = Fake::new(ok(message(content, "end_turn"))).await;
    let answer = ask(&fake.model("Anthropic", json!({})), request()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("Hi! My name is Claude.", Finish::Stop));
    assert_eq!(tokens(&answer), [2095 + 100 + 2051, 2051, 503, 0]);
    let sent = &fake.requests().await[0];
    assert_eq!(sent.url.path(), "/messages");
    assert_eq!(sent.headers["x-api-key"], SECRET);
    assert_eq!(sent.headers["anthropic-version"], "2023-06-01");
    assert_eq!(sent.headers.get("authorization"), None);
    assert_eq!(
        fake.asked().await,
        json!({"model": "some-model", "max_tokens": 64, "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["END"],
            "system": "You are a helpful assistant.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello!"}]}]})
    );
}

#[tokio::test]
async fn a_streamed_text() {
    let middle = [
        start(0, json!({"type": "text", "text": ""})),
        delta(0, json!({"type": "text_delta", "text": "Hello"})),
        delta(0, json!({"type": "text_delta", "text": "!"})),
    ];
    let fake = Fake::new(events(&stream(&middle, "max_tokens"))).await;
    let (answer, heard) = listen(&fake.model("Anthropic", json!({})), request()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("Hello!", Finish::Length));
    assert_eq!(heard, ["Hello", "!"]);
    assert_eq!(tokens(&answer), [25, 0, 15, 0]);
    assert_eq!(fake.asked().await["stream"], true);
}

#[tokio::test]
async fn parallel_calls_of_tools_and_their_results() {
    let content = json!([
        {"type": "text", "text": "I'll check."},
        {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {"location": "Paris"}},
        {"type": "tool_use", "id": "toolu_02", "name": "get_weather", "input": {"location": "Rome"}},
    ]);
    let fake = Fake::new(ok(message(content, "tool_use"))).await;
    let model = fake.model("Anthropic", json!({}));
    let answer = ask(&model, after_calls(None)).await.unwrap();
    assert_eq!(answer.text, "I'll check.");
    assert_eq!(
        calls(&answer),
        ["toolu_01 get_weather {\"location\":\"Paris\"}", "toolu_02 get_weather {\"location\":\"Rome\"}"]
    );
    let asked = fake.asked().await;
    assert_eq!(
        asked["tools"],
        json!([{"name": "get_weather", "description": "The weather at a place",
            "input_schema": *with_tools().tools[0].parameters}])
    );
    let call = |id: &str, place: &str| json!({"type": "tool_use", "id": id, "name": "get_weather", "input": {"location": place}});
    let result = |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": text});
    // The results of parallel calls stand in one message.
    assert_eq!(
        asked["messages"].as_array().unwrap()[1..],
        [
            json!({"role": "assistant", "content": [call("call_abc", "Paris"), call("call-1", "Rome")]}),
            json!({"role": "user", "content": [result("call_abc", "{\"degrees\": 15}"), result("call-1", "sunny")]}),
        ]
    );
}

#[tokio::test]
async fn streamed_calls_and_reasoning_that_goes_back() {
    let json_delta =
        |index: u64, text: &str| delta(index, json!({"type": "input_json_delta", "partial_json": text}));
    let middle = [
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Two "})),
        delta(0, json!({"type": "thinking_delta", "thinking": "places."})),
        delta(0, json!({"type": "signature_delta", "signature": "EqQB"})),
        start(1, json!({"type": "redacted_thinking", "data": "Emwk"})),
        start(2, json!({"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {}})),
        json_delta(2, ""),
        json_delta(2, "{\"location\": \"San"),
        start(3, json!({"type": "tool_use", "id": "toolu_02", "name": "get_weather", "input": {}})),
        json_delta(2, " Francisco\"}"),
    ];
    let fake = Fake::new(events(&stream(&middle, "tool_use"))).await;
    let model = fake.model("Anthropic", json!({}));
    let (answer, heard) = listen(&model, with_tools()).await;
    let answer = answer.unwrap();
    assert_eq!(
        calls(&answer),
        ["toolu_01 get_weather {\"location\":\"San Francisco\"}", "toolu_02 get_weather {}"]
    );
    assert_eq!((answer.reasoning.as_deref(), heard.len()), (Some("Two places."), 0));
    let mut request = with_tools();
    Arc::make_mut(&mut request.messages).push(answer.message());
    listen(&model, request.clone()).await.0.unwrap();
    let turn = &fake.asked().await["messages"][1]["content"];
    assert_eq!(turn[0], json!({"type": "thinking", "thinking": "Two places.", "signature": "EqQB"}));
    assert_eq!(turn[1], json!({"type": "redacted_thinking", "data": "Emwk"}));
    assert_eq!(turn[2]["type"], "tool_use");
    // Another provider does not see it.
    let other =
        Fake::new(ok(json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}))).await;
    ask(&other.model("OpenAI", json!({})), request).await.unwrap();
    assert!(!other.asked().await.to_string().contains("EqQB"));
}

#[tokio::test]
async fn answers_are_held_to_a_schema_or_told_of_it() {
    let fake = Fake::new(ok(message(json!([{"type": "text", "text": "{\"grade\":1}"}]), "end_turn"))).await;
    let model = fake.model("Anthropic", json!({}));
    assert_eq!(ask(&model, with_schema(grade())).await.unwrap().text, "{\"grade\":1}");
    let asked = fake.asked().await;
    assert_eq!(asked["output_config"], json!({"format": {"type": "json_schema", "schema": grade()}}));
    assert_eq!(asked["system"], "You are a helpful assistant.");
    ask(&model, with_schema(json!({"oneOf": [{"type": "integer"}]}))).await.unwrap();
    let asked = fake.asked().await;
    assert_eq!(asked.get("output_config"), None);
    assert!(asked["system"].as_str().unwrap().contains("satisfies this JSON schema:\n{\"oneOf\""));
}

#[tokio::test]
async fn refusals_and_errors_in_a_stream_are_failures() {
    for (end, class, says) in [
        (
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            FailureClass::Transient,
            "529 overloaded_error: Overloaded",
        ),
        (
            json!({"type": "error", "error": {"type": "api_error", "message": "Internal"}}),
            FailureClass::Transient,
            "500 api_error",
        ),
        (
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}}),
            FailureClass::Permanent,
            "400 invalid_request_error: bad",
        ),
        (
            json!({"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 1}}),
            FailureClass::Permanent,
            "withheld the answer (stop_reason refusal)",
        ),
    ] {
        let fake = Fake::new(events(&[delta(0, json!({"type": "text_delta", "text": "Hel"})), end])).await;
        let failure = listen(&fake.model("Anthropic", json!({})), request()).await.0.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.message.contains(says), "{failure}");
    }
}

#[tokio::test]
async fn what_it_does_not_have_is_refused() {
    let fake = Fake::new(ok(message(json!([]), "end_turn"))).await;
    for field in ["minP", "presencePenalty", "seed"] {
        let sampling = serde_json::from_value(json!({ field: 1 })).unwrap();
        let failure = ask(&fake.model("Anthropic", json!({})), ModelRequest { sampling, ..request() })
            .await
            .unwrap_err();
        assert!(failure.message.contains(&format!("sampling.{field}")), "{failure}");
    }
    assert_eq!(fake.requests().await.len(), 0);
}
