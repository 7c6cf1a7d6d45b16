use std::sync::Mutex;

use serde_json::Value;
use superstep_engine::{CallOutcome, FailureClass, Outcome, Usage};
use superstep_graph::DurationSpec;

use super::*;
use crate::calls::tests::{perform_all, runner};
use crate::calls::{CallDecision, Calls};
use crate::logprobs::{LikelyToken, TokenLogprob};
use crate::model::{ModelAnswer, ModelRequest};
use crate::programs::tests::given::{self, output, scripted};

fn vertex(prompt: Value) -> VertexSpec {
    given::vertex(json!({"name": "judge", "prompt": prompt}))
}

fn activation(vertex: &VertexSpec, calls: Calls) -> Activation {
    given::activation(vertex, &[], calls)
}

#[tokio::test]
async fn without_a_schema_the_answer_is_its_text() {
    let programs = scripted(json!({"rules": [{"contains": "crashes", "answer": "a bug"}]}));
    let vertex = vertex(
        json!({"model": "small", "system": "Sort {{ superstep }}.", "template": "Mail: {{ input.text }}"}),
    );
    let (calls, told) = runner(perform_all);
    let heard = Arc::new(Mutex::new(String::new()));
    let mut activation = activation(&vertex, calls);
    let hearing = Arc::clone(&heard);
    let id = superstep_engine::ActivationId {
        frame: superstep_engine::FrameId::ROOT,
        vertex: "ask".into(),
        incarnation: 0,
        superstep: 0,
        element: None,
    };
    activation.listener =
        crate::program::Listener::new(Arc::new(move |_, text| hearing.lock().unwrap().push_str(text)), id);
    let outcome = programs.for_vertex(&vertex).unwrap().start(activation).outcome().await;
    assert_eq!(output(outcome).unwrap(), json!({"text": "a bug"}));
    assert_eq!(*heard.lock().unwrap(), "a bug");
    let told = told.await.unwrap();
    let usage = told[1].1.as_ref().unwrap().usage;
    assert_eq!((usage.calls, usage.prompt_tokens, usage.completion_tokens), (1, 7, 2));
}

