//! Responses, whole and as events.

use serde_json::{Value, json};

use crate::given::{Dictate, Given, Heard, content, dictated, events, says, taken};

fn body(input: Value, more: Value) -> Value {
    let mut body = json!({"model": "tiny", "input": input});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn response(given: &Given, body: &Value) -> Value {
    let (status, _, response) = taken(given.post("/v1/responses", body)).await;
    assert_eq!(status, 200, "{response}");
    response
}

async fn streamed(given: &Given, body: &Value) -> Vec<Value> {
    let mut body = body.clone();
    body["stream"] = json!(true);
    let response = given.post("/v1/responses", &body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let events = events(response).await;
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{events:?}");
    }
    events
}

/// The types of events without their prefix, those of equal type that follow each other once.
fn kinds(events: &[Value]) -> Vec<&str> {
    let names = events.iter().map(|event| event["type"].as_str().unwrap());
    let mut kinds: Vec<&str> = names.map(|name| name.strip_prefix("response.").unwrap()).collect();
    kinds.dedup();
    kinds
}

/// The text of the message of a response.
fn text(response: &Value) -> &str {
    let mut items = response["output"].as_array().unwrap().iter();
    let message = items.find(|item| item["type"] == "message").unwrap_or_else(|| panic!("{response}"));
    message["content"][0]["text"].as_str().unwrap()
}

/// Without what differs between two responses to one request.
fn nameless(response: &Value) -> Value {
    let mut response = response.clone();
    let digits = response["id"].as_str().unwrap().trim_start_matches("resp_").to_owned();
    response["created_at"] = json!(0);
    serde_json::from_str(&response.to_string().replace(&digits, "")).unwrap()
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "name": name, "description": "Tells the weather.", "strict": true,
        "parameters": {"type": "object", "required": ["day"], "additionalProperties": false,
            "properties": {"day": {"enum": ["today", "tomorrow"]}}}})
}

#[tokio::test]
async fn a_response_says_what_a_chat_says() {
    let given = Given::tiny().await;
    let grade = json!({"type": "object", "required": ["grade"], "additionalProperties": false,
        "properties": {"grade": {"type": "integer", "minimum": 1, "maximum": 5}}});
    for (asked, of_chat) in [
        (json!({"max_output_tokens": 12}), json!({"max_tokens": 12})),
        (
            json!({"max_output_tokens": 12, "temperature": 1.1, "top_p": 0.9, "seed": 3}),
            json!({"max_tokens": 12, "temperature": 1.1, "top_p": 0.9, "seed": 3}),
        ),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "g", "strict": true, "schema": grade}}}),
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "g", "schema": grade}}}),
        ),
        (
            json!({"max_output_tokens": 64, "text": {"format": {"type": "json_object"}}}),
            json!({"max_tokens": 64, "response_format": {"type": "json_object"}}),
        ),
    ] {
        let chat = given.answer(&says("Hello", of_chat)).await;
        let usage = &chat["usage"];
        let told = response(&given, &body(json!("Hello"), asked.clone())).await;
        assert_eq!(text(&told), content(&chat), "{asked}");
        assert_eq!(told["usage"]["input_tokens"], usage["prompt_tokens"]);
        assert_eq!(told["usage"]["output_tokens"], usage["completion_tokens"]);
        assert_eq!(told["usage"]["total_tokens"], usage["total_tokens"]);
        let is_cut = chat["choices"][0]["finish_reason"] == "length";
        let (status, details) = if is_cut {
            ("incomplete", json!({"reason": "max_output_tokens"}))
        } else {
            ("completed", Value::Null)
        };
        assert_eq!((&told["status"], &told["incomplete_details"]), (&json!(status), &details));
        assert_eq!(told["output"][0]["status"], status);
        assert_eq!((&told["object"], &told["model"]), (&json!("response"), &json!("tiny")));
    }
}

