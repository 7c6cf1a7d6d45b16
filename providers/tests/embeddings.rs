//! Vectors of texts, by the examples of each provider's reference.

use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::{Failure, FailureClass};
use superstep_providers::Providers;
use superstep_runtime::{EmbedRequest, Embedder, Embeddings};
use wiremock::ResponseTemplate;

use crate::fake::{Fake, SECRET, ok};

fn embedder(fake: &Fake, provider: &str, more: Value) -> Arc<dyn Embedder> {
    let mut spec = json!({"provider": provider, "model": "some-model", "baseUrl": fake.uri(),
        "credentialRef": {"name": "fake", "key": "apiKey"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let variable = |name: &str| (name == "FAKE_API_KEY").then(|| SECRET.to_owned());
    let spec = serde_json::from_value(spec).unwrap();
    Providers::new().unwrap().embedder(&"vectors".into(), &spec, &variable).unwrap()
}

async fn ask(embedder: &Arc<dyn Embedder>, texts: &[&str]) -> Result<Embeddings, Failure> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let request = EmbedRequest { vertex: "find".into(), texts, idempotency_key: "run-7".to_owned() };
    embedder.embed(request).await
}

fn open_ai(vectors: &[(u64, [f32; 3])]) -> Value {
    let item = |(index, embedding): &(u64, [f32; 3])| json!({"object": "embedding", "index": index, "embedding": embedding});
    json!({"object": "list", "data": vectors.iter().map(item).collect::<Vec<_>>(), "model": "text-embedding-ada-002",
        "usage": {"prompt_tokens": 8, "total_tokens": 8}})
}

#[tokio::test]
async fn relatives_of_open_ai() {
    let answer = open_ai(&[(1, [0.0, 1.0, 0.0]), (0, [0.002_306_425_5, -0.009_327_292, -0.002_842_222_5])]);
    let fake = Fake::new(ok(answer)).await;
    for provider in ["OpenAI", "OpenAICompatible", "Mistral", "Together"] {
        let embedder = embedder(&fake, provider, json!({"prices": {"promptPerMillion": 0.1}}));
        let found = ask(&embedder, &["The food was delicious", "and the waiter"]).await.unwrap();
        assert_eq!(
            found.vectors,
            [vec![0.002_306_425_5, -0.009_327_292, -0.002_842_222_5], vec![0.0, 1.0, 0.0]]
        );
        assert_eq!(found.usage.prompt_tokens, 8);
        assert_eq!(
            fake.asked().await,
            json!({"model": "some-model", "input": ["The food was delicious", "and the waiter"], "encoding_format": "float"})
        );
    }
    let sent = &fake.requests().await[0];
    assert_eq!(sent.url.path(), "/embeddings");
    assert_eq!(sent.headers["authorization"], format!("Bearer {SECRET}").as_str());
    assert_eq!(sent.headers["idempotency-key"], "run-7");
}

#[tokio::test]
async fn ollama() {
    let fake = Fake::new(ok(
        json!({"model": "all-minilm", "embeddings": [[0.010_071_029, -0.001_775_994, 0.050_072_18]],
        "total_duration": 14_143_917, "load_duration": 1_019_500, "prompt_eval_count": 8}),
    ))
    .await;
    let found = ask(&embedder(&fake, "Ollama", json!({})), &["Why is the sky blue?"]).await.unwrap();
    assert_eq!(found.vectors, [vec![0.010_071_029, -0.001_775_994, 0.050_072_18]]);
    assert_eq!(found.usage.prompt_tokens, 8);
    assert_eq!(fake.requests().await[0].url.path(), "/api/embed");
    assert_eq!(fake.asked().await, json!({"model": "some-model", "input": ["Why is the sky blue?"]}));
}

#[tokio::test]
async fn gemini() {
    let fake = Fake::new(ok(json!({"embeddings": [{"values": [0.25, 0.5]}, {"values": [0.5, 0.25]}]}))).await;
    let found = ask(&embedder(&fake, "Gemini", json!({})), &["What is it?", "That."]).await.unwrap();
    assert_eq!(found.vectors, [vec![0.25, 0.5], vec![0.5, 0.25]]);
    assert_eq!(found.usage.prompt_tokens, 4, "16 bytes, which nobody counts");
    assert_eq!(fake.requests().await[0].url.path(), "/models/some-model:batchEmbedContents");
    let one = |text: &str| json!({"model": "models/some-model", "content": {"parts": [{"text": text}]}});
    assert_eq!(fake.asked().await, json!({"requests": [one("What is it?"), one("That.")]}));
}

#[tokio::test]
async fn what_cannot_be_had_says_why_and_shows_no_credential() {
    let fake = Fake::new(ok(json!({}))).await;
    let failure = ask(&embedder(&fake, "Anthropic", json!({})), &["x"]).await.unwrap_err();
    assert!(failure.message.contains("no embeddings"), "{failure}");
    assert_eq!((failure.class, fake.requests().await.len()), (FailureClass::Permanent, 0));
    for (answer, class, part) in [
        (ok(json!({"data": 1})), FailureClass::Transient, "another form"),
        (ResponseTemplate::new(500).set_body_string(SECRET), FailureClass::Transient, "500"),
        (
            ResponseTemplate::new(400).set_body_json(json!({"error": {"message": "too long"}})),
            FailureClass::Permanent,
            "too long",
        ),
    ] {
        let fake = Fake::new(answer).await;
        let failure = ask(&embedder(&fake, "OpenAI", json!({})), &["x"]).await.unwrap_err();
        assert!(failure.message.contains(part) && failure.message.contains("vectors"), "{failure}");
        assert!(!failure.message.contains(SECRET) && failure.class == class, "{failure}");
    }
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_found_out_once() {
    let body =
        json!({"error": {"message": "no money", "type": "insufficient_quota", "code": "insufficient_quota"}});
    let fake = Fake::new(ResponseTemplate::new(429).set_body_json(body)).await;
    let embedder = embedder(&fake, "OpenAI", json!({}));
    for _ in 0..3 {
        assert!(ask(&embedder, &["x"]).await.unwrap_err().message.contains("no money"));
    }
    assert_eq!(fake.requests().await.len(), 1);
}
