//! Language models, as prompts see them.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_engine::{Failure, Usage};
use superstep_graph::{Prices, Sampling, VertexName, canonical_json};

use crate::call_subject::ModelIdentity;
use crate::logprobs::TokenLogprob;
use crate::model_work::ModelWork;
use crate::program::OnText;
use crate::shared_text::SharedText;
use crate::tool::ToolSignature;

/// What a model may write when a prompt does not say.
pub const DEFAULT_MAX_TOKENS: u32 = 256;

/// A language model. It is shared by all vertices that name it and serves requests at the same time.
pub trait Model: Send + Sync {
    /// An upper bound of the tokens that the messages of `request` take. Default: their bytes, for a
    /// token has at least one.
    fn prompt_tokens(&self, request: &ModelRequest) -> u64 {
        let messages = request.messages.iter().map(ChatMessage::bytes);
        let tools = request.tools.iter().map(ToolSignature::bytes);
        messages.chain(tools).sum()
    }

    /// Whether it takes the tools of a request and answers with calls of them. A model that does not
    /// is told of tools in its instructions. Default: it does not.
    fn calls_tools(&self) -> bool {
        false
    }

    /// Who serves it, for those who watch a run. Default: not known.
    fn identity(&self) -> Option<ModelIdentity> {
        None
    }

    /// What tokens cost. Default: nothing.
    fn prices(&self) -> Prices {
        Prices::default()
    }

    /// The same model with one of its adapters, which change how it writes; nothing if there is none of that name.
    /// Default: it has none.
    fn adapted(&self, _adapter: &str) -> Option<Arc<dyn Model>> {
        None
    }

    /// The names of its adapters, in order. Default: none.
    fn adapters(&self) -> Vec<String> {
        Vec::new()
    }

    /// The names of the adapters that requests have at this time, in order. Default: none.
    fn adapters_in_use(&self) -> Vec<String> {
        Vec::new()
    }

    /// What it has done, if it counts that. Default: it does not.
    fn work(&self) -> Option<ModelWork> {
        None
    }

    /// Writes the answer to `request`. `on_text`, if given, is told the text piece by piece while it
    /// is written; it must not be relied on for the answer. Dropping the future ends the writing.
    ///
    /// The usage of the answer has tokens; calls and cost are filled in by the caller.
    fn generate(
        &self,
        request: ModelRequest,
        on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>>;

    /// The most that `request` can use, reserved before it is sent.
    fn reserve(&self, request: &ModelRequest) -> Usage {
        let usage = Usage {
            calls: 1,
            prompt_tokens: self.prompt_tokens(request),
            completion_tokens: u64::from(request.max_tokens()),
            cost: 0.0,
        };
        Usage { cost: cost(&self.prices(), &usage), ..usage }
    }
}

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRequest {
    /// The vertex that asks.
    pub vertex: VertexName,
    /// The conversation; whoever leads it goes on from it without a copy, once nobody else holds it.
    pub messages: Arc<Vec<ChatMessage>>,
    /// The tools that the model may call.
    pub tools: Arc<[ToolSignature]>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Seed of the draws, where `sampling` has none.
    pub seed: u64,
    /// The JSON schema that the answer must satisfy.
    pub schema: Option<Arc<Value>>,
    /// Equal whenever the same call is sent again.
    pub idempotency_key: String,
}

impl ModelRequest {
    /// The most tokens to write.
    pub fn max_tokens(&self) -> u32 {
        self.sampling.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS)
    }

    /// The seed of the draws.
    pub fn seed(&self) -> u64 {
        self.sampling.seed.unwrap_or(self.seed)
    }

    /// Hash of all that decides the answer, asked of the model named `model`; the idempotency key
    /// does not.
    pub fn digest(&self, model: &VertexName) -> [u8; 16] {
        self.digest_after(&mut ConversationDigest::default(), model)
    }

    /// The same, of a conversation of which `hashed` has some of the first messages; it has all of them
    /// then.
    pub(crate) fn digest_after(&self, hashed: &mut ConversationDigest, model: &VertexName) -> [u8; 16] {
        hashed.follow(&self.messages);
        hashed.with(&json!({
            "model": model,
            "tools": self.tools,
            "sampling": self.sampling,
            "seed": self.seed(),
            "schema": self.schema,
        }))
    }
}

/// The hash of a conversation that grows: each message is hashed once, however often it is sent.
#[derive(Clone)]
pub(crate) struct ConversationDigest {
    hasher: blake3::Hasher,
    count: usize,
}

impl Default for ConversationDigest {
    fn default() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"{\"messages\":[");
        Self { hasher, count: 0 }
    }
}

impl ConversationDigest {
    /// Hashes the messages that it does not have yet.
    pub(crate) fn follow(&mut self, messages: &[ChatMessage]) {
        for message in messages.iter().skip(self.count) {
            if self.count > 0 {
                self.hasher.update(b",");
            }
            self.hasher.update(canonical_json(&json!(message)).as_bytes());
            self.count += 1;
        }
    }

