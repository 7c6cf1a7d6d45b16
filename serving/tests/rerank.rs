//! How well documents answer a question.

use serde_json::{Value, json};
use superstep_runtime::{RerankRequest, Reranker as _};

use crate::given::{Given, ranking_offered, script_offered, taken, tiny_reranker};

const DOCUMENTS: [&str; 4] = ["blue", "a green blue", "red", "green green a"];

async fn ranked(given: &Given, body: Value) -> Value {
    let (status, _, answer) = taken(given.post("/v1/rerank", &body)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn body(more: Value) -> Value {
    let mut body = json!({"model": "tiny", "query": "red green", "documents": DOCUMENTS});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn scores_are_those_of_the_model_and_the_best_comes_first() {
    let given = Given::offering(ranking_offered(), 8).await;
    let documents = DOCUMENTS.map(str::to_owned).to_vec();
    let here = tiny_reranker().rerank(RerankRequest { query: "red green".to_owned(), documents });
    let here = here.await.unwrap();
    let answer = ranked(&given, body(json!({}))).await;
    let results = answer["results"].as_array().unwrap();
    let scores: Vec<f64> = results.iter().map(|result| result["relevance_score"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), DOCUMENTS.len());
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]), "{answer}");
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{answer}");
    for (result, score) in results.iter().zip(scores) {
        let index = usize::try_from(result["index"].as_u64().unwrap()).unwrap();
        assert!((here.scores[index] - score).abs() < 1e-6, "{answer}");
        assert!(result.get("document").is_none(), "{answer}");
    }
    // Three marks and the query beside each document.
    let tokens = 4 * 5 + 1 + 3 + 1 + 3;
    assert_eq!(here.usage.prompt_tokens, tokens);
    assert_eq!(answer["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));
    assert_eq!(answer["meta"]["tokens"]["input_tokens"], tokens);
    assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!("tiny")));
    assert!(given.metric("superstep_serving_prompt_tokens_total").await >= 28.0);
}

#[tokio::test]
async fn the_best_few_are_told_with_their_texts_where_that_is_asked() {
    let given = Given::offering(ranking_offered(), 8).await;
    let all = ranked(&given, body(json!({"return_documents": true}))).await;
    let objects = json!({"documents": DOCUMENTS.map(|text| json!({"text": text})), "return_documents": true,
        "top_n": 2, "user": "me"});
    let few = ranked(&given, body(objects)).await;
    assert_eq!(few["results"].as_array().unwrap().as_slice(), &all["results"].as_array().unwrap()[..2]);
    for result in all["results"].as_array().unwrap() {
        let index = usize::try_from(result["index"].as_u64().unwrap()).unwrap();
        assert_eq!(result["document"], json!({"text": DOCUMENTS[index]}));
    }
    let more = ranked(&given, body(json!({"top_n": 100}))).await;
    assert_eq!(more["results"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn equally_good_documents_stay_in_their_order() {
    let given = Given::offering(script_offered(json!({"otherwise": "x"}), 4), 8).await;
    let documents = json!(["nothing", "red green", "nor this", "green red"]);
    let answer = ranked(&given, body(json!({"documents": documents}))).await;
    let order: Vec<u64> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["index"].as_u64().unwrap())
        .collect();
    assert_eq!(order, [1, 3, 0, 2]);
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let given = Given::offering(ranking_offered(), 8).await;
    let many: Vec<&str> = vec!["x"; 1025];
    for (more, param) in [
        (json!({"query": null}), json!("query")),
        (json!({"query": " "}), json!("query")),
        (json!({"documents": null}), json!("documents")),
        (json!({"documents": []}), json!("documents")),
        (json!({"documents": many}), json!("documents")),
        (json!({"documents": ["x", 5]}), json!("documents[1]")),
        (json!({"documents": ["x", {"title": "y"}]}), json!("documents[1].text")),
        (json!({"documents": [{"text": "x", "title": "y"}]}), json!("documents[0].title")),
        (json!({"top_n": 0}), json!("top_n")),
        (json!({"top_n": -1}), json!("top_n")),
        (json!({"return_documents": "yes"}), json!("return_documents")),
        (json!({"max_tokens_per_doc": 5}), json!("max_tokens_per_doc")),
        // It leaves no room for a document.
        (json!({"query": "red ".repeat(40)}), Value::Null),
    ] {
        let (status, _, answer) = taken(given.post("/v1/rerank", &body(more.clone()))).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &param), "{more}: {answer}");
        assert_eq!(answer["error"]["type"], "invalid_request_error", "{answer}");
    }
    let (status, _, answer) = taken(given.post("/v1/rerank", &body(json!({"model": "other"})))).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("model_not_found")));
    let embeds = json!({"model": "tiny", "input": "x"});
    assert_eq!(taken(given.post("/v1/embeddings", &embeds)).await.0, 400, "it ranks, and does not embed");
    let tiny = Given::tiny().await;
    assert_eq!(taken(tiny.post("/v1/rerank", &body(json!({})))).await.0, 400, "it writes, and does not rank");
}

#[tokio::test]
async fn rankings_wait_for_their_places_and_are_turned_away_past_the_queue() {
    let given = Given::offering(script_offered(json!({"otherwise": "x", "latency": "1h"}), 1), 0).await;
    let held = tokio::spawn(given.post("/v1/rerank", &body(json!({}))).send());
    given.until("vllm:num_requests_running", 1.0).await;
    let (status, headers, answer) = taken(given.post("/v1/rerank", &body(json!({})))).await;
    assert_eq!((status, &answer["error"]["code"]), (429, &json!("queue_full")));
    assert!(headers.contains_key("retry-after"));
    held.abort();
    given.until("vllm:num_requests_running", 0.0).await;
}
