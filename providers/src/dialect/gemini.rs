//! Gemini's `generateContent`. A piece of a stream has the form of a whole answer.

mod answer;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use superstep_runtime::{ChatMessage, ModelRequest, Role, ToolSignature};

use super::{Question, Settings, Wire, described_schema, instructions, small_seed};
use crate::draft::is_given;
use crate::fault::Fault;

pub(super) use answer::read;

/// The member of a keepsake: signatures of reasoning, of the text and by the position of a call.
const SIGNATURES: &str = "gemini_signatures";

/// What stands for the signature of a call that another model has made; from Gemini 3 on a call without
/// a signature is refused.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// `POST /models/MODEL:generateContent`, or `:streamGenerateContent`.
pub(super) fn write(question: &Question<'_>) -> Result<Wire, Fault> {
    let Question { request, model, stream, keeps_schemas } = *question;
    let mut body = Map::new();
    let mut config = settings(request)?;
    // Older models refuse a schema beside tools.
    let held = request.schema.as_deref().filter(|_| keeps_schemas && request.tools.is_empty());
    let described = if held.is_some() { None } else { described_schema(request) };
    if let Some(schema) = held {
        config.insert("responseMimeType".to_owned(), json!("application/json"));
        config.insert("responseJsonSchema".to_owned(), schema.clone());
    }
    body.insert("generationConfig".to_owned(), Value::Object(config));
    if let Some(system) = instructions(request, described) {
        body.insert("systemInstruction".to_owned(), json!({"parts": [{"text": system}]}));
    }
    body.insert("contents".to_owned(), Value::Array(conversation(request, model)));
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request.tools.iter().map(tool).collect();
        body.insert("tools".to_owned(), json!([{"functionDeclarations": tools}]));
    }
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let model = model.strip_prefix("models/").unwrap_or(model);
    let path = format!("/models/{model}:{method}");
    Ok(Wire { path, headers: Vec::new(), body: Value::Object(body) })
}

fn settings(request: &ModelRequest) -> Result<Map<String, Value>, Fault> {
    let mut config = Settings::new(&request.sampling)
        .set("temperature", Some("temperature"), |sampling| sampling.temperature)
        .set("topP", Some("topP"), |sampling| sampling.top_p)
        .set("topK", Some("topK"), |sampling| sampling.top_k)
        .set("minP", None, |sampling| sampling.min_p)
        .set("presencePenalty", Some("presencePenalty"), |sampling| sampling.presence_penalty)
        .set("frequencyPenalty", Some("frequencyPenalty"), |sampling| sampling.frequency_penalty)
        .set("repetitionPenalty", None, |sampling| sampling.repetition_penalty)
        .finish()?;
    config.insert("seed".to_owned(), small_seed(request));
    config.insert("maxOutputTokens".to_owned(), json!(request.max_tokens()));
    if !request.sampling.stop.is_empty() {
        config.insert("stopSequences".to_owned(), json!(request.sampling.stop));
    }
    Ok(config)
}

/// The turns. All results of parallel calls have to stand in one.
fn conversation(request: &ModelRequest, model: &str) -> Vec<Value> {
    let calls = request.messages.iter().flat_map(|message| &message.tool_calls);
    let names: BTreeMap<&str, &str> = calls.map(|call| (call.id.as_str(), call.name.as_str())).collect();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in request.messages.iter() {
        let (role, parts) = match message.role {
            Role::System => continue,
            Role::User => ("user", vec![json!({"text": message.content})]),
            Role::Assistant => ("model", answer_parts(message, is_signed(model))),
            Role::Tool => ("user", vec![result_part(message, &names)]),
        };
        match turns.last_mut() {
            Some((last, before)) if *last == role => before.extend(parts),
            Some(_) | None => turns.push((role, parts)),
        }
    }
    turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect()
}

fn answer_parts(message: &ChatMessage, is_signed: bool) -> Vec<Value> {
    let kept = message.keepsake.as_ref().and_then(|keepsake| keepsake.get(SIGNATURES));
    let signature = |of: &str| kept.and_then(|kept| kept.get(of)).cloned();
    let sign = |mut part: Value, signature: Option<Value>| {
        if let Some(signature) = signature {
            part["thoughtSignature"] = signature;
        }
        part
    };
    let mut parts = Vec::new();
    if !message.content.is_empty() {
        parts.push(sign(json!({"text": message.content}), signature("text")));
    }
    for (position, call) in message.tool_calls.iter().enumerate() {
        let mut function = json!({"name": call.name, "args": call.arguments});
        if is_given(&call.id) {
            function["id"] = json!(call.id);
        }
        let foreign = kept.is_none() && is_signed && position == 0;
        let signature = signature(&position.to_string()).or_else(|| foreign.then(|| json!(NO_SIGNATURE)));
        parts.push(sign(json!({"functionCall": function}), signature));
    }
    parts
}

/// Whether calls of `model` have to be signed.
fn is_signed(model: &str) -> bool {
    let model = model.strip_prefix("models/").unwrap_or(model);
    let version = model.strip_prefix("gemini-").and_then(|rest| rest.split(['.', '-']).next());
    version.and_then(|version| version.parse::<u32>().ok()).is_some_and(|version| version >= 3)
}

fn result_part(message: &ChatMessage, names: &BTreeMap<&str, &str>) -> Value {
    let id = message.answers.as_deref().unwrap_or_default();
    let name = names.get(id).copied().unwrap_or_default();
    // The response has to be an object.
    let result: Value = serde_json::from_str(&message.content).unwrap_or_else(|_| json!(message.content));
    let response = if result.is_object() { result } else { json!({"result": result}) };
    let mut part = json!({"name": name, "response": response});
    if is_given(id) {
        part["id"] = json!(id);
    }
    json!({"functionResponse": part})
}

fn tool(tool: &ToolSignature) -> Value {
    let ToolSignature { name, description, parameters } = tool;
    json!({"name": name, "description": description, "parametersJsonSchema": **parameters})
}
