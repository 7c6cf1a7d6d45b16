//! `generateContent`, by the examples of Gemini's API reference.

use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::FailureClass;
use superstep_runtime::Finish;

use crate::fake::{
    Fake, SECRET, after_calls, ask, calls, events, grade, listen, ok, request, tokens, with_schema,
    with_tools,
};

fn response(parts: Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "mAitaLmkHPPl",
        "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 5, "totalTokenCount": 20,
            "thoughtsTokenCount": 7, "cachedContentTokenCount": 2}})
}

#[tokio::test]
async fn a_text_with_its_reasoning_apart() {
    let parts = json!([{"text": "Hm.", "thought": true}, {"text": "AI learns "}, {"text": "patterns."}]);
    let fake = Fake::new(ok(response(parts, Some("STOP")))).await;
    let answer = ask(&fake.model("Gemini", json!({"model": "gemini-2.5-flash"})), request()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("AI learns patterns.", Finish::Stop));
    assert_eq!(answer.reasoning.as_deref(), Some("Hm."));
    assert_eq!(tokens(&answer), [8, 2, 12, 7]);
    let sent = &fake.requests().await[0];
    assert_eq!(sent.url.path(), "/models/gemini-2.5-flash:generateContent");
    assert_eq!(sent.headers["x-goog-api-key"], SECRET);
    assert_eq!(
        fake.asked().await,
        json!({"systemInstruction": {"parts": [{"text": "You are a helpful assistant."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hello!"}]}],
            "generationConfig": {"temperature": 0.5, "topP": 0.9, "seed": 0x7fff_ffff, "maxOutputTokens": 64,
                "stopSequences": ["END"]}})
    );
}

#[tokio::test]
async fn a_streamed_text() {
    let fake = Fake::new(events(&[
        response(json!([{"text": "AI "}]), None),
        response(json!([{"text": "learns."}]), Some("MAX_TOKENS")),
    ]))
    .await;
    let (answer, heard) = listen(&fake.model("Gemini", json!({})), request()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("AI learns.", Finish::Length));
    assert_eq!(heard, ["AI ", "learns."]);
    let sent = &fake.requests().await[0];
    assert_eq!(
        (sent.url.path(), sent.url.query()),
        ("/models/some-model:streamGenerateContent", Some("alt=sse"))
    );
}

#[tokio::test]
async fn parallel_calls_whose_signatures_go_back() {
    let parts = json!([
        {"functionCall": {"id": "fc1", "name": "get_weather", "args": {"location": "Paris"}}, "thoughtSignature": "SIG"},
        {"functionCall": {"name": "get_weather", "args": {"location": "Rome"}}},
    ]);
    let fake = Fake::new(events(&[response(parts.clone(), Some("STOP"))])).await;
    let model = fake.model("Gemini", json!({"model": "gemini-3-pro"}));
    let (answer, _) = listen(&model, with_tools()).await;
    let answer = answer.unwrap();
    assert_eq!(
        calls(&answer),
        ["fc1 get_weather {\"location\":\"Paris\"}", "call-1 get_weather {\"location\":\"Rome\"}"]
    );
    assert_eq!(
        fake.asked().await["tools"],
        json!([{"functionDeclarations": [{"name": "get_weather", "description": "The weather at a place",
            "parametersJsonSchema": *with_tools().tools[0].parameters}]}])
    );
    let mut request = with_tools();
    Arc::make_mut(&mut request.messages).push(answer.message());
    listen(&model, request).await.0.unwrap();
    assert_eq!(fake.asked().await["contents"][1], json!({"role": "model", "parts": parts}));
}

#[tokio::test]
async fn results_of_tools_and_calls_that_another_model_made() {
    let fake = Fake::new(ok(response(json!([{"text": "Fine."}]), Some("STOP")))).await;
    for (model, signed) in [("gemini-3-pro", true), ("gemini-2.5-flash", false)] {
        ask(&fake.model("Gemini", json!({ "model": model })), after_calls(None)).await.unwrap();
        let contents = fake.asked().await["contents"].clone();
        let signature = contents[1]["parts"][0].get("thoughtSignature").is_some();
        assert_eq!(signature, signed, "{model}");
        assert_eq!(contents[1]["parts"][1].get("thoughtSignature"), None);
        assert_eq!(
            contents[2],
            json!({"role": "user", "parts": [
                {"functionResponse": {"id": "call_abc", "name": "get_weather", "response": {"degrees": 15}}},
                {"functionResponse": {"name": "get_weather", "response": {"result": "sunny"}}}]})
        );
    }
}

#[tokio::test]
async fn answers_are_held_to_a_schema_unless_there_are_tools() {
    let fake = Fake::new(ok(response(json!([{"text": "{}"}]), Some("STOP")))).await;
    let model = fake.model("Gemini", json!({}));
    ask(&model, with_schema(grade())).await.unwrap();
    let config = &fake.asked().await["generationConfig"];
    assert_eq!(config["responseMimeType"], "application/json");
    assert_eq!(config["responseJsonSchema"], grade());
    let mut request = with_schema(grade());
    request.tools = with_tools().tools;
    ask(&model, request).await.unwrap();
    let asked = fake.asked().await;
    assert_eq!(asked["generationConfig"].get("responseJsonSchema"), None);
    assert!(asked["systemInstruction"]["parts"][0]["text"].as_str().unwrap().contains("\"grade\""));
}

#[tokio::test]
async fn what_is_withheld_or_malformed_is_no_answer() {
    for (body, class) in [
        (json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}), FailureClass::Permanent),
        (response(json!([{"text": "Hal"}]), Some("SAFETY")), FailureClass::Permanent),
        (response(json!([]), Some("MALFORMED_FUNCTION_CALL")), FailureClass::Transient),
        (
            json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}),
            FailureClass::Transient,
        ),
    ] {
        let fake = Fake::new(ok(body)).await;
        let failure = ask(&fake.model("Gemini", json!({})), request()).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
    }
}
