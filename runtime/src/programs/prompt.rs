//! The program `prompt`: one question to a model, asked again when the answer does not fit.

use std::sync::Arc;

use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_engine::{CallOutcome, CallRequest, Failure, Outcome, Payload, ProgramResult, Usage, View};
use superstep_graph::{PromptProgram, Sampling, VertexName, VertexSpec};

use super::PrepareError;
use crate::calls::{CallTicket, Calls};
use crate::model::{ChatMessage, Finish, Model, ModelAnswer, ModelRequest, Role};
use crate::program::{Activation, Execution, OnText, Program};
use crate::schema::Schema;
use crate::template::Template;

/// How often a model is asked again, in the same attempt, after an answer that does not fit.
const ASKS_AGAIN: u64 = 2;

pub(super) struct Prompt {
    asking: Arc<Asking>,
    system: Option<Template>,
    template: Template,
}

/// What stays the same over all activations.
struct Asking {
    vertex: VertexName,
    model_name: VertexName,
    model: Arc<dyn Model>,
    sampling: Sampling,
    schema: Option<Schema>,
}

impl Prompt {
    pub(super) fn prepare(
        vertex: &VertexSpec,
        prompt: &PromptProgram,
        model: &Arc<dyn Model>,
    ) -> Result<Self, PrepareError> {
        let compile = |field: &str, source: &str| {
            Template::compile(source).map_err(|source| PrepareError::Source {
                vertex: vertex.name.clone(),
                field: field.to_owned(),
                source,
            })
        };
        let schema = prompt.output.as_ref().map(|output| Schema::compile(&output.schema)).transpose();
        let schema = schema.map_err(|source| PrepareError::Schema {
            vertex: vertex.name.clone(),
            field: "prompt.output.schema".to_owned(),
            source,
        })?;
        Ok(Self {
            system: prompt.system.as_deref().map(|source| compile("prompt.system", source)).transpose()?,
            template: compile("prompt.template", &prompt.template)?,
            asking: Arc::new(Asking {
                vertex: vertex.name.clone(),
                model_name: prompt.model.clone(),
                model: Arc::clone(model),
                sampling: prompt.sampling.clone(),
                schema,
            }),
        })
    }

    fn messages(&self, view: &View) -> Result<Vec<ChatMessage>, Failure> {
        let system = self.system.as_ref().map(|system| system.render(view)).transpose()?;
        let user = ChatMessage::new(Role::User, self.template.render(view)?);
        Ok(system.map(|system| ChatMessage::new(Role::System, system)).into_iter().chain([user]).collect())
    }
}

impl Program for Prompt {
    fn start(&self, activation: Activation) -> Execution {
        let messages = match self.messages(&activation.view) {
            Ok(messages) => messages,
            Err(failure) => return Execution::Ready(Outcome::Failed(failure)),
        };
        let asking = Arc::clone(&self.asking);
        let Activation { calls, seed, listener, .. } = activation;
        let on_text = listener.on_text();
        let run = async move {
            match asking.ask(messages, &calls, seed, on_text).await {
                Ok(payload) => Outcome::Done(ProgramResult::output(payload)),
                Err(failure) => Outcome::Failed(failure),
            }
        };
        Execution::Running(run.boxed())
    }
}

/// What a call's outcome records of an answer.
#[derive(Serialize, Deserialize)]
struct Recorded {
    text: String,
    finish: Finish,
    /// The fallback that answered, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<VertexName>,
}

impl Asking {
    /// Each ask is a call of its own.
    async fn ask(
        &self,
        mut messages: Vec<ChatMessage>,
        calls: &Calls,
        seed: u64,
        on_text: Option<OnText>,
    ) -> Result<Payload, Failure> {
        let mut reason = String::new();
        for ask in 0..=ASKS_AGAIN {
            let request = ModelRequest {
                vertex: self.vertex.clone(),
                messages: messages.clone(),
                tools: Arc::default(),
                sampling: self.sampling.clone(),
                seed: seed.wrapping_add(ask),
                schema: self.schema.as_ref().map(|schema| Arc::clone(schema.value())),
                idempotency_key: String::new(),
            };
            let recorded = self.call(request, calls, on_text.clone()).await?;
            match self.read(&recorded) {
                Ok(payload) => return Ok(payload),
                Err(why) => reason = why,
            }
            messages.push(ChatMessage::new(Role::Assistant, recorded.text));
            let again =
                format!("This answer is not valid: {reason}. Answer again, with nothing but the JSON.");
            messages.push(ChatMessage::new(Role::User, again));
        }
        let asks = ASKS_AGAIN + 1;
        Err(Failure::permanent(format!(
            "model {:?} gave no valid answer in {asks} calls: {reason}",
            self.model_name
        )))
    }

    async fn call(
        &self,
        request: ModelRequest,
        calls: &Calls,
        on_text: Option<OnText>,
    ) -> Result<Recorded, Failure> {
        let call = CallRequest {
            target: format!("model {}", self.model_name),
            digest: request.digest(&self.model_name),
            repeatable: true,
            reserve: self.model.reserve(&request),
        };
        let answer = calls
            .perform(call, |ticket: CallTicket| {
                let request = ModelRequest { idempotency_key: ticket.idempotency_key, ..request };
                let answer = self.model.generate(request, on_text);
                async move { self.outcome(answer.await) }
            })
            .await?;
        Recorded::deserialize(answer.value()).map_err(|error| {
            Failure::permanent(format!("the recorded answer of model {:?}: {error}", self.model_name))
        })
    }

    fn outcome(&self, answer: Result<ModelAnswer, Failure>) -> CallOutcome {
        match answer {
            Ok(answer) => {
                let usage = answer.call_usage(&self.model.prices());
                let ModelAnswer { text, finish, stand_in, .. } = answer;
                let model = stand_in.map(|stand_in| stand_in.model);
                CallOutcome { answer: Ok(json!(Recorded { text, finish, model }).into()), usage }
            }
            Err(failure) => {
                CallOutcome { answer: Err(failure), usage: Usage { calls: 1, ..Usage::default() } }
            }
        }
    }

    /// The payload, or why the answer does not fit.
    fn read(&self, recorded: &Recorded) -> Result<Payload, String> {
        let Some(schema) = &self.schema else {
            return Ok(json!({ "text": recorded.text }).into());
        };
        let value: Value =
            serde_json::from_str(bare(&recorded.text)).map_err(|error| match recorded.finish {
                Finish::Length => format!("it was cut off after {} tokens", self.max_tokens()),
                Finish::Stop => format!("it is no JSON: {error}"),
            })?;
        schema.check(&value)?;
        Ok(value.into())
    }

    fn max_tokens(&self) -> u32 {
        self.sampling.max_tokens.unwrap_or(crate::model::DEFAULT_MAX_TOKENS)
    }
}

/// The text without the Markdown fence that models put around JSON.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    fenced.map_or(text, |inside| inside.strip_prefix("json").unwrap_or(inside).trim())
}

#[cfg(test)]
mod tests;
