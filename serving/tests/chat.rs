//! Chat completions as a whole.

use serde_json::{Value, json};
use superstep_graph::Sampling;
use superstep_runtime::{ChatMessage, Model as _, ModelRequest, Role};

use crate::given::{Given, content, says, taken, tiny_model};

fn request(text: &str, sampling: Value, seed: u64, schema: Option<Value>) -> ModelRequest {
    let sampling: Sampling = serde_json::from_value(sampling).unwrap();
    ModelRequest {
        vertex: "ask".into(),
        messages: vec![ChatMessage::new(Role::User, text)].into(),
        tools: [].into(),
        sampling,
        seed,
        schema: schema.map(Into::into),
        idempotency_key: String::new(),
    }
}

#[tokio::test]
async fn an_answer_is_what_the_model_says_in_its_own_process() {
    let (given, model) = (Given::tiny().await, tiny_model());
    let grade = json!({"type": "object", "required": ["grade"], "additionalProperties": false,
        "properties": {"grade": {"type": "integer", "minimum": 1, "maximum": 5}}});
    let held = json!({"type": "json_schema", "json_schema": {"name": "g", "schema": grade}});
    for (asked, sampling, seed, schema) in [
        (json!({"max_tokens": 12}), json!({"maxTokens": 12}), 0, None),
        (
            json!({"max_completion_tokens": 12, "temperature": 1.1, "top_p": 0.9, "seed": u64::MAX}),
            json!({"maxTokens": 12, "temperature": 1.1, "topP": 0.9}),
            u64::MAX,
            None,
        ),
        (
            json!({"max_tokens": 16, "temperature": 0.8, "seed": 7, "top_k": 40, "min_p": 0.01,
                "repetition_penalty": 1.2, "presence_penalty": 0.5, "frequency_penalty": 0.25, "stop": "e"}),
            json!({"maxTokens": 16, "temperature": 0.8, "topK": 40, "minP": 0.01, "repetitionPenalty": 1.2,
                "presencePenalty": 0.5, "frequencyPenalty": 0.25, "stop": ["e"]}),
            7,
            None,
        ),
        (json!({"max_tokens": 24, "response_format": held}), json!({"maxTokens": 24}), 0, Some(grade)),
    ] {
        let answer = given.answer(&says("Hello", asked)).await;
        let here = model.generate(request("Hello", sampling, seed, schema), None).await.unwrap();
        assert_eq!(content(&answer), here.text);
        assert_eq!(answer["usage"]["prompt_tokens"], here.usage.prompt_tokens);
        assert_eq!(answer["usage"]["completion_tokens"], here.usage.completion_tokens);
        assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("tiny")));
    }
}

#[tokio::test]
async fn an_answer_without_a_limit_may_fill_the_context() {
    let answer = Given::tiny().await.answer(&says("Hello", json!({"temperature": 1.0, "seed": 3}))).await;
    let usage = &answer["usage"];
    let finish = answer["choices"][0]["finish_reason"].as_str().unwrap();
    assert!(finish == "stop" || usage["total_tokens"] == 2048, "{answer}");
    assert!(usage["completion_tokens"].as_u64().unwrap() > 256 || finish == "stop", "{answer}");
}

