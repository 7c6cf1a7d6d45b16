use std::sync::Mutex;

use superstep_engine::CallRequest;

use super::*;
use crate::calls::tests::{perform_all, runner};
use crate::programs::tests::given::{self, scripted};

/// A vertex over several activations, with a model that is near to texts by their words.
struct Library {
    vertex: VertexSpec,
    value: Payload,
    asked: Arc<Mutex<Vec<CallRequest>>>,
}

impl Library {
    fn new(mut retrieve: Value) -> Self {
        retrieve["model"] = json!("small");
        let vertex = given::vertex(json!({"name": "library", "retrieve": retrieve}));
        Self { vertex, value: Payload::null(), asked: Arc::default() }
    }

    /// One activation: the port and what leaves on it.
    async fn activate(&mut self, payloads: &[Value]) -> Result<(String, Value), String> {
        let asked = Arc::clone(&self.asked);
        let (calls, _told) = runner(move |ordinal, request| {
            asked.lock().unwrap().push(request.clone());
            perform_all(ordinal, request)
        });
        let mut activation = given::activation(&self.vertex, payloads, calls);
        let view = Arc::get_mut(&mut activation.view.scene).unwrap();
        view.value = self.value.clone();
        view.input =
            json!({"documents": [{"id": "a", "text": "red apples"}, {"id": "b", "text": "green pears"}]})
                .into();
        let program = scripted(json!({})).for_vertex(&self.vertex).map_err(|error| error.to_string())?;
        let result = match program.start(activation).outcome().await {
            Outcome::Done(result) => result,
            Outcome::Failed(failure) => return Err(failure.message),
            Outcome::Suspended(question) => panic!("{question:?}"),
        };
        if let ValueChange::Append(item) = result.value {
            let mut items = self.value.value().as_array().cloned().unwrap_or_default();
            items.push(item.value().clone());
            self.value = Value::Array(items).into();
        }
        let [emission] = result.emissions.as_slice() else { panic!("{:?}", result.emissions) };
        Ok((emission.port.to_string(), emission.payload.value().clone()))
    }

    /// How many tokens the model read since it was asked for last: here each word is about one.
    fn calls(&self) -> usize {
        std::mem::take(&mut *self.asked.lock().unwrap()).len()
    }
}

fn ids(matches: &Value) -> Vec<(String, f64)> {
    let one = |found: &Value| (found["id"].as_str().unwrap().to_owned(), found["score"].as_f64().unwrap());
    matches.as_array().unwrap().iter().map(one).collect()
}

/// The cosine of half a right angle, to six places.
fn half_turned() -> f64 {
    (std::f64::consts::FRAC_1_SQRT_2 * 1e6).round() / 1e6
}

