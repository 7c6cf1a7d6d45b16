//! A model that answers by rules: for tests, and for trying a graph without a model.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_engine::{Failure, FailureClass, Usage};
use superstep_graph::{DurationSpec, Prices, VertexName};

use crate::model::{Finish, Model, ModelAnswer, ModelRequest};
use crate::program::OnText;
use crate::schema::smallest;

/// The `engine.scripted` of a `ModelServer`. The first rule that matches a request answers it; else
/// `otherwise` does; else, where the request has an output schema, its smallest instance; else the
/// request fails. Four bytes count as one token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScriptedModel {
    /// The rules, tried in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<ScriptedRule>,
    /// The answer where no rule matches: a text, or any other value, which is written as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Value>,
    /// How long an answer takes where its rule does not say. Default: no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<DurationSpec>,
    /// What tokens cost. Default: nothing.
    pub prices: Prices,
}

/// One rule of a [`ScriptedModel`]. It matches where all its conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptedRule {
    /// A text that one of the messages contains. Default: any request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// The vertex that asks. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertex: Option<VertexName>,
    /// The answer: a text, or any other value, which is written as JSON.
    pub answer: Value,
    /// How long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<DurationSpec>,
    /// Failures before the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<ScriptedFailure>,
}

/// Failures that a rule gives before its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptedFailure {
    /// How many requests fail, counted in this process from the first that matches the rule.
    pub times: u32,
    /// What is reported.
    pub message: String,
    /// Whether it would fail again and is not to be retried. Default: it may pass.
    #[serde(default)]
    pub permanent: bool,
}

/// A [`ScriptedModel`] that answers.
#[derive(Debug)]
pub struct Scripted {
    script: ScriptedModel,
    /// How often each rule has failed.
    failed: Vec<AtomicU32>,
}

impl Scripted {
    /// A model that answers by `script`.
    pub fn new(script: ScriptedModel) -> Self {
        let failed = script.rules.iter().map(|_| AtomicU32::new(0)).collect();
        Self { script, failed }
    }

    /// The answer to `request`, and how long it takes.
    fn answer(&self, request: &ModelRequest) -> (Result<String, Failure>, Option<DurationSpec>) {
        let Some(index) = self.script.rules.iter().position(|rule| rule.matches(request)) else {
            return (self.unscripted(request), self.script.latency);
        };
        let rule = &self.script.rules[index];
        let latency = rule.latency.or(self.script.latency);
        if let Some(fail) = &rule.fail {
            let count = |failed: u32| (failed < fail.times).then_some(failed + 1);
            if self.failed[index].fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok() {
                let class = if fail.permanent { FailureClass::Permanent } else { FailureClass::Transient };
                return (Err(Failure::new(class, fail.message.clone())), latency);
            }
        }
        (Ok(text_of(&rule.answer)), latency)
    }

    fn unscripted(&self, request: &ModelRequest) -> Result<String, Failure> {
        if let Some(answer) = &self.script.otherwise {
            return Ok(text_of(answer));
        }
        let Some(schema) = &request.schema else {
            let message = format!("the scripted model has no answer for vertex {:?}", request.vertex);
            return Err(Failure::permanent(message));
        };
        smallest(schema).map(|instance| instance.to_string()).ok_or_else(|| {
            let message =
                format!("the scripted model finds no instance of the schema of vertex {:?}", request.vertex);
            Failure::permanent(message)
        })
    }
}

impl ScriptedRule {
    fn matches(&self, request: &ModelRequest) -> bool {
        let contains = |text: &String| request.messages.iter().any(|message| message.content.contains(text));
        self.contains.as_ref().is_none_or(contains)
            && self.vertex.as_ref().is_none_or(|name| *name == request.vertex)
    }
}

impl Model for Scripted {
    fn prompt_tokens(&self, request: &ModelRequest) -> u64 {
        request.messages.iter().map(|message| tokens(&message.content)).sum()
    }

    fn prices(&self) -> Prices {
        self.script.prices
    }

