//! OpenAI's chat completions, which many others speak with small differences.

mod answer;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use superstep_runtime::{ChatMessage, Role, ToolSignature};

use super::{Question, Settings, Wire, described_schema, small_seed};
use crate::fault::{Fault, FaultKind};
use crate::schema;

pub(super) use answer::read;

/// How a provider differs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavor {
    /// The field of the most tokens to write.
    pub(crate) max_tokens: &'static str,
    /// The field of the seed, if there is one.
    pub(crate) seed: Option<&'static str>,
    /// Whether usage in a stream has to be asked for.
    pub(crate) stream_options: bool,
    /// Whether it has top_k, min_p and repetition_penalty.
    pub(crate) more_sampling: bool,
    /// Whether it holds answers to a schema.
    pub(crate) keeps_schemas: bool,
    /// Whether it wants the reasoning before calls of tools back.
    pub(crate) wants_reasoning: bool,
    /// Whether it is a server of ours: it takes what the protocol has no place for, so that a model answers as it
    /// does in the process that asks. That is any seed of 64 bits, any schema as it stands, the vertex that asks
    /// (`metadata.vertex`), and a keepsake with its message (`keepsake`).
    pub(crate) is_own: bool,
}

impl Default for Flavor {
    fn default() -> Self {
        Self {
            max_tokens: "max_tokens",
            seed: Some("seed"),
            stream_options: true,
            more_sampling: true,
            keeps_schemas: true,
            wants_reasoning: false,
            is_own: false,
        }
    }
}

/// The member of a message of ours that keeps a keepsake as it is.
const KEEPSAKE: &str = "keepsake";

/// The member of a keepsake.
const REASONING: &str = "reasoning_content";

/// `POST /chat/completions`.
pub(super) fn write(flavor: Flavor, question: &Question<'_>) -> Result<Wire, Fault> {
    let Question { request, model, stream, keeps_schemas } = *question;
    let mut body = settings(flavor, question)?;
    body.insert("model".to_owned(), json!(model));
    let format = request.schema.as_deref().filter(|_| keeps_schemas);
    let format = format.and_then(|schema| response_format(flavor, request.vertex.as_str(), schema));
    let is_held = format.as_ref().is_some_and(|format| format["type"] == "json_schema");
    let described = if is_held { None } else { described_schema(request) };
    let mut messages: Vec<Value> = request.messages.iter().map(|message| written(flavor, message)).collect();
    if let Some(described) = described {
        messages.insert(0, json!({"role": "system", "content": described}));
    }
    body.insert("messages".to_owned(), Value::Array(messages));
    if let Some(format) = format {
        body.insert("response_format".to_owned(), format);
    }
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
    }
    if flavor.is_own {
        body.insert("metadata".to_owned(), json!({"vertex": request.vertex}));
    }
    if stream {
        body.insert("stream".to_owned(), json!(true));
        if flavor.stream_options {
            body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
    }
    let mut headers = Vec::new();
    if !request.idempotency_key.is_empty() {
        let key = HeaderValue::from_str(&request.idempotency_key);
        let key = key.map_err(|_| Fault::new(FaultKind::Invalid, "the idempotency key is no header"))?;
        headers.push((HeaderName::from_static("idempotency-key"), key));
    }
    Ok(Wire { path: "/chat/completions".to_owned(), headers, body: Value::Object(body) })
}

fn settings(flavor: Flavor, question: &Question<'_>) -> Result<Map<String, Value>, Fault> {
    let request = question.request;
    let more = |name: &'static str| flavor.more_sampling.then_some(name);
    let mut body = Settings::new(&request.sampling)
        .set("temperature", Some("temperature"), |sampling| sampling.temperature)
        .set("topP", Some("top_p"), |sampling| sampling.top_p)
        .set("presencePenalty", Some("presence_penalty"), |sampling| sampling.presence_penalty)
        .set("frequencyPenalty", Some("frequency_penalty"), |sampling| sampling.frequency_penalty)
        .set("topK", more("top_k"), |sampling| sampling.top_k)
        .set("minP", more("min_p"), |sampling| sampling.min_p)
        .set("repetitionPenalty", more("repetition_penalty"), |sampling| sampling.repetition_penalty)
        .set("seed", flavor.seed, |sampling| sampling.seed)
        .tells_logprobs(flavor.is_own)
        .finish()?;
    if let Some(seed) = flavor.seed {
        let value = if flavor.is_own { json!(request.seed()) } else { small_seed(request) };
        body.insert(seed.to_owned(), value);
    }
    if let Some(top) = request.sampling.logprobs {
        body.insert("logprobs".to_owned(), json!(true));
        body.insert("top_logprobs".to_owned(), json!(top));
    }
    body.insert(flavor.max_tokens.to_owned(), json!(request.max_tokens()));
    if !request.sampling.stop.is_empty() {
        body.insert("stop".to_owned(), json!(request.sampling.stop));
    }
    Ok(body)
}

/// How the provider is told the schema; none where it takes objects only, and this is of something else.
fn response_format(flavor: Flavor, name: &str, schema: &Value) -> Option<Value> {
    if !flavor.keeps_schemas {
        return Some(json!({"type": "json_object"}));
    }
    let held = |schema: &Value, strict: bool| json!({"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": strict}});
    if flavor.is_own {
        return Some(held(schema, true));
    }
    let is_object = schema.get("type").is_some_and(|kind| kind == "object");
    is_object.then(|| match schema::within(schema, schema::OPEN_AI) {
        Some(closed) => held(&closed, true),
        None => held(schema, false),
    })
}

fn written(flavor: Flavor, message: &ChatMessage) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut written = json!({"role": role, "content": message.content});
    if let Some(answers) = &message.answers {
        written["tool_call_id"] = json!(answers);
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            // A text is what the model wrote, as far as it was no JSON.
            let arguments = call.arguments.as_str().map_or_else(|| call.arguments.to_string(), str::to_owned);
            let function = json!({"name": call.name, "arguments": arguments});
            json!({"id": call.id, "type": "function", "function": function})
        });
        written["tool_calls"] = calls.collect();
        if message.content.is_empty() {
            written["content"] = Value::Null;
        }
    }
    if let Some(keepsake) = message.keepsake.as_ref().filter(|_| flavor.is_own) {
        written[KEEPSAKE] = keepsake.clone();
    }
    let reasoning = message.keepsake.as_ref().and_then(|keepsake| keepsake.get(REASONING));
    if let Some(reasoning) = reasoning.filter(|_| flavor.wants_reasoning) {
        written[REASONING] = reasoning.clone();
    }
    written
}

fn tool(tool: &ToolSignature) -> Value {
    let ToolSignature { name, description, parameters } = tool;
    json!({"type": "function", "function": {
        "name": name, "description": description, "parameters": **parameters}})
}
