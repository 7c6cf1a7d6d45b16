//! How answers are written.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use superstep_runtime::{Finish, ModelAnswer, ToolCall};

use crate::flight::Progress;
use crate::likelihood::likelihoods;
use crate::tool_use::{AnswerReader, written_arguments};

/// How the answers to one request are written.
pub(super) struct Form {
    id: String,
    /// Seconds since 1970.
    created: u64,
    model: String,
    reader: AnswerReader,
    /// Calls of tools in the conversation so far.
    calls_before: usize,
    includes_usage: bool,
}

/// What an answer comes to.
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) calls: Vec<ToolCall>,
    pub(super) finish: &'static str,
}

impl Form {
    pub(super) fn new(model: &str, reader: AnswerReader, calls_before: usize, includes_usage: bool) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let id = format!("chatcmpl-{:016x}", RandomState::new().hash_one(created));
        Self { id, created, model: model.to_owned(), reader, calls_before, includes_usage }
    }

    /// Whether text is held back until it is known whether it is a call.
    pub(super) fn holds_back(&self) -> bool {
        self.reader.is_prompted()
    }

    /// Whether a stream ends with the usage.
    pub(super) fn includes_usage(&self) -> bool {
        self.includes_usage
    }

    /// What an answer comes to.
    pub(super) fn reply(&self, answer: &ModelAnswer) -> Reply {
        let (text, calls) = self.reader.understand(answer, self.calls_before);
        let finish = match answer.finish {
            Finish::Stop if !calls.is_empty() => "tool_calls",
            Finish::Stop => "stop",
            Finish::Length => "length",
        };
        Reply { text, calls, finish }
    }

    /// The whole answer: all choices, which have ended well.
    pub(super) fn whole(&self, progress: &Progress) -> Value {
        let choices = answers(progress).enumerate().map(|(index, answer)| {
            let Reply { text, calls, finish } = self.reply(answer);
            let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
            let mut message = json!({"role": "assistant", "content": content, "refusal": null});
            extend(&mut message, beside(answer));
            if !calls.is_empty() {
                message["tool_calls"] = calls.iter().map(call).collect();
            }
            json!({"index": index, "message": message, "finish_reason": finish, "logprobs": logprobs(answer)})
        });
        let choices: Vec<Value> = choices.collect();
        let mut whole = self.envelope("chat.completion", choices.into());
        whole["usage"] = usage(progress);
        whole
    }

    /// One piece of a stream.
    pub(super) fn chunk(&self, choices: Value) -> Value {
        let mut chunk = self.envelope("chat.completion.chunk", choices);
        if self.includes_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    /// The last piece of a stream, with the usage.
    pub(super) fn usage_chunk(&self, progress: &Progress) -> Value {
        let mut chunk = self.envelope("chat.completion.chunk", json!([]));
        chunk["usage"] = usage(progress);
        chunk
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model,
            "choices": choices})
    }
}

/// The answers, as far as they are there.
fn answers(progress: &Progress) -> impl Iterator<Item = &ModelAnswer> {
    progress.choices.iter().filter_map(|choice| choice.ended.as_ref()?.as_ref().ok())
}

/// What a message has beside its text and calls.
pub(super) fn beside(answer: &ModelAnswer) -> Map<String, Value> {
    let mut members = Map::new();
    if let Some(reasoning) = &answer.reasoning {
        members.insert("reasoning_content".to_owned(), reasoning.as_str().into());
    }
    if let Some(keepsake) = &answer.keepsake {
        members.insert("keepsake".to_owned(), keepsake.clone());
    }
    members
}

fn extend(message: &mut Value, members: Map<String, Value>) {
    for (name, value) in members {
        message[name] = value;
    }
}

/// A call of a tool.
pub(super) fn call(call: &ToolCall) -> Value {
    let arguments = written_arguments(call);
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

/// How likely the tokens were, where the model told.
pub(super) fn logprobs(answer: &ModelAnswer) -> Value {
    likelihoods(answer).map_or(Value::Null, |tokens| json!({"content": tokens, "refusal": null}))
}

/// The tokens of all answers; those of the prompt count once.
fn usage(progress: &Progress) -> Value {
    let prompt = answers(progress).next().map_or(0, |answer| answer.usage.prompt_tokens);
    let cached = answers(progress).next().map_or(0, |answer| answer.parts.cached);
    let completion: u64 = answers(progress).map(|answer| answer.usage.completion_tokens).sum();
    let reasoning: u64 = answers(progress).map(|answer| answer.parts.reasoning).sum();
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning}})
}
