//! Chat, by the examples of Ollama's API reference.

use serde_json::{Value, json};
use superstep_engine::FailureClass;
use superstep_runtime::Finish;
use wiremock::ResponseTemplate;

use crate::fake::{
    Fake, after_calls, ask, calls, grade, listen, ok, request, tokens, with_schema, with_tools,
};

fn lines(pieces: &[Value]) -> ResponseTemplate {
    let body: String = pieces.iter().map(|piece| format!("{piece}\n")).collect();
    ResponseTemplate::new(200).set_body_raw(body, "application/x-ndjson")
}

fn piece(message: Value) -> Value {
    json!({"model": "llama3.2", "created_at": "2023-08-04T08:52:19.385406455-07:00", "message": message, "done": false})
}

fn end(reason: &str) -> Value {
    json!({"model": "llama3.2", "created_at": "2023-08-04T19:22:45.499127Z",
        "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": reason,
        "total_duration": 4_883_583_458_u64, "prompt_eval_count": 26, "eval_count": 282})
}

#[tokio::test]
async fn a_text() {
    let mut body = end("stop");
    body["message"] = json!({"role": "assistant", "content": "Hello! How are you today?"});
    let fake = Fake::new(ok(body)).await;
    let answer = ask(&fake.model("Ollama", json!({})), request()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("Hello! How are you today?", Finish::Stop));
    assert_eq!(tokens(&answer), [26, 0, 282, 0]);
    assert_eq!(fake.requests().await[0].url.path(), "/api/chat");
    assert_eq!(
        fake.asked().await,
        json!({"model": "some-model", "stream": false, "messages": [
                {"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": "Hello!"}],
            "options": {"temperature": 0.5, "top_p": 0.9, "seed": 0x7fff_ffff, "num_predict": 64, "stop": ["END"]}})
    );
}

#[tokio::test]
async fn a_streamed_text_with_its_reasoning_apart() {
    let fake = Fake::new(lines(&[
        piece(json!({"role": "assistant", "content": "", "thinking": "Hm."})),
        piece(json!({"role": "assistant", "content": "The"})),
        piece(json!({"role": "assistant", "content": " sky"})),
        end("length"),
    ]))
    .await;
    let (answer, heard) = listen(&fake.model("Ollama", json!({})), request()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("The sky", Finish::Length));
    assert_eq!(
        (answer.reasoning.as_deref(), heard),
        (Some("Hm."), vec!["The".to_owned(), " sky".to_owned()])
    );
}

#[tokio::test]
async fn streamed_calls_of_tools_and_their_results() {
    let call = |place: &str| json!({"function": {"name": "get_weather", "arguments": {"location": place}}});
    let fake = Fake::new(lines(&[
        piece(json!({"role": "assistant", "content": "", "tool_calls": [call("Paris")]})),
        piece(json!({"role": "assistant", "content": "", "tool_calls": [call("Rome")]})),
        end("stop"),
    ]))
    .await;
    let (answer, _) = listen(&fake.model("Ollama", json!({})), after_calls(None)).await;
    // Ids are unique in the conversation, which has two calls already.
    assert_eq!(
        calls(&answer.unwrap()),
        ["call-2 get_weather {\"location\":\"Paris\"}", "call-3 get_weather {\"location\":\"Rome\"}"]
    );
    let asked = fake.asked().await;
    assert_eq!(asked["tools"][0]["function"]["parameters"], *with_tools().tools[0].parameters);
    assert_eq!(
        asked["messages"].as_array().unwrap()[2..],
        [
            json!({"role": "assistant", "content": "", "tool_calls": [call("Paris"), call("Rome")]}),
            json!({"role": "tool", "content": "{\"degrees\": 15}", "tool_name": "get_weather"}),
            json!({"role": "tool", "content": "sunny", "tool_name": "get_weather"}),
        ]
    );
}

#[tokio::test]
async fn answers_are_held_to_a_schema() {
    let fake = Fake::new(ok(end("stop"))).await;
    ask(&fake.model("Ollama", json!({})), with_schema(grade())).await.unwrap();
    assert_eq!(fake.asked().await["format"], grade());
    ask(&fake.model("Ollama", json!({"keepsSchemas": false})), with_schema(grade())).await.unwrap();
    assert_eq!(fake.asked().await.get("format"), None);
}

#[tokio::test]
async fn errors_before_and_in_a_stream() {
    let absent = ResponseTemplate::new(404)
        .set_body_json(json!({"error": "model \"some-model\" not found, try pulling it first"}));
    let failure = ask(&Fake::new(absent).await.model("Ollama", json!({})), request()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(
        failure.message.contains("no such model") && failure.message.contains("try pulling it"),
        "{failure}"
    );
    let broken =
        lines(&[piece(json!({"role": "assistant", "content": "The"})), json!({"error": "unexpected EOF"})]);
    let failure = listen(&Fake::new(broken).await.model("Ollama", json!({})), request()).await.0.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
}
