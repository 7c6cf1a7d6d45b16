//! An answer while it comes in.

use serde_json::{Map, Value};
use superstep_engine::Usage;
use superstep_runtime::{Finish, ModelAnswer, ModelRequest, OnText, TokenLogprob, ToolCall, UsageParts};

use crate::fault::{Fault, FaultKind};

/// What a call's id begins with where the provider gives none.
const MADE_UP: &str = "call-";

/// An answer while it comes in, piece by piece or at once.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<CallDraft>,
    /// Why it ends; while it is none, the answer is not complete.
    pub(crate) finish: Option<Finish>,
    pub(crate) usage: Tokens,
    /// How likely tokens were, where that was asked for.
    pub(crate) logprobs: Option<Vec<TokenLogprob>>,
    /// What the provider wants back; see [`ModelAnswer::keepsake`].
    pub(crate) keepsake: Option<Value>,
    /// Content blocks of Anthropic that are wanted back, by their index.
    pub(crate) blocks: Vec<(u64, Value)>,
    on_text: Option<OnText>,
}

/// A call of a tool while it comes in.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CallDraft {
    /// What its later pieces are known by.
    pub(crate) index: u64,
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    /// JSON, as text.
    pub(crate) arguments: String,
}

/// Tokens, as far as they are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) prompt: Option<u64>,
    pub(crate) completion: Option<u64>,
    pub(crate) parts: UsageParts,
}

impl Draft {
    pub(crate) fn new(on_text: Option<OnText>) -> Self {
        Self { on_text, ..Self::default() }
    }

    /// Adds to the text, and tells who listens.
    pub(crate) fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        if let Some(on_text) = &self.on_text {
            on_text(text);
        }
    }

    /// Adds to the reasoning.
    pub(crate) fn think(&mut self, text: &str) {
        self.reasoning.push_str(text);
    }

    /// The call known by `index`, begun if there is none.
    pub(crate) fn call(&mut self, index: u64) -> &mut CallDraft {
        let position = self.calls.iter().position(|call| call.index == index).unwrap_or_else(|| {
            self.calls.push(CallDraft { index, ..CallDraft::default() });
            self.calls.len() - 1
        });
        &mut self.calls[position]
    }

    /// A call that comes as a whole, after those before.
    pub(crate) fn add_call(&mut self, id: Option<String>, name: String, arguments: &Value) {
        let index = self.calls.len() as u64;
        let arguments = arguments.to_string();
        self.calls.push(CallDraft { index, id, name, arguments });
    }

    /// The answer to `request`.
    ///
    /// # Errors
    /// It is not complete.
    pub(crate) fn answer(self, request: &ModelRequest) -> Result<ModelAnswer, Fault> {
        let Some(finish) = self.finish else {
            let detail = format!("after {} bytes of text", self.text.len());
            return Err(Fault::new(FaultKind::Broken, detail));
        };
        let calls_before: usize = request.messages.iter().map(|message| message.tool_calls.len()).sum();
        let written = self.text.len()
            + self.reasoning.len()
            + self.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>();
        let read: usize = request.messages.iter().map(|message| message.content.len()).sum();
        let tool_calls = self.calls.into_iter().enumerate();
        Ok(ModelAnswer {
            tool_calls: tool_calls.map(|(position, call)| call.finish(calls_before + position)).collect(),
            reasoning: (!self.reasoning.is_empty()).then_some(self.reasoning),
            text: self.text,
            finish,
            usage: Usage {
                prompt_tokens: self.usage.prompt.unwrap_or_else(|| estimate(read)),
                completion_tokens: self.usage.completion.unwrap_or_else(|| estimate(written)),
                ..Usage::default()
            },
            parts: self.usage.parts,
            keepsake: self.keepsake,
            stand_in: None,
            logprobs: self.logprobs,
        })
    }
}

/// The tokens of so many bytes, where nobody counts them.
pub(crate) fn estimate(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

impl CallDraft {
    /// The call, which is number `number` of its conversation.
    fn finish(self, number: usize) -> ToolCall {
        let arguments = if self.arguments.trim().is_empty() {
            Value::Object(Map::new())
        } else {
            serde_json::from_str(&self.arguments).unwrap_or(Value::String(self.arguments))
        };
        let id = self.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{MADE_UP}{number}"));
        ToolCall { id, name: self.name, arguments }
    }
}

/// Whether an id was given by the provider.
pub(crate) fn is_given(id: &str) -> bool {
    !id.starts_with(MADE_UP)
}
