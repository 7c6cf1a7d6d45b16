//! Our own workers as clients: a model answers as it does in the process that asks.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use superstep_graph::Sampling;
use superstep_providers::Providers;
use superstep_runtime::{
    ChatMessage, EmbedRequest, Embedder as _, Model, ModelAnswer, ModelRequest, OnText, Role,
};
use superstep_serving::Offered;

use crate::given::{Given, tiny_embedder, tiny_model};

fn provider(given: &Given, provider: &str) -> Arc<dyn Model> {
    let spec =
        json!({"provider": provider, "model": "tiny", "baseUrl": given.url("/v1"), "callsTools": false});
    let spec = serde_json::from_value(spec).unwrap();
    Providers::new().unwrap().model(&"m".into(), &spec, &|_| None).unwrap()
}

fn request(sampling: Value, seed: u64, schema: Option<Value>) -> ModelRequest {
    let sampling: Sampling = serde_json::from_value(sampling).unwrap();
    ModelRequest {
        vertex: "ask".into(),
        messages: vec![
            ChatMessage::new(Role::System, "Be brief."),
            ChatMessage::new(Role::User, "Hello"),
            ChatMessage::new(Role::Assistant, ""),
            ChatMessage::new(Role::User, "Grüße, \"quoted\"\n"),
        ]
        .into(),
        tools: [].into(),
        sampling,
        seed,
        schema: schema.map(Into::into),
        idempotency_key: format!("run/a/{seed}"),
    }
}

/// The same answer, apart from what only the place of the model decides.
fn same(here: &ModelAnswer, there: &ModelAnswer) {
    let told = |answer: &ModelAnswer| {
        let tokens = answer.logprobs.clone().map(|tokens| {
            tokens
                .into_iter()
                .map(|token| (token.token, format!("{:.9}", token.logprob), token.top.len()))
                .collect::<Vec<_>>()
        });
        (answer.text.clone(), answer.finish, answer.usage, answer.reasoning.clone(), tokens)
    };
    assert_eq!(told(here), told(there));
}

fn requests() -> Vec<ModelRequest> {
    let held = json!({"type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": "string", "minLength": 2, "maxLength": 6}, "b": {"type": "integer", "maximum": 9}}});
    vec![
        request(json!({"maxTokens": 20}), 1, None),
        request(json!({"maxTokens": 20, "temperature": 1.3, "topP": 0.95}), u64::MAX - 4, None),
        request(
            json!({"maxTokens": 20, "temperature": 0.9, "seed": 3, "topK": 20, "minP": 0.02,
            "repetitionPenalty": 1.3, "presencePenalty": 0.2, "frequencyPenalty": 0.1}),
            1 << 40,
            None,
        ),
        request(json!({"temperature": 1.0, "stop": ["e", "xyz"]}), 1 << 50, None),
        request(json!({"maxTokens": 40, "temperature": 1.2}), u64::MAX, Some(held)),
        request(
            json!({"maxTokens": 30}),
            2,
            Some(json!({"type": "array", "maxItems": 3, "items": {"enum": [1, "x"]}})),
        ),
        request(json!({"maxTokens": 30}), 2, Some(json!({"enum": ["yes", "no"]}))),
        request(json!({"maxTokens": 6, "logprobs": 3}), 5, None),
        request(json!({"maxTokens": 6, "logprobs": 0}), 5, None),
    ]
}

#[tokio::test]
async fn an_answer_of_the_server_is_that_of_the_process() {
    let (given, model) = (Given::tiny().await, tiny_model());
    let served = provider(&given, "Superstep");
    for request in requests() {
        let here = model.generate(request.clone(), None).await.unwrap();
        let there = served.generate(request.clone(), None).await.unwrap();
        same(&here, &there);
        let heard = Arc::new(Mutex::new(String::new()));
        let hearing = Arc::clone(&heard);
        let on_text: OnText = Arc::new(move |text| hearing.lock().unwrap().push_str(text));
        let mut streamed = request;
        streamed.idempotency_key.push('s');
        let there = served.generate(streamed, Some(on_text)).await.unwrap();
        same(&here, &there);
        assert_eq!(*heard.lock().unwrap(), here.text);
    }
}

#[tokio::test]
async fn a_failure_of_the_server_is_of_the_class_that_it_has_in_the_process() {
    let (given, model) = (Given::tiny().await, tiny_model());
    let served = provider(&given, "Superstep");
    let long = ModelRequest {
        messages: vec![ChatMessage::new(Role::User, "x".repeat(9000))].into(),
        ..request(json!({}), 0, None)
    };
    let stopped = request(json!({"stop": ["x"]}), 0, Some(json!({"enum": [1]})));
    for request in [long, stopped, request(json!({"temperature": -1.0}), 0, None)] {
        let here = model.generate(request.clone(), None).await.unwrap_err();
        let there = served.generate(request, None).await.unwrap_err();
        assert_eq!(here.class, there.class);
        assert!(there.message.contains(&here.message), "{here}; {there}");
    }
}

#[tokio::test]
async fn others_that_speak_openais_protocol_lose_what_it_has_no_place_for() {
    let (given, model) = (Given::tiny().await, tiny_model());
    let compatible = provider(&given, "OpenAICompatible");
    let greedy = request(json!({"maxTokens": 20}), 1, None);
    same(
        &model.generate(greedy.clone(), None).await.unwrap(),
        &compatible.generate(greedy, None).await.unwrap(),
    );
    let warm = request(json!({"maxTokens": 20, "temperature": 1.3}), 1 << 40, None);
    let (here, there) = (model.generate(warm.clone(), None).await, compatible.generate(warm, None).await);
    assert_ne!(here.unwrap().text, there.unwrap().text, "the seed has 31 bits there");
}

#[tokio::test]
async fn vectors_of_the_server_are_those_of_the_process() {
    let embedder = Some(Arc::new(tiny_embedder()) as _);
    let names = vec!["tiny".to_owned()];
    let offered = Offered { names, model: None, embedder, reranker: None, concurrent: 8, is_local: true };
    let given = Given::offering(offered, 8).await;
    let spec = json!({"provider": "Superstep", "model": "tiny", "baseUrl": given.url("/v1")});
    let spec = serde_json::from_value(spec).unwrap();
    let served = Providers::new().unwrap().embedder(&"m".into(), &spec, &|_| None).unwrap();
    let texts = vec!["red".to_owned(), "a green blue".to_owned()];
    let request = EmbedRequest { vertex: "a".into(), texts, idempotency_key: "k".to_owned() };
    let here = tiny_embedder().embed(request.clone()).await.unwrap();
    assert_eq!(served.embed(request).await.unwrap(), here);
}
