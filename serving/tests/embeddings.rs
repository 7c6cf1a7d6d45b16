//! Vectors of texts.

use std::sync::Arc;

use serde_json::{Value, json};
use superstep_runtime::{EmbedRequest, Embedder as _};
use superstep_serving::Offered;

use crate::given::{Given, says, taken, tiny_embedder};

async fn given() -> Given {
    let embedder = Some(Arc::new(tiny_embedder()) as _);
    let names = vec!["tiny".to_owned()];
    Given::offering(
        Offered { names, model: None, embedder, reranker: None, concurrent: 8, is_local: true },
        8,
    )
    .await
}

async fn vectors(given: &Given, body: Value) -> Value {
    let (status, _, answer) = taken(given.post("/v1/embeddings", &body)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn vectors_are_those_of_the_model_as_numbers_and_as_bytes() {
    let given = given().await;
    let texts = vec!["red".to_owned(), "a green blue".to_owned()];
    let request = EmbedRequest { vertex: "a".into(), texts: texts.clone(), idempotency_key: String::new() };
    let here = tiny_embedder().embed(request).await.unwrap();
    let answer = vectors(&given, json!({"model": "tiny", "input": texts})).await;
    assert_eq!(answer["usage"]["prompt_tokens"], here.usage.prompt_tokens);
    for (index, vector) in here.vectors.iter().enumerate() {
        let item = &answer["data"][index];
        let told: Vec<f32> = serde_json::from_value(item["embedding"].clone()).unwrap();
        assert_eq!((&told, &item["index"]), (vector, &json!(index)));
    }
    let body = json!({"model": "tiny", "input": "red", "encoding_format": "base64",
        "dimensions": here.vectors[0].len()});
    let answer = vectors(&given, body).await;
    let bytes = answer["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(bytes.len(), (here.vectors[0].len() * 4).div_ceil(3) * 4);
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let given = given().await;
    for (body, param) in [
        (json!({"model": "tiny"}), "input"),
        (json!({"model": "tiny", "input": []}), "input"),
        (json!({"model": "tiny", "input": [1, 2]}), "input"),
        (json!({"model": "tiny", "input": "x", "dimensions": 7}), "dimensions"),
        (json!({"model": "tiny", "input": "x", "encoding_format": "int8"}), "encoding_format"),
        (json!({"model": "tiny", "input": "x", "pooling": "max"}), "pooling"),
    ] {
        let (status, _, answer) = taken(given.post("/v1/embeddings", &body)).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &json!(param)), "{body}: {answer}");
    }
    let (status, error) = given.refusal(&says("x", json!({}))).await;
    assert_eq!((status, &error["param"]), (400, &json!("model")), "it embeds, and does not write");
    let tiny = Given::tiny().await;
    let (status, ..) = taken(tiny.post("/v1/embeddings", &json!({"model": "tiny", "input": "x"}))).await;
    assert_eq!(status, 400, "it writes, and does not embed");
}
