//! Chat completions, by the examples of OpenAI's API reference, and what its relatives do otherwise.

use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::FailureClass;
use superstep_runtime::{Finish, ModelRequest};

use crate::fake::{
    Fake, SECRET, after_calls, ask, calls, events, grade, listen, ok, request, tokens, with_schema,
    with_tools,
};

fn completion(message: Value, finish: &str) -> Value {
    json!({
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion", "created": 1741569952,
        "model": "gpt-4.1-2025-04-14",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
        "service_tier": "default",
    })
}

fn text(text: &str) -> Value {
    json!({"role": "assistant", "content": text, "refusal": null, "annotations": []})
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({"id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1694268190, "model": "gpt-4o-mini",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
}

#[tokio::test]
async fn a_text() {
    let fake = Fake::new(ok(completion(text("Hello there!"), "stop"))).await;
    let answer = ask(&fake.model("OpenAI", json!({})), request()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("Hello there!", Finish::Stop));
    assert_eq!(tokens(&answer), [19, 4, 10, 3]);
    let sent = &fake.requests().await[0];
    assert_eq!(sent.url.path(), "/chat/completions");
    assert_eq!(sent.headers["authorization"], format!("Bearer {SECRET}").as_str());
    assert_eq!(sent.headers["idempotency-key"], "run-7");
    assert_eq!(
        fake.asked().await,
        json!({"model": "some-model", "max_completion_tokens": 64, "temperature": 0.5, "top_p": 0.9,
            "stop": ["END"], "seed": 0x7fff_ffff, "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Hello!"}]})
    );
}