    /// The digest of the object that has the messages and the members of `rest`, whose names all come
    /// after `messages`.
    fn with(&self, rest: &Value) -> [u8; 16] {
        let mut hasher = self.hasher.clone();
        hasher.update(b"],");
        hasher.update(&canonical_json(rest).as_bytes()[1..]);
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        short
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatMessage {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: SharedText,
    /// Of the model: the tools that it wants called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool: the call that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// Of the model: what its provider wants back with this message, in a form that only that provider
    /// reads; see [`ModelAnswer::keepsake`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepsake: Option<Value>,
}

impl ChatMessage {
    /// What `role` says.
    pub fn new(role: Role, content: impl Into<SharedText>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), answers: None, keepsake: None }
    }

    fn bytes(&self) -> u64 {
        let calls = self.tool_calls.iter().map(|call| call.name.len() + call.arguments.to_string().len());
        let keepsake = self.keepsake.as_ref().map_or(0, |keepsake| keepsake.to_string().len());
        (self.content.len() + calls.sum::<usize>() + keepsake) as u64
    }
}

/// Who says something in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Instructions.
    System,
    /// The asking side.
    User,
    /// The model.
    Assistant,
    /// A tool.
    Tool,
}

/// A call of a tool that a model wants made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolCall {
    /// Unique in the conversation; the model's own, else made up.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments: an object, as far as the model keeps to the schema. A text that is no JSON stays a
    /// string.
    pub arguments: Value,
}

/// What a model has written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelAnswer {
    /// The text.
    pub text: String,
    /// What the model thought aloud before it, which is no part of the answer.
    pub reasoning: Option<String>,
    /// The tools that it wants called before it goes on.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ends.
    pub finish: Finish,
    /// The tokens read and written; those of reasoning are written too.
    pub usage: Usage,
    /// Parts of the usage that some providers tell.
    pub parts: UsageParts,
    /// What the provider wants back with this answer when the conversation goes on, as signatures of
    /// its reasoning: it belongs into the [`ChatMessage::keepsake`] of the answer.
    pub keepsake: Option<Value>,
    /// Who answered, where that is not the model that was asked.
    pub stand_in: Option<StandIn>,
    /// How likely each token was that the model wrote, if `sampling.logprobs` asked for it and the model tells.
    pub logprobs: Option<Vec<TokenLogprob>>,
}

impl ModelAnswer {
    /// The answer as a message of the conversation that goes on.
    pub fn message(&self) -> ChatMessage {
        ChatMessage {
            tool_calls: self.tool_calls.clone(),
            keepsake: self.keepsake.clone(),
            ..ChatMessage::new(Role::Assistant, self.text.clone())
        }
    }

    /// What the call of a model with these prices has used, of which this is the answer: the prices are
    /// those of the stand-in, if one answered.
    pub fn call_usage(&self, prices: &Prices) -> Usage {
        let prices = self.stand_in.as_ref().map_or(prices, |stand_in| &stand_in.prices);
        Usage { calls: 1, cost: cost(prices, &self.usage), ..self.usage }
    }
}

/// Parts of the tokens that are counted as read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageParts {
    /// Tokens read that the provider had kept from an earlier request.
    pub cached: u64,
    /// Tokens written that are reasoning.
    pub reasoning: u64,
}

/// A model that answered in place of the one that was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct StandIn {
    /// Its name in the graph.
    pub model: VertexName,
    /// What its tokens cost.
    pub prices: Prices,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Finish {
    /// It is complete; or the model waits for tools.
    #[default]
    Stop,
    /// The most tokens allowed were written.
    Length,
}

/// What the tokens of `usage` cost.
#[expect(clippy::cast_precision_loss, reason = "no run uses 2^53 tokens")]
pub fn cost(prices: &Prices, usage: &Usage) -> f64 {
    let prompt = usage.prompt_tokens as f64 * prices.prompt_per_million;
    (prompt + usage.completion_tokens as f64 * prices.completion_per_million) / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::digest;

    #[test]
    fn a_digest_is_that_of_the_whole_request_however_it_came_about() {
        let says = |text: &str| ChatMessage::new(Role::User, text);
        let mut request = ModelRequest {
            vertex: "a".into(),
            messages: Arc::default(),
            tools: Arc::from([ToolSignature {
                name: "t".to_owned(),
                description: String::new(),
                parameters: Arc::new(json!({"type": "object"})),
            }]),
            sampling: Sampling::default(),
            seed: 7,
            schema: Some(Arc::new(json!({"b": 1, "a": 2}))),
            idempotency_key: "k".to_owned(),
        };
        let mut hashed = ConversationDigest::default();
        for text in ["", "one\n", "two \"three\""] {
            let model = VertexName::from("small");
            let whole = digest(&json!({
                "model": model,
                "messages": request.messages,
                "tools": request.tools,
                "sampling": request.sampling,
                "seed": 7,
                "schema": request.schema,
            }));
            assert_eq!(request.digest(&model), whole);
            assert_eq!(request.digest_after(&mut hashed, &model), whole);
            Arc::make_mut(&mut request.messages).push(says(text));
        }
    }
}
