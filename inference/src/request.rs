//! What a caller asks for and what it gets back.

use serde::{Deserialize, Serialize};

use crate::error::GenerateError;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Standing instructions.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The name that chat templates know the role by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// A turn of the given role.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// How the next token is chosen.
///
/// The order is: presence, frequency and repetition penalty, temperature, `top_k`, `top_p`, `min_p`, draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits; 0 always takes the likeliest token. At least 0.
    pub temperature: f32,
    /// Keeps the likeliest tokens whose probabilities add up to this. In (0, 1]; 1 keeps all.
    pub top_p: f32,
    /// Keeps this many of the likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps tokens of at least this share of the likeliest token's probability. In [0, 1].
    pub min_p: f32,
    /// Is taken once from the logit of every token that was generated before.
    pub presence_penalty: f32,
    /// Is taken from the logit of a token as often as it was generated before.
    pub frequency_penalty: f32,
    /// Divides positive and multiplies negative logits of tokens in the prompt or the output. Above 0; 1 is off.
    pub repetition_penalty: f32,
    /// Makes the draws. The same seed gives the same output for the same model, prompt and machine.
    pub seed: u64,
    /// The output ends before the first of these.
    pub stop: Vec<String>,
    /// The output ends after this many tokens. At least 1.
    pub max_tokens: usize,
    /// Reports the log-probability of each token and of this many likeliest ones.
    pub logprobs: Option<u8>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
            stop: Vec::new(),
            max_tokens: 256,
            logprobs: None,
        }
    }
}

impl Sampling {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`GenerateError::Sampling`] names the first parameter that is out of range.
    pub fn validate(&self) -> Result<(), GenerateError> {
        let finite = |value: f32| value.is_finite();
        let checks: [(&'static str, f32, bool, &'static str); 6] = [
            (
                "temperature",
                self.temperature,
                finite(self.temperature) && self.temperature >= 0.0,
                "at least 0",
            ),
            ("topP", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "above 0 and at most 1"),
            ("minP", self.min_p, (0.0..=1.0).contains(&self.min_p), "between 0 and 1"),
            ("presencePenalty", self.presence_penalty, finite(self.presence_penalty), "a finite number"),
            ("frequencyPenalty", self.frequency_penalty, finite(self.frequency_penalty), "a finite number"),
            (
                "repetitionPenalty",
                self.repetition_penalty,
                finite(self.repetition_penalty) && self.repetition_penalty > 0.0,
                "above 0",
            ),
        ];
        for (parameter, value, holds, range) in checks {
            if !holds {
                return Err(GenerateError::Sampling { parameter, value: f64::from(value), range });
            }
        }
        if self.max_tokens == 0 {
            return Err(GenerateError::Sampling { parameter: "maxTokens", value: 0.0, range: "at least 1" });
        }
        Ok(())
    }
}

/// One generation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The chat so far.
    pub messages: Vec<ChatMessage>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The output is an instance of this JSON schema, written without white space.
    pub schema: Option<serde_json::Value>,
    /// The LoRA adapter that the model is run with.
    pub adapter: Option<String>,
}

/// What a [`Stream`](crate::Stream) yields: tokens, then one end.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A token was generated.
    Token {
        /// The text that it released. Empty while a character or a possible stop string is incomplete, and while the
        /// model thinks.
        text: String,
        /// Present if the request asked for it.
        logprob: Option<TokenLogprob>,
    },
    /// The output is complete. Nothing follows.
    Done(Completion),
    /// There is no output. Nothing follows.
    Failed(GenerateError),
}

/// The log-probability of a token under the model, before penalties, temperature and constraints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The text of the token; bytes that are not UTF-8 are replaced.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// The likeliest tokens at this place, best first.
    pub top: Vec<(String, f32)>,
}

/// Why the output ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended its turn, a stop string was reached, or the schema was fulfilled.
    Stop,
    /// The token limit or the end of the context was reached. Output under a schema was closed early and is valid.
    Length,
}

/// Tokens read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens of the rendered prompt.
    pub prompt_tokens: usize,
    /// Tokens generated, the end of the turn included.
    pub completion_tokens: usize,
    /// Those of them that were thoughts.
    pub reasoning_tokens: usize,
}

/// A finished output.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The whole text of the answer.
    pub text: String,
    /// What the model thought aloud before it.
    pub reasoning: Option<String>,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens read and written.
    pub usage: Usage,
    /// One entry per generated token of the answer if the request asked for it, else empty.
    pub logprobs: Vec<TokenLogprob>,
}