#[tokio::test]
async fn an_invalid_answer_is_asked_for_again_as_a_new_call() {
    let schema =
        json!({"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["bug", "billing"]}}});
    let programs = scripted(json!({"rules": [
        {"contains": "not valid", "answer": {"kind": "bug"}},
        {"answer": "```json\n{\"kind\": \"nonsense\"}\n```"},
    ]}));
    let vertex =
        vertex(json!({"model": "small", "template": "{{ input.text }}", "output": {"schema": schema}}));
    let digests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&digests);
    let (calls, told) = runner(move |ordinal, request| {
        seen.lock().unwrap().push(request.digest);
        perform_all(ordinal, request)
    });
    let outcome = programs.for_vertex(&vertex).unwrap().start(activation(&vertex, calls)).outcome().await;
    assert_eq!(output(outcome).unwrap(), json!({"kind": "bug"}));
    assert_eq!(told.await.unwrap().len(), 4);
    let digests = digests.lock().unwrap();
    assert_ne!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_model_that_never_answers_validly_fails_for_good() {
    let programs = scripted(json!({"otherwise": "no idea"}));
    let vertex =
        vertex(json!({"model": "small", "template": "x", "output": {"schema": {"type": "integer"}}}));
    let (calls, told) = runner(perform_all);
    let outcome = programs.for_vertex(&vertex).unwrap().start(activation(&vertex, calls)).outcome().await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("small") && failure.message.contains("no JSON"), "{failure}");
    assert_eq!(told.await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_transient_failure_is_for_the_engine_to_retry() {
    let programs = scripted(json!({"rules": [
        {"answer": "fine", "fail": {"times": 1, "message": "overloaded"}, "latency": DurationSpec::from(std::time::Duration::ZERO)},
    ]}));
    let vertex = vertex(json!({"model": "small", "template": "x"}));
    let program = programs.for_vertex(&vertex).unwrap();
    let (calls, _told) = runner(perform_all);
    let outcome = program.start(activation(&vertex, calls)).outcome().await;
    assert_eq!(outcome, Outcome::Failed(Failure::transient("overloaded")));
    let (calls, _told) = runner(perform_all);
    assert_eq!(
        output(program.start(activation(&vertex, calls)).outcome().await).unwrap(),
        json!({"text": "fine"})
    );
}

#[tokio::test]
async fn a_recorded_answer_is_read_again_without_a_call() {
    let programs = scripted(json!({}));
    let vertex = vertex(json!({"model": "small", "template": "x"}));
    let recorded = json!({"text": "from the log", "finish": "stop"}).into();
    let (calls, _told) = runner(move |_, _| {
        CallDecision::Reuse(CallOutcome { answer: Ok(Payload::clone(&recorded)), usage: Usage::default() })
    });
    let outcome = programs.for_vertex(&vertex).unwrap().start(activation(&vertex, calls)).outcome().await;
    assert_eq!(output(outcome).unwrap(), json!({"text": "from the log"}));
}

#[tokio::test]
async fn what_a_template_lacks_is_a_failure_without_a_call() {
    let programs = scripted(json!({"otherwise": "x"}));
    let vertex = vertex(json!({"model": "small", "template": "{{ input.txet }}"}));
    let (calls, told) = runner(perform_all);
    let outcome = programs.for_vertex(&vertex).unwrap().start(activation(&vertex, calls)).outcome().await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.message.contains("input.txet"), "{failure}");
    assert_eq!(told.await.unwrap(), []);
}

/// Tells how likely its tokens were, if it is to.
struct Telling(bool);

impl Model for Telling {
    fn prompt_tokens(&self, _: &ModelRequest) -> u64 {
        1
    }

    fn generate(
        &self,
        request: ModelRequest,
        _: Option<crate::program::OnText>,
    ) -> futures::future::BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let top = vec![LikelyToken { token: "2".to_owned(), logprob: -0.5 }];
        let told = TokenLogprob { token: "1".to_owned(), logprob: -1.5, top };
        let logprobs = (self.0 && request.sampling.logprobs.is_some()).then(|| vec![told]);
        async move { Ok(ModelAnswer { text: "1".to_owned(), logprobs, ..ModelAnswer::default() }) }.boxed()
    }
}

#[tokio::test]
async fn what_is_asked_for_goes_out_on_a_port_of_its_own() {
    let told = json!([{"token": "1", "logprob": -1.5, "top": [{"token": "2", "logprob": -0.5}]}]);
    for (tells, logprobs, schema, expected) in [
        (true, Some(1), None, Ok(vec![("out", json!({"text": "1"})), ("logprobs", told.clone())])),
        (true, Some(0), Some(json!({"type": "integer"})), Ok(vec![("out", json!(1)), ("logprobs", told)])),
        (true, None, None, Ok(vec![("out", json!({"text": "1"}))])),
        (false, Some(1), None, Err("model \"small\" does not tell")),
    ] {
        let mut prompt = json!({"model": "small", "template": "How many?", "sampling": {}});
        if let Some(count) = logprobs {
            prompt["sampling"] = json!({"logprobs": count});
        }
        if let Some(schema) = schema {
            prompt["output"] = json!({"schema": schema});
        }
        let vertex = vertex(prompt);
        let model: Arc<dyn Model> = Arc::new(Telling(tells));
        let (calls, _) = runner(perform_all);
        let program = Prompt::prepare(&vertex, vertex.prompt.as_ref().unwrap(), &model).unwrap();
        let outcome = program.start(activation(&vertex, calls)).outcome().await;
        match (outcome, expected) {
            (Outcome::Done(result), Ok(expected)) => {
                let sent: Vec<(&str, Value)> = result
                    .emissions
                    .iter()
                    .map(|one| (one.port.as_str(), one.payload.value().clone()))
                    .collect();
                assert_eq!(sent, expected);
            }
            (Outcome::Failed(failure), Err(expected)) => {
                assert!(failure.message.starts_with(expected), "{failure:?}");
            }
            (outcome, expected) => panic!("{outcome:?} in place of {expected:?}"),
        }
    }
}