#[tokio::test]
async fn a_response_repeats_what_was_asked() {
    let given = Given::scripted(json!({"otherwise": "x"})).await;
    let asked = json!({"instructions": "Be brief.", "temperature": 0.5, "metadata": {"vertex": "v", "a": "b"},
        "tools": [tool("f")], "tool_choice": "none", "parallel_tool_calls": false, "max_output_tokens": 9,
        "store": false, "truncation": "disabled", "include": ["reasoning.encrypted_content"], "user": "me",
        "reasoning": {"effort": null}, "service_tier": "auto", "previous_response_id": null, "stream": false});
    let told = response(&given, &body(json!("x"), asked.clone())).await;
    for member in ["instructions", "temperature", "metadata", "tools", "tool_choice", "max_output_tokens"] {
        assert_eq!(told[member], asked[member], "{member}");
    }
    assert_eq!((&told["parallel_tool_calls"], &told["store"]), (&json!(false), &json!(false)));
    let plain = response(&given, &body(json!("x"), json!({}))).await;
    assert_eq!(
        (&plain["parallel_tool_calls"], &plain["tool_choice"], &plain["tools"], &plain["temperature"]),
        (&json!(true), &json!("auto"), &json!([]), &Value::Null)
    );
}

#[tokio::test]
async fn items_are_a_conversation() {
    let given = Given::scripted(json!({"rules": [
        {"turn": 2, "contains": "Be brief.", "last": "again", "answer": "second"},
        {"turn": 1, "answer": "first"}]}))
    .await;
    let mut items = vec![json!({"role": "user", "content": [{"type": "input_text", "text": "hello"}]})];
    let asked = json!({"instructions": "Be brief."});
    let first = response(&given, &body(json!(items), asked.clone())).await;
    assert_eq!(text(&first), "first");
    items.extend(first["output"].as_array().unwrap().clone());
    items.push(json!({"role": "user", "content": "again"}));
    assert_eq!(text(&response(&given, &body(json!(items), asked)).await), "second");
}

#[tokio::test]
async fn a_model_without_tool_calling_is_held_to_a_call() {
    let given = Given::tiny().await;
    let more = json!({"tools": [tool("f"), tool("get_weather")], "parallel_tool_calls": false,
        "tool_choice": {"type": "function", "name": "get_weather"}, "max_output_tokens": 256});
    let mut items = vec![json!({"role": "user", "content": "How is the weather?"})];
    let told = response(&given, &body(json!(items), more.clone())).await;
    let [call] = told["output"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("get_weather")));
    assert_eq!((&call["call_id"], &call["status"]), (&json!("call_0"), &json!("completed")));
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(["today", "tomorrow"].map(Value::from).contains(&arguments["day"]), "{told}");
    items.push(call.clone());
    items.push(json!({"type": "function_call_output", "call_id": "call_0", "output": "rain"}));
    let again = response(&given, &body(json!(items), more.clone())).await;
    assert_eq!(again["output"][0]["call_id"], "call_1", "{again}");
    let events = streamed(&given, &body(json!(items), more)).await;
    assert_eq!(nameless(&events.last().unwrap()["response"]), nameless(&again));
}