#[tokio::test]
async fn the_nearest_passages_come_with_what_they_are_cited_by() {
    let mut library = Library::new(json!({"top": 2, "documents": {"inline": [
        {"id": "fruit", "text": "Apples are red. Pears are green.", "metadata": {"page": 7}},
        {"id": "mail", "text": "An invoice was wrong."},
        {"text": "Pears"},
    ]}}));
    let (port, found) = library.activate(&[json!("red apples")]).await.unwrap();
    assert_eq!((port.as_str(), &found["query"]), ("out", &json!("red apples")));
    assert_eq!((&found["added"], &found["size"]), (&json!(3), &json!(3)));
    let best = &found["matches"][0];
    assert_eq!(
        *best,
        json!({"id": "fruit", "passage": 0, "start": 0, "end": 32, "score": best["score"],
            "text": "Apples are red. Pears are green.", "metadata": {"page": 7}})
    );
    assert_eq!(best["score"], json!(0.5), "two words of two, among six with one twice: 2 / (√2 · √8)");
    assert_eq!(found["matches"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn documents_are_embedded_once_and_again_when_they_change() {
    let mut library =
        Library::new(json!({"documents": {"cel": "message.documents"}, "query": "message.question"}));
    let first =
        [json!({"id": "a", "text": "red apples"}), json!({"id": 2, "text": "green pears", "url": "u"})];
    let (_, found) = library.activate(&[json!({"documents": first, "question": "apples"})]).await.unwrap();
    assert_eq!((found["added"].as_u64(), library.calls()), (Some(2), 1));
    let (port, found) = library.activate(&[json!({"documents": first, "question": null})]).await.unwrap();
    assert_eq!((port.as_str(), found, library.calls()), ("indexed", json!({"added": 0, "size": 2}), 0));
    let changed = json!([{"id": "a", "text": "blue plums"}, "yellow bananas"]);
    let (_, found) =
        library.activate(&[json!({"documents": changed, "question": "red apples"})]).await.unwrap();
    assert_eq!((found["added"].as_u64(), found["size"].as_u64()), (Some(2), Some(3)));
    assert!(
        ids(&found["matches"]).iter().all(|(_, score)| *score == 0.0),
        "what was replaced is not found: {found}"
    );
    let (_, found) = library.activate(&[json!({"documents": null, "question": "pears"})]).await.unwrap();
    assert_eq!(found["matches"][0]["metadata"], json!({"url": "u"}));
    assert_eq!(ids(&found["matches"])[0], ("2".to_owned(), half_turned()));
}

#[tokio::test]
async fn equally_near_passages_come_in_the_order_of_ids_and_far_ones_can_be_left_out() {
    let documents = json!({"inline": [
        {"id": "z", "text": "red"}, {"id": "a", "text": "red"}, {"id": "m", "text": "red blue"}, {"id": "f", "text": "far"},
    ]});
    let mut library = Library::new(json!({"documents": documents}));
    let (_, found) = library.activate(&[json!("red")]).await.unwrap();
    let expected =
        [("a", 1.0), ("z", 1.0), ("m", half_turned()), ("f", 0.0)].map(|(id, score)| (id.to_owned(), score));
    assert_eq!(ids(&found["matches"]), expected);
    let mut library = Library::new(json!({"documents": documents, "minScore": 0.5, "top": 3}));
    let (_, found) = library.activate(&[json!(["red", "far", "none"])]).await.unwrap();
    let results = found["results"].as_array().unwrap();
    assert_eq!(ids(&results[0]["matches"]), expected[..3]);
    assert_eq!(ids(&results[1]["matches"]), [("f".to_owned(), 1.0)]);
    assert_eq!(results[2], json!({"query": "none", "matches": []}));
}

#[tokio::test]
async fn a_long_document_is_found_by_its_passages() {
    let text = format!("{} the needle is here {}", "hay ".repeat(60), "straw ".repeat(60));
    let mut library = Library::new(json!({
        "documents": {"inline": [{"id": "stack", "text": text}]}, "chunk": {"characters": 40, "overlap": 10}, "top": 1,
    }));
    let (_, found) = library.activate(&[json!("needle")]).await.unwrap();
    let best = &found["matches"][0];
    let part: String = text
        .chars()
        .skip(usize::try_from(best["start"].as_u64().unwrap()).unwrap())
        .take(usize::try_from(best["end"].as_u64().unwrap() - best["start"].as_u64().unwrap()).unwrap())
        .collect();
    assert!(part.contains("needle") && best["text"] == json!(part), "{best}");
    assert!(best["passage"].as_u64().unwrap() > 3 && found["size"].as_u64().unwrap() > 10, "{found}");
}

#[tokio::test]
async fn documents_of_the_input_are_there_before_anything_comes() {
    let mut library = Library::new(json!({"documents": {"cel": "input.documents"}}));
    let (port, found) = library.activate(&[]).await.unwrap();
    assert_eq!((port.as_str(), found), ("indexed", json!({"added": 2, "size": 2})));
    let (port, found) = library.activate(&[json!({"text": "pears"})]).await.unwrap();
    assert_eq!((port.as_str(), ids(&found["matches"])[0].0.as_str()), ("out", "b"));
}

#[tokio::test]
async fn what_cannot_be_searched_says_why() {
    for (retrieve, payload, part) in [
        (json!({"documents": {"cel": "1"}}), json!("x"), "this is a number"),
        (json!({"documents": {"cel": "[{'id': 'a'}]"}}), json!("x"), "has no text"),
        (json!({"documents": {"cel": "[{'text': 1}]"}}), json!("x"), "the text of a document is a number"),
        (
            json!({"documents": {"cel": "[{'text': 'a', 'id': []}]"}}),
            json!("x"),
            "the id of a document is a list",
        ),
        (json!({"documents": {"cel": "[{'text': 'a', 'metadata': 1}]"}}), json!("x"), "metadata"),
        (json!({"query": "1"}), json!("x"), "retrieve.query is a number"),
        (json!({}), json!({"question": "x"}), "what came is an object"),
        (json!({"documents": {"files": ["a.txt"]}}), json!("x"), "were not read"),
        (json!({"query": "inptu"}), json!("x"), "retrieve.query"),
    ] {
        let reason = Library::new(retrieve.clone()).activate(&[payload]).await.unwrap_err();
        assert!(reason.contains(part), "{retrieve}: {reason}");
    }
}

#[tokio::test]
async fn a_value_that_is_no_index_of_this_model_is_refused() {
    let mut library = Library::new(json!({"documents": {"cel": "input.documents"}}));
    library.activate(&[]).await.unwrap();
    let mut other = Library::new(json!({}));
    for (from, to, part) in [
        ("\"small\"", "\"large\"", "was embedded with model \"large\", not with \"small\""),
        ("\"vector\":\"", "\"vector\":\"?", "that is none"),
        ("\"passages\"", "\"pieces\"", "no index of documents"),
    ] {
        let text = library.value.value().to_string();
        assert!(text.contains(from), "{from} in {text}");
        other.value = serde_json::from_str::<Value>(&text.replace(from, to)).unwrap().into();
        let reason = other.activate(&[json!("x")]).await.unwrap_err();
        assert!(reason.contains(part), "{reason}");
    }
    let vector = crate::vectors::packed(&[1.0, 0.0]);
    let passage = json!({"start": 0, "end": 1, "text": "x", "vector": vector});
    other.value =
        json!([{"model": "small", "documents": [{"id": "a", "digest": "", "passages": [passage]}]}]).into();
    let reason = other.activate(&[json!("x")]).await.unwrap_err();
    assert!(reason.contains("have 2 numbers, and that of the query has 512"), "{reason}");
}
