//! LoRA adapters, asked for by name.

use serde_json::{Value, json};
use superstep_inference::testing::{TinyAdapter, TinyModel};
use superstep_runtime::{LoadOptions, LocalModel};

use crate::given::{Given, content, offered, says, taken};

/// A folder with two adapters, and a server of a model that has them.
async fn styles() -> (tempfile::TempDir, Given) {
    let folder = tempfile::tempdir().unwrap();
    TinyModel::default().write(&folder.path().join("tiny.gguf")).unwrap();
    for (name, seed) in [("loud", 1), ("soft", 2)] {
        style(seed).write(&folder.path().join("styles").join(name)).unwrap();
    }
    let adapters = Some(folder.path().join("styles"));
    let options = LoadOptions { adapters, max_concurrent: 4, ..LoadOptions::default() };
    let model = LocalModel::load(&folder.path().join("tiny.gguf"), &options).unwrap();
    let given = Given::offering(offered(model, 4), 64).await;
    (folder, given)
}

fn style(seed: u64) -> TinyAdapter {
    TinyAdapter { seed, alpha: 32.0, ..TinyAdapter::default() }
}

fn asks(model: &str) -> Value {
    says("Hello", json!({"model": model, "max_tokens": 24}))
}

#[tokio::test]
async fn an_adapter_is_served_by_the_name_of_the_model_and_its_own() {
    let (_folder, given) = styles().await;
    let plain = given.answer(&asks("tiny")).await;
    let loud = given.answer(&asks("tiny:loud")).await;
    let soft = given.answer(&asks("the-tiny:soft")).await;
    assert_eq!((&loud["model"], &soft["model"]), (&json!("tiny:loud"), &json!("tiny:soft")));
    let texts = [content(&plain), content(&loud), content(&soft)];
    assert!(texts[0] != texts[1] && texts[1] != texts[2] && texts[0] != texts[2], "{texts:?}");
    // All at once they are one batch, and say the same.
    let (body, plain, other) = (asks("tiny:loud"), asks("tiny"), asks("tiny:soft"));
    let together = tokio::join!(given.answer(&body), given.answer(&plain), given.answer(&other));
    assert_eq!([content(&together.1), content(&together.0), content(&together.2)], texts);
    let response = given.post(
        "/v1/responses",
        &json!({"model": "tiny:loud", "input": "Hello",
        "max_output_tokens": 24}),
    );
    let (status, _, response) = taken(response).await;
    assert_eq!((status, &response["model"]), (200, &json!("tiny:loud")), "{response}");
    assert_eq!(response["output"][0]["content"][0]["text"], texts[1]);
}

#[tokio::test]
async fn an_unknown_adapter_is_not_found_and_a_bad_one_says_why() {
    let (folder, given) = styles().await;
    for name in ["tiny:", "tiny:absent", "tiny:..", "tiny:../styles/loud", "tiny:loud/", "tiny:loud:loud"] {
        let (status, error) = given.refusal(&asks(name)).await;
        assert_eq!((status, &error["code"]), (404, &json!("model_not_found")), "{name}: {error}");
        assert_eq!((&error["type"], &error["param"]), (&json!("invalid_request_error"), &json!("model")));
    }
    let (_, error) = given.refusal(&asks("tiny:absent")).await;
    assert!(error["message"].as_str().unwrap().contains("\"absent\""), "{error}");
    let (status, error) = given.refusal(&asks("other:loud")).await;
    assert!(status == 404 && error["message"].as_str().unwrap().contains("other:loud"), "{error}");
    let bad = TinyAdapter { config: json!({"use_dora": true}), ..style(3) };
    bad.write(&folder.path().join("styles/bad")).unwrap();
    let (status, error) = given.refusal(&asks("tiny:bad")).await;
    assert!(status == 400 && error["message"].as_str().unwrap().contains("DoRA"), "{error}");
    assert_eq!(given.answer(&asks("tiny:soft")).await["model"], "tiny:soft");
}

#[tokio::test]
async fn adapters_are_listed_and_found_when_they_are_put_there() {
    let (folder, given) = styles().await;
    let names = async || {
        let (_, text) = given.text("/v1/models").await;
        let list: Value = serde_json::from_str(&text).unwrap();
        let of = |model: &Value| (model["id"].as_str().unwrap().to_owned(), model["parent"].clone());
        list["data"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let named = |name: &str, parent: Value| (name.to_owned(), parent);
    let mut expected = vec![
        named("tiny", Value::Null),
        named("tiny:loud", json!("tiny")),
        named("tiny:soft", json!("tiny")),
    ];
    assert_eq!(names().await, expected);
    assert_eq!(given.refusal(&asks("tiny:warm")).await.0, 404);
    style(4).write(&folder.path().join("styles/warm")).unwrap();
    expected.push(named("tiny:warm", json!("tiny")));
    assert_eq!(names().await, expected);
    assert_eq!(given.answer(&asks("tiny:warm")).await["model"], "tiny:warm");
    assert_eq!(given.text("/v1/models/tiny:warm").await.0, 200);
    style(5).write(&folder.path().join("styles/warm:er")).unwrap();
    expected.push(named("tiny:warm:er", json!("tiny")));
    assert_eq!(names().await, expected);
    assert_eq!(given.answer(&asks("tiny:warm:er")).await["model"], "tiny:warm:er");
    assert_eq!(given.text("/v1/models/tiny:cold").await.0, 404);
}

#[tokio::test]
async fn the_adapters_that_requests_have_are_told() {
    let (_folder, given) = styles().await;
    let told = async |names: &str| {
        let told = format!("vllm:lora_requests_info{{max_lora=\"4\",running_lora_adapters=\"{names}\",");
        given.text("/metrics").await.1.contains(&told)
    };
    assert!(told("").await);
    let long = json!({"type": "array", "items": {"const": "ab"}, "minItems": 60, "maxItems": 60});
    let long = json!({"type": "json_schema", "json_schema": {"name": "long", "schema": long}});
    let body = says("Hello", json!({"model": "tiny:loud", "stream": true, "response_format": long}));
    let begun = std::time::Instant::now();
    let mut seen = false;
    // On a busy machine an answer may have been written before anybody looked.
    while !seen {
        assert!(begun.elapsed().as_secs() < 60, "it was never in use");
        let mut stream = given.chat(&body).send().await.unwrap();
        while stream.chunk().await.unwrap().is_some() {
            seen |= told("loud").await;
        }
    }
    let ended = std::time::Instant::now();
    while !told("").await {
        assert!(ended.elapsed().as_secs() < 60, "it is still in use");
    }
    let without = Given::tiny().await;
    assert!(!without.text("/metrics").await.1.contains("lora"));
}

#[tokio::test]
async fn what_was_read_and_guessed_is_counted() {
    let given = Given::tiny().await;
    let body = says(&"a text that is long enough ".repeat(12), json!({"max_tokens": 64}));
    given.answer(&body).await;
    let hits = given.metric("vllm:prefix_cache_hits_total").await;
    given.answer(&body).await;
    assert!(given.metric("vllm:prefix_cache_hits_total").await > hits + 200.0);
    let guessed = given.metric("vllm:spec_decode_num_draft_tokens_total").await;
    let accepted = given.metric("vllm:spec_decode_num_accepted_tokens_total").await;
    assert!(accepted <= guessed);
    assert!(given.metric("superstep_serving_passes_total").await >= 2.0);
}
