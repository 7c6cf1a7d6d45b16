//! What a request asks for.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use superstep_graph::{Sampling, VertexName};
use superstep_runtime::{Model, ModelRequest};

use super::format::ResponseFormat;
use super::messages::read_messages;
use super::reply::Form;
use crate::desk::Desk;
use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::tool_use::ToolUse;

/// The most answers to one request.
const MOST_CHOICES: u32 = 16;
/// The most likeliest tokens at a place.
const MOST_LIKELY: u8 = 20;
/// Who asks, where the request does not say.
const NOBODY: &str = "request";

/// Fields that change no answer.
const IGNORED: [&str; 6] =
    ["prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store", "user"];

/// A request for chat completions.
pub(super) struct ChatOrder {
    pub(super) model: Arc<dyn Model>,
    /// What it is asked, once for each answer.
    pub(super) requests: Vec<ModelRequest>,
    /// Hash of all that decides the answers.
    pub(super) digest: [u8; 32],
    /// How they are written.
    pub(super) form: Form,
    /// Whether they are told as they are written.
    pub(super) streams: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    vertex: Option<Value>,
}

impl ChatOrder {
    /// Reads the body of a request, which came with `key`.
    pub(super) fn read(body: &[u8], desk: &Desk, key: Option<&[u8]>) -> Result<Self, Refusal> {
        let mut fields = Fields::of_body(body)?;
        desk.check_name(&fields.need::<String>("model")?)?;
        let name = desk.offered.name();
        let model = desk.offered.model.as_ref();
        let model = model.ok_or_else(|| Refusal::other_model(name, "write texts"))?;
        let streams = fields.take("stream")?.unwrap_or(false);
        let options: Option<StreamOptions> = fields.take("stream_options")?;
        if options.is_some() && !streams {
            return Err(Refusal::of_field("stream_options", "stream_options are for streams"));
        }
        let choices = choices(&mut fields)?;
        let sampling = sampling(&mut fields, desk.offered.is_local)?;
        let seed = seed(&mut fields, key)?;
        let messages = read_messages(fields.need("messages")?)?;
        let format = ResponseFormat::read(&mut fields)?;
        let tools = ToolUse::read(&mut fields, model.calls_tools())?;
        let vertex = vertex(&mut fields)?;
        is_text_alone(&mut fields)?;
        fields.ignore(&IGNORED);
        fields.finish()?;
        let mut request = ModelRequest {
            vertex,
            messages: messages.into(),
            tools: [].into(),
            sampling,
            seed,
            schema: format.schema(),
            idempotency_key: key.map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
        };
        let calls_before = request.messages.iter().map(|message| message.tool_calls.len()).sum();
        tools.prepare(&mut request);
        let digest = digest(&request, name, choices, &tools);
        let numbered = |number: u32| {
            let mut request = request.clone();
            request.seed = request.seed.wrapping_add(number.into());
            // Each answer is a call of its own.
            if number > 0 && !request.idempotency_key.is_empty() {
                request.idempotency_key = format!("{}#{number}", request.idempotency_key);
            }
            request
        };
        let requests = (0..choices).map(numbered).collect();
        let includes_usage = options.unwrap_or_default().include_usage;
        Ok(Self {
            model: Arc::clone(model),
            requests,
            digest,
            form: Form::new(name, tools, calls_before, includes_usage),
            streams,
        })
    }
}

fn digest(request: &ModelRequest, name: &str, choices: u32, tools: &ToolUse) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&request.digest(&VertexName::from(name)));
    hasher.update(&choices.to_le_bytes());
    hasher.update(&[u8::from(tools.is_prompted())]);
    hasher.update(request.vertex.as_str().as_bytes());
    hasher.finalize().into()
}

fn choices(fields: &mut Fields) -> Result<u32, Refusal> {
    let choices = fields.take("n")?.unwrap_or(1);
    if (1..=MOST_CHOICES).contains(&choices) {
        Ok(choices)
    } else {
        Err(Refusal::of_field("n", format!("n is 1 to {MOST_CHOICES}")))
    }
}

/// How tokens are drawn. What is left out is as the model has it: the likeliest token is taken.
fn sampling(fields: &mut Fields, is_local: bool) -> Result<Sampling, Refusal> {
    if let Some(bias) = fields.take::<Value>("logit_bias")?
        && bias.as_object().is_none_or(|bias| !bias.is_empty())
    {
        return Err(Refusal::unsupported("logit_bias", "this server has no logit_bias: leave it out"));
    }
    Ok(Sampling {
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        min_p: fields.take("min_p")?,
        presence_penalty: fields.take("presence_penalty")?,
        frequency_penalty: fields.take("frequency_penalty")?,
        repetition_penalty: fields.take("repetition_penalty")?,
        // A whole context is more than any model has; its own end is nearer.
        max_tokens: max_tokens(fields)?.or(is_local.then_some(u32::MAX)),
        stop: stop(fields)?,
        logprobs: logprobs(fields)?,
        ..Sampling::default()
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

fn logprobs(fields: &mut Fields) -> Result<Option<u8>, Refusal> {
    let told = fields.take("logprobs")?.unwrap_or(false);
    match fields.take::<u8>("top_logprobs")? {
        Some(top) if top > MOST_LIKELY => {
            Err(Refusal::of_field("top_logprobs", format!("top_logprobs is 0 to {MOST_LIKELY}")))
        }
        Some(_) if !told => Err(Refusal::of_field("top_logprobs", "top_logprobs needs logprobs: true")),
        top => Ok(told.then_some(top.unwrap_or(0))),
    }
}

/// The seed of the draws: any number of 64 bits. Without one it is made of the key, so that a request that comes
/// again is the same, or made up.
fn seed(fields: &mut Fields, key: Option<&[u8]>) -> Result<u64, Refusal> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seed {
        Natural(u64),
        Negative(i64),
    }
    Ok(match (fields.take("seed")?, key) {
        (Some(Seed::Natural(seed)), _) => seed,
        (Some(Seed::Negative(seed)), _) => seed.cast_unsigned(),
        (None, Some(key)) => {
            let mut short = [0; 8];
            short.copy_from_slice(&blake3::hash(key).as_bytes()[..8]);
            u64::from_le_bytes(short)
        }
        (None, None) => RandomState::new().hash_one(std::process::id()),
    })
}

/// The vertex that asks, as our own workers tell it in `metadata.vertex`.
fn vertex(fields: &mut Fields) -> Result<VertexName, Refusal> {
    let metadata: Metadata = fields.take("metadata")?.unwrap_or_default();
    Ok(metadata.vertex.as_ref().and_then(Value::as_str).unwrap_or(NOBODY).into())
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
