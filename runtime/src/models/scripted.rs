//! A model that answers by rules: for tests, and for trying a graph without a model.

mod words;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_engine::{Failure, FailureClass, Usage};
use superstep_graph::{DurationSpec, FieldPath, Prices, Problem, VertexName};

use crate::call_subject::ModelIdentity;
use crate::model::{Finish, Model, ModelAnswer, ModelRequest, Role, ToolCall};
use crate::program::OnText;
use crate::schema::smallest;

/// The `engine.scripted` of a `ModelServer`. The first rule that matches a request answers it; else
/// `otherwise` does; else, where the request has an output schema, its smallest instance; else the
/// request fails. Four bytes count as one token. A script with a rule that calls tools is a model with tool
/// calling of its own. Without rules it embeds texts, of which those that share words are near to each other, and
/// tells how well documents answer a question by the words that they share with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScriptedModel {
    /// The rules, tried in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<ScriptedRule>,
    /// The answer where no rule matches: a text, or any other value, which is written as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Value>,
    /// How long an answer takes before its first token, where its rule does not say. Default: no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<DurationSpec>,
    /// How long each token of a text takes, which is told while it is written. Default: no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_latency: Option<DurationSpec>,
    /// What tokens cost. Default: nothing.
    pub prices: Prices,
}

/// One rule of a [`ScriptedModel`]. It matches where all its conditions hold, and has an answer, calls of
/// tools, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptedRule {
    /// A text that one of the messages contains. Default: any request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A text that the last message contains. Default: any request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The vertex that asks. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertex: Option<VertexName>,
    /// The number of the request in its conversation, from 1. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u64>,
    /// The tool whose answer came last. Default: any request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The answer: a text, or any other value, which is written as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// The tools that it wants called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ScriptedCall>,
    /// How long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<DurationSpec>,
    /// Failures before the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<ScriptedFailure>,
}

/// A call of a tool that a rule wants made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptedCall {
    /// The tool.
    pub name: String,
    /// Its arguments. Default: none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub arguments: Value,
}

impl ScriptedModel {
    /// What is wrong with it, with paths from the script.
    pub fn problems(&self) -> Vec<Problem> {
        let problem = |(index, rule): (usize, &ScriptedRule)| {
            let says_nothing = rule.answer.is_none() && rule.calls.is_empty();
            says_nothing.then(|| {
                let place = FieldPath::default().field("rules").index(index);
                Problem::error(place, "the rule says nothing").hint("give it an answer, or calls")
            })
        };
        self.rules.iter().enumerate().filter_map(problem).collect()
    }
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

    /// The answer to `request`, and how long it takes before its first token.
    fn answer(&self, request: &ModelRequest) -> (Result<Written, Failure>, Option<DurationSpec>) {
        let Some(index) = self.script.rules.iter().position(|rule| rule.matches(request)) else {
            return (self.unscripted(request).map(Written::text), self.script.latency);
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
        (Ok(rule.written(request)), latency)
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

/// What a script answers.
struct Written {
    text: String,
    tool_calls: Vec<ToolCall>,
}

impl Written {
    fn text(text: String) -> Self {
        Self { text, tool_calls: Vec::new() }
    }
}

impl ScriptedRule {
    fn matches(&self, request: &ModelRequest) -> bool {
        let contains = |text: &String| request.messages.iter().any(|message| message.content.contains(text));
        let last = request.messages.last();
        let last_contains = |text: &String| last.is_some_and(|last| last.content.contains(text));
        self.contains.as_ref().is_none_or(contains)
            && self.last.as_ref().is_none_or(last_contains)
            && self.vertex.as_ref().is_none_or(|name| *name == request.vertex)
            && self.turn.is_none_or(|turn| turn == turn_of(request))
            && self.tool.as_ref().is_none_or(|tool| answered_last(request).is_some_and(|name| name == tool))
    }

    fn written(&self, request: &ModelRequest) -> Written {
        let turn = turn_of(request);
        let call = |(position, call): (usize, &ScriptedCall)| ToolCall {
            id: format!("call_{turn}_{position}"),
            name: call.name.clone(),
            arguments: if call.arguments.is_null() { json!({}) } else { call.arguments.clone() },
        };
        Written {
            text: self.answer.as_ref().map(text_of).unwrap_or_default(),
            tool_calls: self.calls.iter().enumerate().map(call).collect(),
        }
    }
}

/// The number of a request in its conversation, from 1.
fn turn_of(request: &ModelRequest) -> u64 {
    1 + request.messages.iter().filter(|message| message.role == Role::Assistant).count() as u64
}

/// The tool whose answer came last.
fn answered_last(request: &ModelRequest) -> Option<&str> {
    let answered = request.messages.last()?.answers.as_ref()?;
    let calls = request.messages.iter().flat_map(|message| &message.tool_calls);
    calls.filter(|call| call.id == *answered).map(|call| call.name.as_str()).next()
}

impl Model for Scripted {
    fn prompt_tokens(&self, request: &ModelRequest) -> u64 {
        let said = request.messages.iter().map(|message| {
            tokens(&message.content) + message.tool_calls.iter().map(tokens_of_call).sum::<u64>()
        });
        let tools = request.tools.iter().map(|tool| tool.bytes().div_ceil(4));
        said.chain(tools).sum()
    }

    fn calls_tools(&self) -> bool {
        self.script.rules.iter().any(|rule| !rule.calls.is_empty())
    }

    fn identity(&self) -> Option<ModelIdentity> {
        Some(ModelIdentity { provider: "scripted".into(), model: "scripted".to_owned(), server: None })
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
        let token_latency = self.script.token_latency;
        async move {
            pause(latency).await;
            let Written { text: whole, tool_calls } = answer?;
            let text = cut(&whole, request.max_tokens());
            write(text, token_latency, on_text).await;
            let calls: u64 = tool_calls.iter().map(tokens_of_call).sum();
            let completion_tokens = (tokens(text) + calls).min(u64::from(request.max_tokens()));
            Ok(ModelAnswer {
                finish: if text.len() < whole.len() { Finish::Length } else { Finish::Stop },
                usage: Usage { prompt_tokens, completion_tokens, ..Usage::default() },
                text: text.to_owned(),
                tool_calls,
                ..ModelAnswer::default()
            })
        }
        .boxed()
    }
}

/// Tells a text word by word, in the time that its tokens take.
async fn write(text: &str, token_latency: Option<DurationSpec>, on_text: Option<OnText>) {
    for piece in text.split_inclusive(' ') {
        let time = token_latency.map(|latency| {
            let count = u32::try_from(tokens(piece)).unwrap_or(u32::MAX);
            DurationSpec::from(latency.duration().saturating_mul(count))
        });
        pause(time).await;
        if let Some(on_text) = &on_text {
            on_text(piece);
        }
    }
}

async fn pause(time: Option<DurationSpec>) {
    let time = time.map(DurationSpec::duration).unwrap_or_default();
    if time > Duration::ZERO {
        tokio::time::sleep(time).await;
    }
}

fn text_of(answer: &Value) -> String {
    answer.as_str().map_or_else(|| answer.to_string(), str::to_owned)
}

fn tokens(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

fn tokens_of_call(call: &ToolCall) -> u64 {
    tokens(&call.name) + tokens(&call.arguments.to_string())
}

/// As much of `text` as `max_tokens` tokens hold.
fn cut(text: &str, max_tokens: u32) -> &str {
    let most = usize::try_from(max_tokens).unwrap_or(usize::MAX).saturating_mul(4);
    &text[..text.floor_char_boundary(most.min(text.len()))]
}

#[cfg(test)]
mod tests;