#[tokio::test]
async fn a_streamed_text() {
    let usage = json!({"id": "chatcmpl-123", "object": "chat.completion.chunk", "choices": [],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}});
    let stream = [
        chunk(json!({"role": "assistant", "content": ""}), None),
        chunk(json!({"content": "Hello"}), None),
        chunk(json!({"content": " there!"}), None),
        chunk(json!({}), Some("stop")),
        usage,
    ];
    let fake = Fake::with(move |_| {
        let body: String = stream.iter().map(|event| format!("data: {event}\n\n")).collect();
        wiremock::ResponseTemplate::new(200)
            .set_body_raw(body + "data: [DONE]\n\n", "text/event-stream; charset=utf-8")
    })
    .await;
    let (answer, heard) = listen(&fake.model("OpenAI", json!({})), request()).await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.text.as_str(), heard),
        ("Hello there!", vec!["Hello".to_owned(), " there!".to_owned()])
    );
    assert_eq!(tokens(&answer), [19, 0, 10, 0]);
    let asked = fake.asked().await;
    assert_eq!((&asked["stream"], &asked["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

#[tokio::test]
async fn calls_of_tools() {
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [
        call("call_abc", "{\n\"location\": \"Boston, MA\"\n}"), call("call_def", "{\"location\": \"Ro"), call("", "{}")]});
    let fake = Fake::new(ok(completion(message, "tool_calls"))).await;
    let answer = ask(&fake.model("OpenAI", json!({})), with_tools()).await.unwrap();
    assert_eq!(
        calls(&answer),
        [
            "call_abc get_weather {\"location\":\"Boston, MA\"}",
            "call_def get_weather \"{\\\"location\\\": \\\"Ro\"",
            "call-2 get_weather {}"
        ]
    );
    assert_eq!((answer.text.as_str(), answer.finish), ("", Finish::Stop));
    assert_eq!(
        fake.asked().await["tools"],
        json!([{"type": "function", "function": {"name": "get_weather", "description": "The weather at a place",
            "parameters": *with_tools().tools[0].parameters}}])
    );
}

#[tokio::test]
async fn streamed_calls_of_tools() {
    let delta = |index: u64, rest: Value| {
        let mut call = json!({"index": index});
        call.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        chunk(json!({"tool_calls": [call]}), None)
    };
    let begin = |id: &str| json!({"id": id, "type": "function", "function": {"name": "get_weather", "arguments": ""}});
    let more = |text: &str| json!({"function": {"arguments": text}});
    let fake = Fake::new(events(&[
        chunk(json!({"role": "assistant", "content": null}), None),
        delta(0, begin("call_abc")),
        delta(0, more("{\"loca")),
        delta(1, begin("call_def")),
        delta(0, more("tion\":\"Paris\"}")),
        delta(1, more("{\"location\":\"Rome\"}")),
        chunk(json!({}), Some("tool_calls")),
    ]))
    .await;
    let (answer, heard) = listen(&fake.model("OpenAI", json!({})), with_tools()).await;
    assert_eq!(
        calls(&answer.unwrap()),
        ["call_abc get_weather {\"location\":\"Paris\"}", "call_def get_weather {\"location\":\"Rome\"}"]
    );
    assert_eq!(heard, Vec::<String>::new());
}

#[tokio::test]
async fn results_of_tools() {
    let fake = Fake::new(ok(completion(text("Fine."), "stop"))).await;
    ask(&fake.model("OpenAI", json!({})), after_calls(None)).await.unwrap();
    let call = |id: &str, place: &str| {
        let arguments = format!("{{\"location\":\"{place}\"}}");
        json!({"id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}})
    };
    assert_eq!(
        fake.asked().await["messages"].as_array().unwrap()[2..],
        [
            json!({"role": "assistant", "content": null,
                "tool_calls": [call("call_abc", "Paris"), call("call-1", "Rome")]}),
            json!({"role": "tool", "tool_call_id": "call_abc", "content": "{\"degrees\": 15}"}),
            json!({"role": "tool", "tool_call_id": "call-1", "content": "sunny"}),
        ]
    );
}

#[tokio::test]
async fn answers_are_held_to_a_schema() {
    let fake = Fake::new(ok(completion(text("{\"grade\":1}"), "stop"))).await;
    let model = fake.model("OpenAI", json!({}));
    ask(&model, with_schema(grade())).await.unwrap();
    let format = |schema: Value, strict: bool| json!({"type": "json_schema", "json_schema": {"name": "ask", "schema": schema, "strict": strict}});
    assert_eq!(fake.asked().await["response_format"], format(grade(), true));
    let optional = json!({"type": "object", "properties": {"grade": {"type": "integer"}}});
    ask(&model, with_schema(optional.clone())).await.unwrap();
    assert_eq!(fake.asked().await["response_format"], format(optional, false));
    // What is no object is told in words.
    ask(&model, with_schema(json!({"enum": ["bug"]}))).await.unwrap();
    let asked = fake.asked().await;
    assert_eq!(asked.get("response_format"), None);
    assert!(asked["messages"][0]["content"].as_str().unwrap().ends_with("{\"enum\":[\"bug\"]}"));
    ask(&fake.model("OpenAI", json!({"keepsSchemas": false})), with_schema(grade())).await.unwrap();
    assert_eq!(fake.asked().await.get("response_format"), None);
}

#[tokio::test]
async fn reasoning_is_kept_apart() {
    for (provider, piece) in [
        ("DeepSeek", json!({"role": "assistant", "reasoning_content": "Hm.", "content": "Hi"})),
        ("Groq", json!({"role": "assistant", "reasoning": "Hm.", "content": "Hi"})),
        (
            "Mistral",
            json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "reference", "ids": []},
            {"type": "text", "text": "Hi"}]}),
        ),
    ] {
        let fake = Fake::new(ok(completion(piece.clone(), "stop"))).await;
        let answer = ask(&fake.model(provider, json!({})), request()).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.reasoning.as_deref()), ("Hi", Some("Hm.")), "{provider}");
        let fake = Fake::new(events(&[chunk(piece, None), chunk(json!({}), Some("stop"))])).await;
        let (answer, heard) = listen(&fake.model(provider, json!({})), request()).await;
        assert_eq!(
            (answer.unwrap().reasoning.as_deref(), heard),
            (Some("Hm."), vec!["Hi".to_owned()]),
            "{provider}"
        );
    }
}

#[tokio::test]
async fn relatives_are_asked_in_their_own_words() {
    let fake = Fake::new(ok(completion(text("{}"), "stop"))).await;
    for (provider, has, has_not) in [
        ("OpenAICompatible", &["max_tokens", "seed"][..], &["max_completion_tokens"][..]),
        ("Superstep", &["max_tokens", "seed", "response_format", "metadata"], &[]),
        ("Groq", &["max_tokens", "seed", "response_format"], &["metadata"]),
        ("DeepSeek", &["max_tokens", "response_format"], &["seed"]),
        ("Mistral", &["max_tokens", "random_seed"], &["seed", "stream_options"]),
        ("OpenRouter", &["max_tokens"], &[]),
        ("XAI", &["max_tokens"], &[]),
        ("Together", &["max_tokens"], &[]),
        ("Cohere", &["max_tokens"], &[]),
    ] {
        let (answer, _) = listen(&fake.model(provider, json!({})), with_schema(grade())).await;
        answer.unwrap();
        let asked = fake.asked().await;
        for name in has {
            assert!(asked.get(name).is_some(), "{provider} has {name}: {asked}");
        }
        for name in has_not {
            assert!(asked.get(name).is_none(), "{provider} has no {name}: {asked}");
        }
    }
    // JSON without a schema, which is told in words.
    listen(&fake.model("DeepSeek", json!({})), with_schema(grade())).await.0.unwrap();
    let asked = fake.asked().await;
    assert_eq!(asked["response_format"], json!({"type": "json_object"}));
    assert!(asked["messages"][0]["content"].as_str().unwrap().contains("grade"));
}

