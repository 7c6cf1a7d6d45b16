//! How programs ask a model: each question is a call of its own, and its answer is recorded.

use std::sync::Arc;

use serde_json::Value;
use superstep_engine::{CallOutcome, CallRequest, Failure, Payload, Usage};
use superstep_graph::{Sampling, VertexName};

use crate::call_subject::CallSubject;
use crate::calls::{CallTicket, Calls};
use crate::model::{
    ChatMessage, ConversationDigest, DEFAULT_MAX_TOKENS, Finish, Model, ModelAnswer, ModelRequest, Role,
};
use crate::program::{Activation, OnText};
use crate::recorded::RecordedAnswer;
use crate::schema::Schema;
use crate::tool::ToolSignature;

/// How often a model is asked again, in the same attempt, after an answer that does not fit.
pub(super) const ASKS_AGAIN: u64 = 2;

/// A model, as one vertex asks it.
pub(super) struct Asking {
    pub(super) vertex: VertexName,
    pub(super) model_name: VertexName,
    pub(super) model: Arc<dyn Model>,
    pub(super) sampling: Sampling,
}

/// What is asked.
#[derive(Clone, Default)]
pub(super) struct Question {
    pub(super) messages: Arc<Vec<ChatMessage>>,
    pub(super) tools: Arc<[ToolSignature]>,
    pub(super) schema: Option<Arc<Value>>,
    /// The number of the question in its activation: it draws by a seed of its own.
    pub(super) number: u64,
    /// What was hashed of the messages before.
    pub(super) hashed: ConversationDigest,
}

/// The way of one activation to its models.
pub(super) struct Session {
    pub(super) calls: Calls,
    seed: u64,
    on_text: Option<OnText>,
}

impl From<Activation> for Session {
    fn from(activation: Activation) -> Self {
        let Activation { calls, seed, listener, .. } = activation;
        Self { calls, seed, on_text: listener.on_text() }
    }
}

impl Asking {
    /// Asks once.
    pub(super) async fn ask(&self, session: &Session, question: Question) -> Result<RecordedAnswer, Failure> {
        let Question { messages, tools, schema, number, mut hashed } = question;
        let request = ModelRequest {
            vertex: self.vertex.clone(),
            messages,
            tools,
            sampling: self.sampling.clone(),
            seed: session.seed.wrapping_add(number),
            schema,
            idempotency_key: String::new(),
        };
        let call = CallRequest {
            target: format!("model {}", self.model_name),
            digest: request.digest_after(&mut hashed, &self.model_name),
            repeatable: true,
            reserve: self.model.reserve(&request),
        };
        let on_text = session.on_text.clone();
        let subject = session.calls.is_watched().then(|| self.subject(&request));
        let answer = session
            .calls
            .perform_about(call, subject, |ticket: CallTicket| {
                let request = ModelRequest { idempotency_key: ticket.idempotency_key, ..request };
                let answer = self.model.generate(request, on_text);
                async move { self.outcome(answer.await) }
            })
            .await?;
        self.recorded(&answer)
    }

    /// Asks until the answer fits `schema`.
    ///
    /// # Errors
    /// A call failed, or the model was asked often enough.
    pub(super) async fn ask_for(
        &self,
        session: &Session,
        question: Question,
        schema: &Schema,
    ) -> Result<Value, Failure> {
        self.ask_until(session, question, schema).await.map(|(value, _)| value)
    }

    /// As [`Self::ask_for`], with the answer as it was recorded.
    pub(super) async fn ask_until(
        &self,
        session: &Session,
        question: Question,
        schema: &Schema,
    ) -> Result<(Value, RecordedAnswer), Failure> {
        let mut question = Question { schema: Some(Arc::clone(schema.value())), ..question };
        let mut reason = String::new();
        for _ in 0..=ASKS_AGAIN {
            let recorded = self.ask(session, question.clone()).await?;
            match self.read(&recorded, schema) {
                Ok(value) => return Ok((value, recorded)),
                Err(why) => reason = why,
            }
            Arc::make_mut(&mut question.messages).extend([recorded.message(), ask_again(&reason)]);
            question.number += 1;
        }
        Err(self.never_fitted(&reason))
    }

    /// The JSON of an answer, or why it does not fit.
    pub(super) fn read(&self, recorded: &RecordedAnswer, schema: &Schema) -> Result<Value, String> {
        let value: Value = serde_json::from_str(bare(&recorded.text))
            .map_err(|error| self.cut_off(recorded).unwrap_or_else(|| format!("it is no JSON: {error}")))?;
        schema.check(&value)?;
        Ok(value)
    }

    /// That an answer was cut off, if it was.
    pub(super) fn cut_off(&self, recorded: &RecordedAnswer) -> Option<String> {
        let most = self.sampling.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
        (recorded.finish == Finish::Length).then(|| format!("it was cut off after {most} tokens"))
    }

    /// The failure of a model that was asked often enough.
    pub(super) fn never_fitted(&self, reason: &str) -> Failure {
        let asks = ASKS_AGAIN + 1;
        Failure::permanent(format!(
            "model {:?} gave no valid answer in {asks} calls: {reason}",
            self.model_name
        ))
    }

    fn subject(&self, request: &ModelRequest) -> CallSubject {
        let request = Box::new(request.clone());
        CallSubject::Model { name: self.model_name.clone(), identity: self.model.identity(), request }
    }

    fn recorded(&self, answer: &Payload) -> Result<RecordedAnswer, Failure> {
        RecordedAnswer::read(answer).map_err(|error| {
            Failure::permanent(format!("the recorded answer of model {:?}: {error}", self.model_name))
        })
    }

    fn outcome(&self, answer: Result<ModelAnswer, Failure>) -> CallOutcome {
        match answer {
            Ok(answer) => {
                let usage = answer.call_usage(&self.model.prices());
                CallOutcome { answer: Ok(RecordedAnswer::from(answer).into()), usage }
            }
            Err(failure) => {
                CallOutcome { answer: Err(failure), usage: Usage { calls: 1, ..Usage::default() } }
            }
        }
    }
}

/// What is said after an answer that does not fit.
pub(super) fn ask_again(reason: &str) -> ChatMessage {
    let text = format!("This answer is not valid: {reason}. Answer again, with nothing but the JSON.");
    ChatMessage::new(Role::User, text)
}

/// The text without the Markdown fence that models put around JSON.
pub(crate) fn bare(text: &str) -> &str {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    fenced.map_or(text, |inside| inside.strip_prefix("json").unwrap_or(inside).trim())
}
