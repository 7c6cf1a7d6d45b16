//! Chat completions as they are written.

use serde_json::{Value, json};

use crate::given::{Dictate, Given, Heard, content, dictated, events, says};

async fn streamed(given: &Given, body: &Value) -> Vec<Value> {
    let mut body = body.clone();
    body["stream"] = json!(true);
    let response = given.chat(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    events(response).await
}

fn texts(events: &[Value], index: u64) -> Vec<&str> {
    let choices = events.iter().filter_map(|event| event["choices"].get(0));
    let choices = choices.filter(|choice| choice["index"] == index);
    choices.filter_map(|choice| choice["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn pieces_add_up_to_the_whole() {
    let given = Given::tiny().await;
    let body = says("Hello", json!({"max_tokens": 24, "temperature": 1.0, "seed": 9}));
    let whole = given.answer(&body).await;
    let mut asked = body.clone();
    asked["stream_options"] = json!({"include_usage": true});
    let events = streamed(&given, &asked).await;
    assert_eq!(texts(&events, 0).concat(), content(&whole));
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let [.., last, usage, done] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(last["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
    assert_eq!((&usage["usage"], &usage["choices"]), (&whole["usage"], &json!([])));
    assert_eq!(done, "[DONE]");
    assert!(events[..events.len() - 2].iter().all(|event| event["usage"].is_null()));
    let plain = streamed(&given, &body).await;
    assert!(plain.iter().all(|event| event.get("usage").is_none()), "{plain:?}");
}

#[tokio::test]
async fn several_answers_are_told_side_by_side() {
    let given = Given::tiny().await;
    let body = says("Hello", json!({"max_tokens": 16, "temperature": 1.0, "seed": 9, "n": 3}));
    let whole = given.answer(&body).await;
    let events = streamed(&given, &body).await;
    for index in 0..3 {
        let choice = &whole["choices"][usize::try_from(index).unwrap()];
        assert_eq!(texts(&events, index).concat(), choice["message"]["content"].as_str().unwrap());
    }
}

#[tokio::test]
async fn a_text_is_told_while_it_is_written() {
    let (given, tell) = dictated().await;
    tell.send(Dictate::Text("one ")).unwrap();
    let response = given.chat(&says("x", json!({"stream": true}))).send().await.unwrap();
    let mut heard = Heard::new(response);
    for (text, next) in
        [("one ", Dictate::Text("two ")), ("two ", Dictate::Text("three")), ("three", Dictate::End)]
    {
        // The model writes nothing more before this is heard.
        heard.until(text).await;
        tell.send(next).unwrap();
    }
    assert_eq!(texts(&heard.events().await, 0), ["", "one ", "two ", "three"]);
}

#[tokio::test]
async fn calls_of_tools_come_whole_and_no_text_before_them() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object",
        "required": ["a"], "additionalProperties": false, "properties": {"a": {"enum": [1, 2]}}}}});
    let body = says("x", json!({"tools": [tool], "tool_choice": "required", "max_tokens": 128}));
    let native = Given::scripted(json!({"rules": [{"calls": [{"name": "f", "arguments": {"a": 1}}]}]})).await;
    let mut freely = body.clone();
    freely["tool_choice"] = json!("auto");
    for (given, body) in [(Given::tiny().await, body), (native, freely)] {
        let events = streamed(&given, &body).await;
        assert_eq!(texts(&events, 0).concat(), "");
        let calls = events.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0));
        let call = calls.clone().next().unwrap();
        assert_eq!((&call["index"], &call["function"]["name"]), (&json!(0), &json!("f")), "{events:?}");
        let finish = &events[events.len() - 2]["choices"][0]["finish_reason"];
        assert_eq!(finish, "tool_calls", "{events:?}");
    }
}

#[tokio::test]
async fn what_fails_at_once_is_told_by_the_status_and_later_by_an_event() {
    let given = Given::tiny().await;
    let mut body = says(&"x".repeat(5000), json!({"stream": true}));
    assert_eq!(given.refused_at_once("/v1/chat/completions", &body).await, 400);
    // An answer whose schema cannot be fulfilled in so few tokens is refused before it begins, too.
    body = says(
        "x",
        json!({"stream": true, "max_tokens": 2, "response_format": {"type": "json_schema",
        "json_schema": {"name": "a", "schema": {"type": "string", "minLength": 50}}}}),
    );
    assert_eq!(given.refused_at_once("/v1/chat/completions", &body).await, 400);
    let (given, tell) = dictated().await;
    // It begins after a while although nothing is written.
    let response = given.chat(&says("x", json!({"stream": true}))).send().await.unwrap();
    assert_eq!(response.status(), 200);
    tell.send(Dictate::Fail("away")).unwrap();
    let events = events(response).await;
    let [error] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (&error["error"]["type"], &error["error"]["message"]),
        (&json!("server_error"), &json!("away"))
    );
}
