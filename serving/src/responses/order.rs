//! What a request asks for.

use serde_json::{Map, Value, json};
use superstep_graph::Sampling;

use super::form::Form;
use super::input::read_input;
use crate::asking::{Asking, Wanted};
use crate::desk::Desk;
use crate::drawing::{draws, logprobs, seed};
use crate::fields::{Fields, Shape};
use crate::format::AnswerFormat;
use crate::refusal::Refusal;
use crate::tool_use::ToolUse;

/// Fields that change no answer. There are no tools but the client's, so there is no most of their calls.
const IGNORED: [&str; 7] = [
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "user",
];
/// What a response can tell beside its text, where it is asked to.
const LOGPROBS: &str = "message.output_text.logprobs";
/// What it tells whether it is asked to or not.
const KEPT: &str = "reasoning.encrypted_content";

/// Fields that a response repeats.
const REPEATED: [&str; 10] = [
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
];

/// A request for a response.
pub(super) struct ResponseOrder {
    pub(super) asking: Asking,
    /// How the response is written.
    pub(super) form: Form,
    /// Whether it is told as it is written.
    pub(super) streams: bool,
}

impl ResponseOrder {
    /// Reads the body of a request, which came with `key`.
    pub(super) fn read(body: &[u8], desk: &Desk, key: Option<&[u8]>) -> Result<Self, Refusal> {
        let mut fields = Fields::of_body(body)?;
        let (name, model) = desk.writer(&fields.need::<String>("model")?)?;
        let said = said(&fields, &name);
        let streams = streams(&mut fields)?;
        is_kept_by_the_client(&mut fields)?;
        let sampling = sampling(&mut fields, desk.offered.is_local)?;
        let seed = seed(&mut fields, key)?;
        let messages = read_input(fields.need("input")?, fields.take("instructions")?)?;
        let format = AnswerFormat::of_response(&mut fields)?;
        let tools = ToolUse::read(&mut fields, model.calls_tools(), Shape::Flat)?;
        let metadata: Map<String, Value> = fields.take("metadata")?.unwrap_or_default();
        if let Some(reasoning) = fields.take("reasoning")? {
            Fields::of("reasoning", reasoning)?.finish()?;
        }
        fields.ignore(&IGNORED);
        fields.finish()?;
        let schema = format.schema();
        let wanted = Wanted { messages, sampling, seed, schema, metadata, choices: 1 };
        let asking = Asking::new((&name, &model), wanted, &tools, key);
        let form = Form::new(&said, tools.reader(), asking.calls_before);
        Ok(Self { asking, form, streams })
    }
}

/// What the request has said, as the response repeats it.
fn said(fields: &Fields, name: &str) -> Map<String, Value> {
    let mut said = Map::from_iter([("model".to_owned(), json!(name))]);
    for member in REPEATED {
        let value = Some(fields.look(member)).filter(|value| !value.is_null());
        said.insert(member.to_owned(), value.unwrap_or_else(|| usual(member)));
    }
    said
}

/// What a response has in place of a field that was left out.
fn usual(member: &str) -> Value {
    match member {
        "metadata" => json!({}),
        "parallel_tool_calls" => true.into(),
        "text" => json!({"format": {"type": "text"}}),
        "tool_choice" => "auto".into(),
        "tools" => json!([]),
        _ => Value::Null,
    }
}

/// Whether the response is told as it is written.
fn streams(fields: &mut Fields) -> Result<bool, Refusal> {
    let streams = fields.take("stream")?.unwrap_or(false);
    let Some(options) = fields.take("stream_options")? else { return Ok(streams) };
    if !streams {
        return Err(Refusal::of_field("stream_options", "stream_options are for streams"));
    }
    let mut options = Fields::of("stream_options", options)?;
    // Nothing is ever added to the events.
    options.ignore(&["include_obfuscation"]);
    options.finish()?;
    Ok(streams)
}

/// Refuses what would have the server keep something, or fetch it.
fn is_kept_by_the_client(fields: &mut Fields) -> Result<(), Refusal> {
    const KEEPS: &str = "this server keeps no responses";
    for (member, instead) in [
        ("store", "leave store out, or send false"),
        ("background", "leave background out, and wait for the response"),
    ] {
        if fields.take(member)?.unwrap_or(false) {
            return Err(Refusal::unsupported(member, format!("{KEEPS}: {instead}")));
        }
    }
    for member in ["previous_response_id", "conversation", "prompt"] {
        if fields.take::<Value>(member)?.is_some() {
            let message = format!("{KEEPS}: send the items of the conversation as input, without {member}");
            return Err(Refusal::unsupported(member, message));
        }
    }
    let truncation: Option<String> = fields.take("truncation")?;
    if truncation.is_some_and(|truncation| truncation != "disabled") {
        let message = "this server cuts no conversation: leave truncation out, or send \"disabled\"";
        return Err(Refusal::unsupported("truncation", message));
    }
    Ok(())
}

/// How tokens are drawn, and how many.
fn sampling(fields: &mut Fields, is_local: bool) -> Result<Sampling, Refusal> {
    let tokens: Option<u32> = fields.take("max_output_tokens")?;
    if tokens == Some(0) {
        return Err(Refusal::of_field("max_output_tokens", "an answer has a token"));
    }
    let included: Vec<String> = fields.take("include")?.unwrap_or_default();
    if let Some(other) = included.iter().find(|included| ![LOGPROBS, KEPT].contains(&included.as_str())) {
        return Err(Refusal::unsupported("include", format!("no response of this server has {other:?}")));
    }
    let is_told = included.iter().any(|included| included == LOGPROBS);
    let asked = format!("include: [{LOGPROBS:?}]");
    Ok(Sampling {
        // A whole context is more than any model has; its own end is nearer.
        max_tokens: tokens.or(is_local.then_some(u32::MAX)),
        logprobs: logprobs(fields, is_told, &asked)?,
        ..draws(fields)?
    })
}
