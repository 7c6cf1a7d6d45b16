//! What a model has said, as the items of an output.

use serde_json::{Value, json};
use superstep_runtime::{Finish, ModelAnswer, ToolCall};

use crate::likelihood::likelihoods;
use crate::tool_use::{AnswerReader, written_arguments};

/// One item of an output.
pub(super) enum Item {
    /// What the model thought aloud, and what its provider wants back of it.
    Reasoning {
        /// The thought.
        text: Option<String>,
        /// What is to come back with the conversation, as a text.
        kept: Option<String>,
    },
    /// What it says.
    Message {
        /// The text.
        text: String,
        /// How likely its tokens were.
        likelihoods: Vec<Value>,
        /// Whether it is cut off.
        is_cut: bool,
    },
    /// A tool that it wants called.
    Call(ToolCall),
}

impl Item {
    /// The items of an answer, of whose conversation there were `before` calls. What was thought stands in front,
    /// unless the text is told already.
    pub(super) fn all(
        answer: &ModelAnswer,
        reader: AnswerReader,
        before: usize,
        is_text_told: bool,
    ) -> Vec<Self> {
        let (text, calls) = reader.understand(answer, before);
        let kept = answer.keepsake.as_ref().map(Value::to_string);
        let has_reasoning = answer.reasoning.is_some() || kept.is_some();
        let reasoning = has_reasoning.then(|| Self::Reasoning { text: answer.reasoning.clone(), kept });
        let has_message = is_text_told || !text.is_empty() || calls.is_empty();
        let message = has_message.then(|| Self::Message {
            text,
            likelihoods: likelihoods(answer).unwrap_or_default(),
            is_cut: answer.finish == Finish::Length,
        });
        let said = if is_text_told { [message, reasoning] } else { [reasoning, message] };
        said.into_iter().flatten().chain(calls.into_iter().map(Self::Call)).collect()
    }

    /// What it is known by: `number` is its place in the output of the response known by `response`.
    pub(super) fn id(&self, response: &str, number: usize) -> String {
        let kind = match self {
            Self::Reasoning { .. } => "rs",
            Self::Message { .. } => MESSAGE,
            Self::Call(_) => "fc",
        };
        item_id(kind, response, number)
    }

    /// It, once it is whole.
    pub(super) fn whole(&self, id: &str) -> Value {
        let status = self.status();
        match self {
            Self::Reasoning { text, kept } => {
                let content: Vec<Value> = text.iter().map(|text| reasoning_part(text)).collect();
                let mut item = json!({"id": id, "type": "reasoning", "status": status, "summary": [],
                    "content": content});
                if let Some(kept) = kept {
                    item["encrypted_content"] = kept.as_str().into();
                }
                item
            }
            Self::Message { text, likelihoods, .. } => message(id, status, &[text_part(text, likelihoods)]),
            Self::Call(call) => function_call(id, status, call, &written_arguments(call)),
        }
    }

    /// It, before anything of it has come.
    pub(super) fn empty(&self, id: &str) -> Value {
        match self {
            Self::Reasoning { .. } => {
                json!({"id": id, "type": "reasoning", "status": IN_PROGRESS, "summary": [], "content": []})
            }
            Self::Message { .. } => message(id, IN_PROGRESS, &[]),
            Self::Call(call) => function_call(id, IN_PROGRESS, call, ""),
        }
    }

    fn status(&self) -> &'static str {
        match self {
            Self::Message { is_cut: true, .. } => "incomplete",
            Self::Message { .. } | Self::Reasoning { .. } | Self::Call(_) => "completed",
        }
    }
}

/// What the ids of messages begin with.
pub(super) const MESSAGE: &str = "msg";
/// Of what is not whole yet.
pub(super) const IN_PROGRESS: &str = "in_progress";

/// What an item of this kind is known by.
pub(super) fn item_id(kind: &str, response: &str, number: usize) -> String {
    format!("{kind}_{response}_{number}")
}

/// A message of the model.
pub(super) fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

/// A text of a message.
pub(super) fn text_part(text: &str, likelihoods: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": likelihoods})
}

/// A text of a thought.
pub(super) fn reasoning_part(text: &str) -> Value {
    json!({"type": "reasoning_text", "text": text})
}

fn function_call(id: &str, status: &str, call: &ToolCall, arguments: &str) -> Value {
    json!({"id": id, "type": "function_call", "status": status, "call_id": call.id, "name": call.name,
        "arguments": arguments})
}