#[tokio::test]
async fn several_answers_are_drawn_by_seeds_one_after_another() {
    let given = Given::tiny().await;
    let warm = |more: Value| {
        let mut body = says("Hello", json!({"temperature": 1.0, "max_tokens": 12}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let three = given.answer(&warm(json!({"n": 3, "seed": 5}))).await;
    let choices = three["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    let mut written = 0;
    for (number, choice) in choices.iter().enumerate() {
        let alone = given.answer(&warm(json!({"seed": 5 + number}))).await;
        assert_eq!(choice["message"]["content"], content(&alone));
        assert_eq!(choice["index"], number);
        written += alone["usage"]["completion_tokens"].as_u64().unwrap();
    }
    assert_eq!(three["usage"]["completion_tokens"], written);
}

#[tokio::test]
async fn log_probabilities_are_told_where_they_are_asked_for() {
    let given = Given::tiny().await;
    let answer =
        given.answer(&says("Hello", json!({"max_tokens": 5, "logprobs": true, "top_logprobs": 2}))).await;
    let told = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert!(!told.is_empty() && told.len() <= 5, "{answer}");
    assert!(told.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == 2), "{answer}");
    let plain = given.answer(&says("Hello", json!({"max_tokens": 5}))).await;
    assert_eq!(plain["choices"][0]["logprobs"], Value::Null);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table with a row for each mistake")]
async fn what_is_wrong_is_refused_with_the_name_of_the_field() {
    let given = Given::tiny().await;
    let call = json!([{"type": "function", "function": {"name": "f"}}]);
    for (body, status, param, code) in [
        (json!({"messages": []}), 400, json!("model"), Value::Null),
        (json!({"model": "tiny"}), 400, json!("messages"), Value::Null),
        (json!({"model": "tiny", "messages": []}), 400, json!("messages"), Value::Null),
        (json!({"model": "gpt-4o", "messages": []}), 404, json!("model"), json!("model_not_found")),
        (says("x", json!({"temprature": 1})), 400, json!("temprature"), json!("unknown_parameter")),
        (says("x", json!({"temperature": "hot"})), 400, json!("temperature"), Value::Null),
        (says("x", json!({"temperature": -1})), 400, Value::Null, Value::Null),
        (says("x", json!({"n": 0})), 400, json!("n"), Value::Null),
        (says("x", json!({"n": 1000})), 400, json!("n"), Value::Null),
        (says("x", json!({"max_tokens": 0})), 400, json!("max_completion_tokens"), Value::Null),
        (
            says("x", json!({"max_tokens": 1, "max_completion_tokens": 2})),
            400,
            json!("max_tokens"),
            Value::Null,
        ),
        (says("x", json!({"top_logprobs": 2})), 400, json!("top_logprobs"), Value::Null),
        (
            says("x", json!({"logit_bias": {"5": 1}})),
            400,
            json!("logit_bias"),
            json!("unsupported_parameter"),
        ),
        (
            says("x", json!({"reasoning_effort": "high"})),
            400,
            json!("reasoning_effort"),
            json!("unknown_parameter"),
        ),
        (
            says("x", json!({"modalities": ["audio"]})),
            400,
            json!("modalities"),
            json!("unsupported_parameter"),
        ),
        (says("x", json!({"stream_options": {}})), 400, json!("stream_options"), Value::Null),
        (
            says("x", json!({"response_format": {"type": "xml"}})),
            400,
            json!("response_format.type"),
            Value::Null,
        ),
        (
            says("x", json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}})),
            400,
            json!("response_format.json_schema.schema"),
            Value::Null,
        ),
        (says("x", json!({"tools": call, "tool_choice": "must"})), 400, json!("tool_choice"), Value::Null),
        (says("x", json!({"functions": call})), 400, json!("functions"), json!("unsupported_parameter")),
        (
            json!({"model": "tiny", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            400,
            json!("messages[0].content[0]"),
            json!("unsupported_parameter"),
        ),
        (
            json!({"model": "tiny", "messages": [{"role": "robot", "content": "x"}]}),
            400,
            json!("messages[0].role"),
            Value::Null,
        ),
        (
            json!({"model": "tiny", "messages": [{"role": "tool", "content": "x"}]}),
            400,
            json!("messages[0].tool_call_id"),
            Value::Null,
        ),
        (says(&"x".repeat(5000), json!({})), 400, Value::Null, Value::Null),
    ] {
        let (found, error) = given.refusal(&body).await;
        assert_eq!((found, &error["param"], &error["code"]), (status, &param, &code), "{body}: {error}");
        assert_eq!(error["type"], "invalid_request_error", "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
    let request = given.client.post(given.url("/v1/chat/completions")).body("{");
    assert_eq!(taken(request).await.0, 400);
}

#[tokio::test]
async fn fields_that_say_nothing_are_taken() {
    let more = json!({"temperature": null, "tools": [], "user": "me", "store": false, "logit_bias": {},
        "functions": null, "reasoning_effort": null, "metadata": {"vertex": "v"}, "service_tier": "auto",
        "max_tokens": 3, "parallel_tool_calls": true, "modalities": ["text"], "n": 1, "tool_choice": "auto"});
    let mut body = says("x", more);
    body["messages"] = json!([
        {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        {"role": "assistant", "content": null, "refusal": null, "annotations": [], "audio": null,
            "function_call": null, "tool_calls": null},
        {"role": "user", "content": "x"}]);
    Given::tiny().await.answer(&body).await;
}

#[tokio::test]
async fn a_model_without_tool_calling_is_told_of_tools_and_held_to_a_call() {
    let given = Given::tiny().await;
    let tool = json!({"type": "function", "function": {"name": "get_weather", "description": "Tells the weather.",
        "parameters": {"type": "object", "required": ["day"], "additionalProperties": false,
            "properties": {"day": {"enum": ["today", "tomorrow"]}}}, "strict": true}});
    let more =
        json!({"tools": [tool], "tool_choice": "required", "parallel_tool_calls": false, "max_tokens": 256});
    let mut body = says("How is the weather?", more);
    let answer = given.answer(&body).await;
    let choice = &answer["choices"][0];
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!((calls.len(), &choice["finish_reason"]), (1, &json!("tool_calls")), "{answer}");
    assert_eq!((&calls[0]["id"], &calls[0]["function"]["name"]), (&json!("call_0"), &json!("get_weather")));
    let arguments: Value = serde_json::from_str(calls[0]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!(["today", "tomorrow"].map(Value::from).contains(&arguments["day"]), "{answer}");
    // The conversation goes on with what the call gave.
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": "call_0", "content": "rain"}));
    let answer = given.answer(&body).await;
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["id"], "call_1", "{answer}");
    body["tool_choice"] = json!("none");
    let answer = given.answer(&body).await;
    assert!(answer["choices"][0]["message"]["tool_calls"].is_null(), "{answer}");
}

#[tokio::test]
async fn a_model_with_tool_calling_of_its_own_calls_as_it_likes() {
    let given = Given::scripted(json!({"rules": [
        {"turn": 1, "calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
        {"tool": "get_weather", "last": "7", "answer": "cold"}]}))
    .await;
    let tool = json!({"type": "function", "function": {"name": "get_weather"}});
    let mut body = says("How is it?", json!({"tools": [tool]}));
    let answer = given.answer(&body).await;
    let message = answer["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"city":"Oslo"}"#);
    assert_eq!(
        (&message["content"], &answer["choices"][0]["finish_reason"]),
        (&Value::Null, &json!("tool_calls"))
    );
    let id = message["tool_calls"][0]["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.extend([message, json!({"role": "tool", "tool_call_id": id, "content": "7"})]);
    assert_eq!(content(&given.answer(&body).await), "cold");
}

#[tokio::test]
async fn what_the_model_says_of_a_failure_decides_whether_to_ask_again() {
    let given = Given::scripted(json!({"rules": [
        {"last": "soon", "answer": "x", "fail": {"times": 9, "message": "busy"}},
        {"last": "never", "answer": "x", "fail": {"times": 9, "message": "no", "permanent": true}}]}))
    .await;
    let (status, headers, body) = taken(given.chat(&says("soon", json!({})))).await;
    assert_eq!((status, &headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!((&body["error"]["type"], &body["error"]["message"]), (&json!("server_error"), &json!("busy")));
    let (status, error) = given.refusal(&says("never", json!({}))).await;
    assert_eq!(
        (status, &error["type"], &error["message"]),
        (400, &json!("invalid_request_error"), &json!("no"))
    );
}

#[tokio::test]
async fn models_are_listed_and_other_paths_refused() {
    let given = Given::tiny().await;
    let (status, list) = given.text("/v1/models").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((status, &list["data"][0]["id"]), (200, &json!("tiny")));
    for (path, status) in [
        ("/v1/models/the-tiny", 200),
        ("/v1/models/o/other", 404),
        ("/v2/x", 404),
        ("/v1/chat/completions", 405),
    ] {
        let (found, body) = given.text(path).await;
        assert_eq!(found, status, "{path}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"].is_null(), status == 200, "{path}: {body}");
    }
    let mut by_resource = says("x", json!({"max_tokens": 1}));
    by_resource["model"] = json!("the-tiny");
    given.answer(&by_resource).await;
    assert_eq!(taken(given.post("/v1/completions", &json!({"prompt": "x"}))).await.0, 404);
}

#[tokio::test]
async fn a_huge_body_is_refused_and_others_are_unharmed() {
    let given = Given::tiny().await;
    let huge = vec![b'x'; 100 << 20];
    let sent = given.client.post(given.url("/v1/chat/completions")).body(huge).send().await;
    // Whoever still sends may find the connection closed before he reads why.
    if let Ok(response) = sent {
        assert_eq!(response.status(), 413);
    }
    given.answer(&says("x", json!({"max_tokens": 1}))).await;
    given.until("superstep_serving_refused_total", 1.0).await;
}