#[tokio::test]
async fn reasoning_before_calls_goes_back_where_it_is_wanted() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}});
    let message =
        json!({"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [call]});
    let fake = Fake::new(ok(completion(message, "tool_calls"))).await;
    let model = fake.model("DeepSeek", json!({}));
    let answer = ask(&model, with_tools()).await.unwrap();
    let mut request = with_tools();
    Arc::make_mut(&mut request.messages).push(answer.message());
    ask(&model, request.clone()).await.unwrap();
    assert_eq!(fake.asked().await["messages"][2]["reasoning_content"], "Hm.");
    ask(&fake.model("OpenAI", json!({})), request).await.unwrap();
    assert_eq!(fake.asked().await["messages"][2].get("reasoning_content"), None);
}

#[tokio::test]
async fn some_count_reasoning_in_the_total_only_and_some_count_nothing() {
    let mut body = completion(text("four by four"), "length");
    body["usage"] = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40,
        "completion_tokens_details": {"reasoning_tokens": 25}});
    let fake = Fake::new(ok(body.clone())).await;
    let answer = ask(&fake.model("XAI", json!({})), request()).await.unwrap();
    assert_eq!((tokens(&answer), answer.finish), ([10, 0, 30, 25], Finish::Length));
    body["usage"] = Value::Null;
    let fake = Fake::new(ok(body)).await;
    let answer = ask(&fake.model("OpenAICompatible", json!({})), request()).await.unwrap();
    assert_eq!(tokens(&answer), [9, 0, 3, 0]);
}

#[tokio::test]
async fn what_a_provider_does_not_have_is_refused_before_it_is_sent() {
    let fake = Fake::new(ok(completion(text("Hi"), "stop"))).await;
    let request = || {
        let sampling = serde_json::from_value(json!({"topK": 5})).unwrap();
        ModelRequest { sampling, ..request() }
    };
    let failure = ask(&fake.model("OpenAI", json!({})), request()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("has no sampling.topK: leave it out"), "{failure}");
    assert_eq!(fake.requests().await.len(), 0);
    ask(&fake.model("OpenAICompatible", json!({})), request()).await.unwrap();
    assert_eq!(fake.asked().await["top_k"], 5);
}

#[tokio::test]
async fn what_is_withheld_is_no_answer() {
    let refusal = json!({"role": "assistant", "content": null, "refusal": "I'm sorry, I cannot assist."});
    for body in [completion(text("Hal"), "content_filter"), completion(refusal, "stop")] {
        let fake = Fake::new(ok(body)).await;
        let failure = ask(&fake.model("OpenAI", json!({})), request()).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent);
        assert!(failure.message.contains("withheld"), "{failure}");
    }
}

#[tokio::test]
async fn servers_that_stream_to_nobody_or_number_no_calls() {
    let fake = Fake::new(ok(completion(text("All at once"), "stop"))).await;
    let (answer, heard) = listen(&fake.model("OpenAICompatible", json!({})), request()).await;
    assert_eq!((answer.unwrap().text, heard), ("All at once".to_owned(), vec!["All at once".to_owned()]));
    let call = |id: &str| json!({"tool_calls": [{"id": id, "function": {"name": "f", "arguments": "{"}}]});
    let more = || json!({"tool_calls": [{"function": {"arguments": "}"}}]});
    let fake = Fake::new(events(&[
        chunk(call("a"), None),
        chunk(more(), None),
        chunk(call("b"), None),
        chunk(more(), Some("tool_calls")),
    ]))
    .await;
    let (answer, _) = listen(&fake.model("OpenAICompatible", json!({})), request()).await;
    assert_eq!(calls(&answer.unwrap()), ["a f {}", "b f {}"]);
}