#[tokio::test]
async fn calls_come_whole_with_their_events() {
    let given = Given::scripted(json!({"rules": [
        {"turn": 1, "answer": "I look.", "calls": [{"name": "f", "arguments": {"day": "today"}}, {"name": "g"}]},
        {"tool": "g", "last": "7", "answer": "cold"}]}))
    .await;
    let tools = json!({"tools": [tool("f"), tool("g")]});
    let mut items = vec![json!({"role": "user", "content": "?"})];
    let events = streamed(&given, &body(json!(items), tools.clone())).await;
    assert_eq!(
        kinds(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap();
    let done: Vec<&Value> =
        events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    assert_eq!(done.len(), 3);
    for (number, (item, done)) in output.iter().zip(done).enumerate() {
        assert_eq!((&done["item"], &done["output_index"]), (item, &json!(number)));
        let added = |event: &&Value| event["type"] == "response.output_item.added";
        let added = events.iter().filter(added).nth(number).unwrap();
        assert_eq!((&added["item"]["id"], &added["item"]["status"]), (&item["id"], &json!("in_progress")));
    }
    let delta =
        events.iter().find(|event| event["type"] == "response.function_call_arguments.delta").unwrap();
    assert_eq!((&delta["delta"], &delta["item_id"]), (&json!(r#"{"day":"today"}"#), &output[1]["id"]));
    items.extend(output.clone());
    for (item, given) in output[1..].iter().zip(["6", "7"]) {
        let output = json!({"type": "function_call_output", "call_id": item["call_id"], "output": given});
        items.push(output);
    }
    assert_eq!(text(&response(&given, &body(json!(items), tools)).await), "cold");
}

#[tokio::test]
async fn events_add_up_to_the_whole() {
    let given = Given::tiny().await;
    let grade = json!({"type": "object", "required": ["grade"], "additionalProperties": false,
        "properties": {"grade": {"type": "integer", "minimum": 1, "maximum": 5}}});
    for more in [
        json!({"max_output_tokens": 24, "temperature": 1.0, "seed": 9}),
        json!({"text": {"format": {"type": "json_schema", "name": "a", "schema": grade}}}),
        json!({"max_output_tokens": 6, "include": ["message.output_text.logprobs"], "top_logprobs": 2}),
    ] {
        let asked = body(json!("Hello"), more);
        let whole = response(&given, &asked).await;
        let events = streamed(&given, &asked).await;
        let status = whole["status"].as_str().unwrap();
        assert_eq!(
            kinds(&events),
            [
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                status,
            ]
        );
        let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
        let written: String = deltas.filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(written, text(&whole));
        let done = events.iter().find(|event| event["type"] == "response.output_text.done").unwrap();
        assert_eq!(done["text"], written);
        let last = &events.last().unwrap()["response"];
        assert_eq!(nameless(last), nameless(&whole));
        let begun = &events[0]["response"];
        assert_eq!((&begun["id"], &begun["status"]), (&last["id"], &json!("in_progress")));
        assert_eq!((&begun["output"], &begun["usage"]), (&json!([]), &Value::Null));
    }
}

#[tokio::test]
async fn log_probabilities_are_told_where_they_are_asked_for() {
    let given = Given::tiny().await;
    let more =
        json!({"max_output_tokens": 5, "include": ["message.output_text.logprobs"], "top_logprobs": 2});
    let told = response(&given, &body(json!("Hello"), more)).await;
    let tokens = told["output"][0]["content"][0]["logprobs"].as_array().unwrap();
    assert!(!tokens.is_empty() && tokens.len() <= 5, "{told}");
    assert!(tokens.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == 2), "{told}");
    let plain = response(&given, &body(json!("Hello"), json!({"max_output_tokens": 5}))).await;
    assert_eq!(plain["output"][0]["content"][0]["logprobs"], json!([]));
}

#[tokio::test]
async fn a_text_is_told_while_it_is_written() {
    let (given, tell) = dictated().await;
    tell.send(Dictate::Text("one ")).unwrap();
    let asked = json!({"stream": true, "stream_options": {"include_obfuscation": false}});
    let response = given.post("/v1/responses", &body(json!("x"), asked)).send().await.unwrap();
    let mut heard = Heard::new(response);
    for (text, next) in
        [("one ", Dictate::Text("two ")), ("two ", Dictate::Text("three")), ("three", Dictate::End)]
    {
        // The model writes nothing more before this is heard.
        heard.until(text).await;
        tell.send(next).unwrap();
    }
    let events = heard.events().await;
    let deltas: Vec<&str> = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(deltas, ["one ", "two ", "three"]);
}

#[tokio::test]
async fn what_fails_at_once_is_told_by_the_status_and_later_by_an_event() {
    let given = Given::tiny().await;
    let long = body(json!("x".repeat(5000)), json!({"stream": true}));
    assert_eq!(given.refused_at_once("/v1/responses", &long).await, 400);
    let (given, tell) = dictated().await;
    // It begins after a while although nothing is written.
    let asked = body(json!("x"), json!({"stream": true}));
    let response = given.post("/v1/responses", &asked).send().await.unwrap();
    assert_eq!(response.status(), 200);
    tell.send(Dictate::Fail("away")).unwrap();
    let events = events(response).await;
    assert_eq!(kinds(&events), ["created", "in_progress", "failed"]);
    let failed = &events[2]["response"];
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["error"], json!({"code": "server_error", "message": "away"}));
}

#[tokio::test]
async fn a_request_that_comes_again_gets_what_it_got() {
    let given = Given::tiny().await;
    let warm = json!({"temperature": 1.5, "max_output_tokens": 12});
    let ask = async |more: Value| {
        let request = given.post("/v1/responses", &body(json!("Hello"), more));
        let (status, _, told) = taken(request.header("idempotency-key", "k")).await;
        assert_eq!(status, 200, "{told}");
        text(&told).to_owned()
    };
    assert_eq!(ask(warm.clone()).await, ask(warm).await);
    assert_eq!(given.metric("superstep_serving_generations_total").await, 1.0);
    ask(json!({"temperature": 1.5, "max_output_tokens": 11})).await;
    assert_eq!(given.metric("superstep_serving_generations_total").await, 2.0);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_the_name_of_the_field() {
    let given = Given::tiny().await;
    let unsupported = json!("unsupported_parameter");
    for (more, param, code) in [
        (json!({"input": null}), json!("input"), Value::Null),
        (json!({"input": []}), json!("input"), Value::Null),
        (json!({"store": true}), json!("store"), unsupported.clone()),
        (json!({"background": true}), json!("background"), unsupported.clone()),
        (json!({"previous_response_id": "resp_1"}), json!("previous_response_id"), unsupported.clone()),
        (json!({"conversation": "conv_1"}), json!("conversation"), unsupported.clone()),
        (json!({"prompt": {"id": "p"}}), json!("prompt"), unsupported.clone()),
        (json!({"truncation": "auto"}), json!("truncation"), unsupported.clone()),
        (json!({"include": ["file_search_call.results"]}), json!("include"), unsupported.clone()),
        (json!({"tools": [{"type": "web_search"}]}), json!("tools[0].type"), unsupported.clone()),
        (json!({"max_output_tokens": 0}), json!("max_output_tokens"), Value::Null),
        (json!({"top_logprobs": 2}), json!("top_logprobs"), Value::Null),
        (json!({"stream_options": {}}), json!("stream_options"), Value::Null),
        (json!({"messages": [{}]}), json!("messages"), json!("unknown_parameter")),
        (json!({"reasoning": {"effort": "high"}}), json!("reasoning.effort"), json!("unknown_parameter")),
        (json!({"text": {"verbosity": "low"}}), json!("text.verbosity"), json!("unknown_parameter")),
        (json!({"text": {"format": {"type": "xml"}}}), json!("text.format.type"), Value::Null),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "a"}}}),
            json!("text.format.schema"),
            Value::Null,
        ),
        (
            json!({"tools": [tool("f")], "tool_choice": {"type": "function", "name": "g"}}),
            json!("tool_choice"),
            Value::Null,
        ),
        (json!({"temperature": -1}), Value::Null, Value::Null),
    ] {
        let asked = body(json!("x"), more.clone());
        let (status, _, answer) = taken(given.post("/v1/responses", &asked)).await;
        let error = &answer["error"];
        assert_eq!((status, &error["param"], &error["code"]), (400, &param, &code), "{more}: {answer}");
    }
    let other = json!({"model": "gpt-5", "input": "x"});
    assert_eq!(taken(given.post("/v1/responses", &other)).await.0, 404);
    assert_eq!(given.text("/v1/responses/resp_1").await.0, 404);
    assert_eq!(given.text("/v1/responses").await.0, 405);
}