    fn generate(
        &self,
        request: ModelRequest,
        on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let (answer, latency) = self.answer(&request);
        let prompt_tokens = self.prompt_tokens(&request);
        async move {
            let latency = latency.map(DurationSpec::duration).unwrap_or_default();
            if latency > Duration::ZERO {
                tokio::time::sleep(latency).await;
            }
            let answer = answer?;
            let text = cut(&answer, request.max_tokens());
            if let Some(on_text) = on_text {
                text.split_inclusive(' ').for_each(|piece| on_text(piece));
            }
            Ok(ModelAnswer {
                finish: if text.len() < answer.len() { Finish::Length } else { Finish::Stop },
                usage: Usage { prompt_tokens, completion_tokens: tokens(text), ..Usage::default() },
                text: text.to_owned(),
                ..ModelAnswer::default()
            })
        }
        .boxed()
    }
}

fn text_of(answer: &Value) -> String {
    answer.as_str().map_or_else(|| answer.to_string(), str::to_owned)
}

fn tokens(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

/// As much of `text` as `max_tokens` tokens hold.
fn cut(text: &str, max_tokens: u32) -> &str {
    let most = usize::try_from(max_tokens).unwrap_or(usize::MAX).saturating_mul(4);
    &text[..text.floor_char_boundary(most.min(text.len()))]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use superstep_graph::Sampling;

    use super::*;
    use crate::model::{ChatMessage, Role};

    fn request(vertex: &str, text: &str, schema: Option<Value>) -> ModelRequest {
        ModelRequest {
            vertex: vertex.into(),
            messages: vec![ChatMessage::new(Role::User, text)],
            tools: Arc::default(),
            sampling: Sampling::default(),
            seed: 0,
            schema: schema.map(Arc::new),
            idempotency_key: String::new(),
        }
    }

    async fn answer(script: Value, request: ModelRequest) -> Result<String, Failure> {
        let model = Scripted::new(serde_json::from_value(script).unwrap());
        model.generate(request, None).await.map(|answer| answer.text)
    }

    #[tokio::test]
    async fn the_first_rule_that_matches_answers() {
        let script = json!({
            "rules": [
                {"contains": "crash", "vertex": "sort", "answer": {"kind": "bug"}},
                {"contains": "crash", "answer": "sorry"},
                {"vertex": "sort", "answer": "sorted"},
            ],
            "otherwise": "what?",
        });
        for (vertex, text, expected) in [
            ("sort", "a crash", "{\"kind\":\"bug\"}"),
            ("reply", "a crash", "sorry"),
            ("sort", "fine", "sorted"),
            ("reply", "fine", "what?"),
        ] {
            assert_eq!(answer(script.clone(), request(vertex, text, None)).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn without_a_rule_the_smallest_instance_of_the_schema_answers() {
        let schema =
            json!({"type": "object", "required": ["grade"], "properties": {"grade": {"minimum": 1}}});
        assert_eq!(answer(json!({}), request("judge", "x", Some(schema))).await.unwrap(), "{\"grade\":1}");
        assert_eq!(
            answer(json!({}), request("judge", "x", None)).await.unwrap_err().class,
            FailureClass::Permanent
        );
    }

    #[tokio::test]
    async fn failures_come_before_the_answer_and_end() {
        let script = json!({"rules": [{"answer": "ok", "fail": {"times": 2, "message": "busy"}}]});
        let model = Scripted::new(serde_json::from_value(script).unwrap());
        for fails in [true, true, false, false] {
            assert_eq!(model.generate(request("a", "x", None), None).await.is_err(), fails);
        }
    }

    #[tokio::test]
    async fn an_answer_ends_at_the_most_tokens_allowed() {
        let model = Scripted::new(serde_json::from_value(json!({"otherwise": "ééééé"})).unwrap());
        let mut request = request("a", "x", None);
        request.sampling.max_tokens = Some(1);
        let reserve = model.reserve(&request);
        let answer = model.generate(request, None).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.finish), ("éé", Finish::Length));
        assert!(answer.usage.completion_tokens <= reserve.completion_tokens);
    }

    #[test]
    fn unknown_fields_are_refused() {
        for script in [json!({"rule": []}), json!({"rules": [{"answer": 1, "contain": "x"}]})] {
            assert!(serde_json::from_value::<ScriptedModel>(script).is_err());
        }
    }
}
