//! What a request asks for.

use serde::Deserialize;
use serde_json::{Map, Value};
use superstep_graph::Sampling;

use super::messages::read_messages;
use super::reply::Form;
use crate::asking::{Asking, Wanted};
use crate::desk::Desk;
use crate::drawing::{draws, logprobs, seed};
use crate::fields::{Fields, Shape};
use crate::format::AnswerFormat;
use crate::refusal::Refusal;
use crate::tool_use::ToolUse;

/// The most answers to one request.
const MOST_CHOICES: u32 = 16;

/// Fields that change no answer.
const IGNORED: [&str; 6] =
    ["prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store", "user"];

/// A request for chat completions.
pub(super) struct ChatOrder {
    pub(super) asking: Asking,
    /// How the answers are written.
    pub(super) form: Form,
    /// Whether they are told as they are written.
    pub(super) streams: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

impl ChatOrder {
    /// Reads the body of a request, which came with `key`.
    pub(super) fn read(body: &[u8], desk: &Desk, key: Option<&[u8]>) -> Result<Self, Refusal> {
        let mut fields = Fields::of_body(body)?;
        let (name, model) = desk.writer(&fields.need::<String>("model")?)?;
        let streams = fields.take("stream")?.unwrap_or(false);
        let options: Option<StreamOptions> = fields.take("stream_options")?;
        if options.is_some() && !streams {
            return Err(Refusal::of_field("stream_options", "stream_options are for streams"));
        }
        let choices = choices(&mut fields)?;
        let sampling = sampling(&mut fields, desk.offered.is_local)?;
        let seed = seed(&mut fields, key)?;
        let messages = read_messages(fields.need("messages")?)?;
        let format = AnswerFormat::of_chat(&mut fields)?;
        let tools = ToolUse::read(&mut fields, model.calls_tools(), Shape::Nested)?;
        let metadata: Map<String, Value> = fields.take("metadata")?.unwrap_or_default();
        is_text_alone(&mut fields)?;
        fields.ignore(&IGNORED);
        fields.finish()?;
        let schema = format.schema();
        let wanted = Wanted { messages, sampling, seed, schema, metadata, choices };
        let asking = Asking::new((&name, &model), wanted, &tools, key);
        let includes_usage = options.unwrap_or_default().include_usage;
        let form = Form::new(&name, tools.reader(), asking.calls_before, includes_usage);
        Ok(Self { asking, form, streams })
    }
}

fn choices(fields: &mut Fields) -> Result<u32, Refusal> {
    let choices = fields.take("n")?.unwrap_or(1);
    if (1..=MOST_CHOICES).contains(&choices) {
        Ok(choices)
    } else {
        Err(Refusal::of_field("n", format!("n is 1 to {MOST_CHOICES}")))
    }
}

/// How tokens are drawn, and when an answer ends.
fn sampling(fields: &mut Fields, is_local: bool) -> Result<Sampling, Refusal> {
    if let Some(bias) = fields.take::<Value>("logit_bias")?
        && bias.as_object().is_none_or(|bias| !bias.is_empty())
    {
        return Err(Refusal::unsupported("logit_bias", "this server has no logit_bias: leave it out"));
    }
    let is_told = fields.take("logprobs")?.unwrap_or(false);
    Ok(Sampling {
        // A whole context is more than any model has; its own end is nearer.
        max_tokens: max_tokens(fields)?.or(is_local.then_some(u32::MAX)),
        stop: stop(fields)?,
        logprobs: logprobs(fields, is_told, "logprobs: true")?,
        ..draws(fields)?
    })
}

fn max_tokens(fields: &mut Fields) -> Result<Option<u32>, Refusal> {
    let old: Option<u32> = fields.take("max_tokens")?;
    let tokens: Option<u32> = fields.take("max_completion_tokens")?;
    match (old, tokens) {
        (Some(0), _) | (_, Some(0)) => {
            Err(Refusal::of_field("max_completion_tokens", "an answer has a token"))
        }
        (Some(old), Some(tokens)) if old != tokens => {
            let message = "max_tokens and max_completion_tokens differ: leave the first out";
            Err(Refusal::of_field("max_tokens", message))
        }
        (old, tokens) => Ok(tokens.or(old)),
    }
}

fn stop(fields: &mut Fields) -> Result<Vec<String>, Refusal> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stop {
        One(String),
        Several(Vec<String>),
    }
    Ok(match fields.take("stop")? {
        None => Vec::new(),
        Some(Stop::One(text)) => vec![text],
        Some(Stop::Several(texts)) => texts,
    })
}

/// Refuses what is no text.
fn is_text_alone(fields: &mut Fields) -> Result<(), Refusal> {
    let kinds: Vec<String> = fields.take("modalities")?.unwrap_or_default();
    if kinds.iter().any(|kind| kind != "text") {
        return Err(Refusal::unsupported("modalities", "this server writes texts alone"));
    }
    for (old, new) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if fields.take::<Value>(old)?.is_some() {
            return Err(Refusal::unsupported(old, format!("{old} is of an older protocol: use {new}")));
        }
    }
    Ok(())
}
