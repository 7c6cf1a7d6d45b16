//! What the log keeps of a model's answer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_engine::Payload;
use superstep_graph::VertexName;

use crate::logprobs::TokenLogprob;
use crate::model::{ChatMessage, Finish, ModelAnswer, Role, ToolCall};

/// A model's answer as the outcome of its call has it. It is all that a replay knows of the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedAnswer {
    /// The text.
    pub text: String,
    /// What the model thought aloud before it, which is no part of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why it ends.
    pub finish: Finish,
    /// The tools that the model wants called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What the provider wants back when the conversation goes on; see [`ModelAnswer::keepsake`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepsake: Option<Value>,
    /// The fallback that answered, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<VertexName>,
    /// How likely the tokens were that it wrote, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprob>>,
}

impl RecordedAnswer {
    /// Reads what the outcome of a call has. A bare text is taken as one: a person who tells what a call in
    /// doubt gave may tell its text alone.
    ///
    /// # Errors
    /// It is no answer of a model.
    pub fn read(outcome: &Payload) -> Result<Self, serde_json::Error> {
        match outcome.value() {
            Value::String(text) => Ok(Self { text: text.clone(), ..Self::default() }),
            value
            @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Self::deserialize(value)
            }
        }
    }

    /// The answer as a message of the conversation that goes on.
    pub(crate) fn message(&self) -> ChatMessage {
        ChatMessage {
            tool_calls: self.tool_calls.clone(),
            keepsake: self.keepsake.clone(),
            ..ChatMessage::new(Role::Assistant, self.text.clone())
        }
    }
}

impl From<ModelAnswer> for RecordedAnswer {
    fn from(answer: ModelAnswer) -> Self {
        let ModelAnswer { text, reasoning, finish, tool_calls, keepsake, stand_in, logprobs, .. } = answer;
        let reasoning = reasoning.filter(|reasoning| !reasoning.is_empty());
        let model = stand_in.map(|stand_in| stand_in.model);
        Self { text, reasoning, finish, tool_calls, keepsake, model, logprobs }
    }
}

impl From<RecordedAnswer> for Payload {
    fn from(answer: RecordedAnswer) -> Self {
        json!(answer).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_recorded_before_there_was_reasoning_are_read() {
        let before = json!({"text": "hi", "finish": "stop", "model": "tiny"});
        let read = RecordedAnswer::read(&before.clone().into()).unwrap();
        assert_eq!((read.text.as_str(), &read.reasoning, &read.keepsake), ("hi", &None, &None));
        assert_eq!(Payload::from(read).value(), &before);
        assert_eq!(RecordedAnswer::read(&json!("hi").into()).unwrap().text, "hi");
        assert!(RecordedAnswer::read(&json!({"result": 1}).into()).is_err());
    }
}
