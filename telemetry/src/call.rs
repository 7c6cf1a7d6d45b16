//! Calls as spans: of a model, of a tool, and of what a program calls on its own.

use std::time::SystemTime;

use opentelemetry::trace::SpanId;
use opentelemetry::{Array, StringValue, Value};
use superstep_engine::{CallKey, CallOutcome};
use superstep_runtime::{CallSubject, ModelIdentity, ModelRequest, RecordedAnswer};

use crate::content;
use crate::draft::Draft;
use crate::words::class;

/// Where a call's span stands in its trace.
pub(crate) struct CallSpan<'a> {
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) call: &'a CallKey,
    pub(crate) at: SystemTime,
    /// Whether prompts and arguments are written.
    pub(crate) content: bool,
}

impl CallSpan<'_> {
    /// The span of a call that begins. With nothing known of its subject it is named after `target`.
    pub(crate) fn begin(&self, subject: Option<&CallSubject>, target: &str) -> Draft {
        let mut draft = match subject {
            Some(CallSubject::Model { name, identity, request }) => {
                let mut draft = self.chat(name.as_str(), identity.as_ref(), request);
                draft.set("superstep.model", name.to_string());
                draft
            }
            Some(CallSubject::Embedding { name, identity, texts }) => {
                let mut draft = self.of_model("embeddings", name.as_str(), identity.as_ref());
                draft.set("superstep.model", name.to_string());
                draft.set("superstep.embeddings.texts", i64::try_from(texts.len()).unwrap_or(i64::MAX));
                if self.content {
                    draft.set("superstep.embeddings.input", list(texts.iter().cloned()));
                }
                draft
            }
            Some(CallSubject::Tool { entry, name, description, arguments }) => {
                let mut draft = self.draft(format!("execute_tool {name}"));
                draft.set("gen_ai.operation.name", "execute_tool");
                draft.set("gen_ai.tool.name", name.clone());
                draft.set("gen_ai.tool.type", "function");
                draft.set("superstep.tool", entry.to_string());
                draft.set_if(
                    "gen_ai.tool.description",
                    Some(description.clone()).filter(|text| !text.is_empty()),
                );
                if self.content {
                    draft.set("gen_ai.tool.call.arguments", arguments.to_string());
                }
                draft
            }
            None => self.draft(format!("call {target}")),
        };
        let activation = &self.call.activation;
        draft.set("superstep.vertex", activation.vertex.to_string());
        draft.set("superstep.activation", activation.to_string());
        draft.set_if("superstep.element", activation.element.map(i64::from));
        draft.set("superstep.attempt", i64::from(self.call.attempt));
        draft
    }

    fn draft(&self, name: String) -> Draft {
        Draft::new(self.id, self.parent, name, self.at)
    }

    /// What a call of a model says, whatever is asked of the model.
    fn of_model(&self, operation: &'static str, name: &str, identity: Option<&ModelIdentity>) -> Draft {
        let model = identity.map_or(name, |identity| &identity.model);
        let mut draft = self.draft(format!("{operation} {model}"));
        draft.set("gen_ai.operation.name", operation);
        let provider = identity.map_or_else(|| "superstep".into(), |identity| identity.provider.to_string());
        draft.set("gen_ai.provider.name", provider);
        draft.set("gen_ai.request.model", model.to_owned());
        if let Some((address, port)) = identity.and_then(|identity| identity.server.as_ref()) {
            draft.of_client();
            draft.set("server.address", address.clone());
            draft.set("server.port", i64::from(*port));
        }
        draft
    }

    fn chat(&self, name: &str, identity: Option<&ModelIdentity>, request: &ModelRequest) -> Draft {
        let mut draft = self.of_model("chat", name, identity);
        draft.set("gen_ai.output.type", if request.schema.is_some() { "json" } else { "text" });
        sampled(&mut draft, request);
        if self.content {
            draft.set_if("gen_ai.system_instructions", content::instructions(request));
            draft.set("gen_ai.input.messages", content::input(request));
        }
        draft
    }
}

fn sampled(draft: &mut Draft, request: &ModelRequest) {
    let sampling = &request.sampling;
    draft.set("gen_ai.request.max_tokens", i64::from(request.max_tokens()));
    draft.set_if("gen_ai.request.seed", sampling.seed.and_then(|seed| i64::try_from(seed).ok()));
    draft.set_if("gen_ai.request.temperature", sampling.temperature);
    draft.set_if("gen_ai.request.top_p", sampling.top_p);
    draft.set_if("gen_ai.request.top_k", sampling.top_k.map(f64::from));
    draft.set_if("gen_ai.request.presence_penalty", sampling.presence_penalty);
    draft.set_if("gen_ai.request.frequency_penalty", sampling.frequency_penalty);
    if !sampling.stop.is_empty() {
        draft.set("gen_ai.request.stop_sequences", list(sampling.stop.iter().cloned()));
    }
}

/// Says how a call has ended. What it used is written of every call, so that all of them add up to what
/// the run used.
pub(crate) fn end(draft: &mut Draft, target: &str, outcome: &CallOutcome, content: bool) {
    let is_model = target.starts_with("model ");
    if is_model || outcome.usage.tokens() > 0 {
        draft.count("gen_ai.usage.input_tokens", outcome.usage.prompt_tokens);
        draft.count("gen_ai.usage.output_tokens", outcome.usage.completion_tokens);
    }
    if outcome.usage.cost > 0.0 {
        draft.set("superstep.cost", outcome.usage.cost);
    }
    match &outcome.answer {
        Err(failure) => draft.fail(class(failure.class), content.then(|| failure.message.clone())),
        Ok(payload) if is_model => {
            let Ok(answer) = RecordedAnswer::read(payload) else { return };
            draft.set(
                "gen_ai.response.finish_reasons",
                list([content::finish_reason(&answer).to_owned()].into_iter()),
            );
            draft.set_if("superstep.fallback", answer.model.as_ref().map(ToString::to_string));
            if content {
                draft.set("gen_ai.output.messages", content::output(&answer));
            }
        }
        Ok(payload) => {
            draft.set_if("gen_ai.tool.call.result", content.then(|| payload.value().to_string()));
        }
    }
}

fn list(texts: impl Iterator<Item = String>) -> Value {
    Value::Array(Array::String(texts.map(StringValue::from).collect()))
}
