use std::sync::Mutex;

use superstep_engine::{CallOutcome, Outcome, Usage};

use super::*;
use crate::calls::CallDecision;
use crate::calls::tests::{perform_all, runner};
use crate::programs::tests::given::{self, output, scripted};

async fn embed(program: Value, payloads: &[Value]) -> Result<Value, Failure> {
    let vertex = given::vertex(json!({"name": "vectors", "embed": program}));
    let (calls, _told) = runner(perform_all);
    let activation = given::activation(&vertex, payloads, calls);
    output(scripted(json!({})).for_vertex(&vertex).unwrap().start(activation).outcome().await)
}

fn lengths(vectors: &Value) -> Vec<f64> {
    let length = |vector: &Value| {
        let squares = vector.as_array().unwrap().iter().map(|float| float.as_f64().unwrap().powi(2));
        squares.sum::<f64>().sqrt()
    };
    vectors.as_array().unwrap().iter().map(length).collect()
}

#[tokio::test]
async fn one_text_has_one_vector_and_a_list_has_a_list() {
    let one = embed(json!({"model": "small", "text": "Mail: {{ input.text }}"}), &[]).await.unwrap();
    assert_eq!(one["embedding"].as_array().unwrap().len(), 512);
    let texts = "['Mail: It crashes.', input.text, {'text': 'mail it crashes'}]";
    let many = embed(json!({"model": "small", "texts": texts}), &[]).await.unwrap();
    assert_eq!(many["embeddings"][0], one["embedding"]);
    assert_eq!(many["embeddings"][2], one["embedding"]);
    assert_ne!(many["embeddings"][1], one["embedding"]);
    assert!(lengths(&many["embeddings"]).iter().all(|length| (length - 1.0).abs() < 1e-6));
    let none = embed(json!({"model": "small", "texts": "[]"}), &[]).await.unwrap();
    assert_eq!(none, json!({"embeddings": []}));
}

#[tokio::test]
async fn what_came_is_embedded_by_default() {
    let text = embed(json!({"model": "small", "text": "red"}), &[]).await.unwrap();
    for (payloads, expected) in [
        (vec![json!("red")], text.clone()),
        (vec![json!({"text": "red", "n": 1})], text.clone()),
        (vec![json!(["red"])], json!({"embeddings": [text["embedding"]]})),
        (
            vec![json!("red"), json!({"text": "red"})],
            json!({"embeddings": [text["embedding"], text["embedding"]]}),
        ),
    ] {
        assert_eq!(embed(json!({"model": "small"}), &payloads).await.unwrap(), expected, "{payloads:?}");
    }
    for (payload, part) in [
        (json!(1), "what came is a number"),
        (json!(["a", {"txet": "b"}]), "item 1 of what came is an object"),
    ] {
        let failure = embed(json!({"model": "small"}), std::slice::from_ref(&payload)).await.unwrap_err();
        assert!(failure.message.contains(part), "{failure}");
    }
    let failure = embed(json!({"model": "small", "texts": "'red'"}), &[]).await.unwrap_err();
    assert!(failure.message.contains("a list is expected"), "{failure}");
}

#[tokio::test]
async fn many_texts_go_in_batches_each_a_call_of_its_own() {
    let vertex = given::vertex(json!({"name": "v", "embed": {"model": "small", "texts": "message"}}));
    let texts: Vec<String> = (0..150).map(|number| format!("text {number}")).collect();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&requests);
    let (calls, told) = runner(move |ordinal, request| {
        asked.lock().unwrap().push(request.clone());
        perform_all(ordinal, request)
    });
    let activation = given::activation(&vertex, &[json!(texts)], calls);
    let programs = scripted(json!({"prices": {"promptPerMillion": 1e6}}));
    let outcome = programs.for_vertex(&vertex).unwrap().start(activation).outcome().await;
    assert_eq!(output(outcome).unwrap()["embeddings"].as_array().unwrap().len(), 150);
    let told = told.await.unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.repeatable && request.target == "model small"));
    let used: Vec<Usage> = told.iter().filter_map(|told| Some(told.1.as_ref()?.usage)).collect();
    let total = |usages: Vec<Usage>| {
        usages.into_iter().fold(Usage::default(), |mut sum, usage| {
            sum += usage;
            sum
        })
    };
    let total = (total(used), total(requests.iter().map(|request| request.reserve).collect()));
    assert_eq!(total.0, total.1);
    assert_eq!(
        (total.0.calls, total.0.prompt_tokens, total.0.completion_tokens, total.0.cost),
        (3, 300, 0, 300.0)
    );
}

#[tokio::test]
async fn recorded_vectors_are_taken_without_a_call_and_others_are_refused() {
    let vertex = given::vertex(json!({"name": "v", "embed": {"model": "small", "text": "x"}}));
    let programs = scripted(json!({}));
    for (recorded, expected) in [
        (json!({"vectors": [crate::vectors::packed(&[3.0, 4.0])]}), Ok(json!({"embedding": [0.6, 0.8]}))),
        (json!({"vectors": []}), Err("0 vectors came for 1 texts")),
        (json!({"vectors": ["?"]}), Err("no list of floats")),
        (json!({"vectors": [crate::vectors::packed(&[f32::NAN])]}), Err("no finite numbers")),
        (json!("something"), Err("recorded answer")),
    ] {
        let (calls, _told) = runner(move |_, _| {
            CallDecision::Reuse(CallOutcome { answer: Ok(recorded.clone().into()), usage: Usage::default() })
        });
        let activation = given::activation(&vertex, &[], calls);
        let outcome = programs.for_vertex(&vertex).unwrap().start(activation).outcome().await;
        match (output(outcome), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(failure), Err(part)) => assert!(failure.message.contains(part), "{failure}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_model_that_does_something_else_is_refused_before_the_run() {
    let mut models = crate::models::Models::default();
    let scripted = Arc::new(crate::models::Scripted::new(crate::models::ScriptedModel::default()));
    models.insert("writer", Arc::clone(&scripted) as Arc<dyn crate::model::Model>);
    models.insert_embedder("reader", scripted);
    let programs = crate::programs::Programs::new(models);
    for (vertex, part) in [
        (json!({"name": "v", "embed": {"model": "writer"}}), "\"writer\" writes texts and embeds none"),
        (json!({"name": "v", "retrieve": {"model": "writer"}}), "\"writer\" writes texts and embeds none"),
        (
            json!({"name": "v", "prompt": {"model": "reader", "template": "x"}}),
            "\"reader\" embeds texts and writes none",
        ),
        (json!({"name": "v", "embed": {"model": "raeder"}}), "\"reader\""),
    ] {
        let error = programs.check(&given::vertex(vertex)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_failed_call_is_the_failure_of_the_vertex() {
    let vertex = given::vertex(json!({"name": "v", "embed": {"model": "absent", "text": "x"}}));
    let mut models = crate::models::Models::default();
    models.insert_embedder("absent", Arc::new(crate::models::NotLoaded::default()));
    let (calls, told) = runner(perform_all);
    let activation = given::activation(&vertex, &[], calls);
    let programs = crate::programs::Programs::new(models);
    let outcome = programs.for_vertex(&vertex).unwrap().start(activation).outcome().await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.message.contains("not loaded"), "{failure}");
    assert_eq!(told.await.unwrap()[1].1.as_ref().unwrap().usage.calls, 1);
}
