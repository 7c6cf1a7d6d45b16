//! Anthropic's messages.

mod answer;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use superstep_runtime::{ChatMessage, ModelRequest, Role, ToolSignature};

use super::{Question, Settings, Wire, described_schema, instructions};
use crate::fault::Fault;
use crate::schema;

pub(super) use answer::read;

const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// The member of a keepsake: blocks of reasoning with their signatures, in their order.
const BLOCKS: &str = "anthropic_blocks";

/// `POST /messages`. Answers are held to a schema by `output_config.format`, and where a schema is outside
/// the subset that it takes, by words.
pub(super) fn write(question: &Question<'_>) -> Result<Wire, Fault> {
    let Question { request, model, stream, keeps_schemas } = *question;
    let mut body = settings(request)?;
    body.insert("model".to_owned(), json!(model));
    let schema = request.schema.as_deref().filter(|_| keeps_schemas);
    let held = schema.and_then(|schema| schema::within(schema, schema::ANTHROPIC));
    let described = if held.is_some() { None } else { described_schema(request) };
    if let Some(schema) = held {
        let format = json!({"type": "json_schema", "schema": schema});
        body.insert("output_config".to_owned(), json!({"format": format}));
    }
    if let Some(system) = instructions(request, described) {
        body.insert("system".to_owned(), json!(system));
    }
    body.insert("messages".to_owned(), Value::Array(conversation(request)));
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
    }
    if stream {
        body.insert("stream".to_owned(), json!(true));
    }
    let (name, version) = VERSION;
    let headers = vec![(HeaderName::from_static(name), HeaderValue::from_static(version))];
    Ok(Wire { path: "/messages".to_owned(), headers, body: Value::Object(body) })
}

fn settings(request: &ModelRequest) -> Result<Map<String, Value>, Fault> {
    let mut body = Settings::new(&request.sampling)
        .set("temperature", Some("temperature"), |sampling| sampling.temperature)
        .set("topP", Some("top_p"), |sampling| sampling.top_p)
        .set("topK", Some("top_k"), |sampling| sampling.top_k)
        .set("minP", None, |sampling| sampling.min_p)
        .set("presencePenalty", None, |sampling| sampling.presence_penalty)
        .set("frequencyPenalty", None, |sampling| sampling.frequency_penalty)
        .set("repetitionPenalty", None, |sampling| sampling.repetition_penalty)
        .set("seed", None, |sampling| sampling.seed)
        .finish()?;
    body.insert("max_tokens".to_owned(), json!(request.max_tokens()));
    if !request.sampling.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(request.sampling.stop));
    }
    Ok(body)
}

/// The turns. What one side says in several messages is one turn: all results of parallel calls have to
/// stand together.
fn conversation(request: &ModelRequest) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in request.messages.iter() {
        let (role, blocks) = match message.role {
            Role::System => continue,
            Role::User => ("user", text_block(&message.content)),
            Role::Assistant => ("assistant", answer_blocks(message)),
            Role::Tool => ("user", vec![result_block(message)]),
        };
        match turns.last_mut() {
            Some((last, before)) if *last == role => before.extend(blocks),
            Some(_) | None => turns.push((role, blocks)),
        }
    }
    turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect()
}

/// A text; one that is empty is refused as a block.
fn text_block(text: &str) -> Vec<Value> {
    if text.is_empty() { Vec::new() } else { vec![json!({"type": "text", "text": text})] }
}

fn answer_blocks(message: &ChatMessage) -> Vec<Value> {
    let kept = message.keepsake.as_ref().and_then(|keepsake| keepsake.get(BLOCKS)?.as_array());
    let mut blocks: Vec<Value> = kept.into_iter().flatten().cloned().collect();
    blocks.extend(text_block(&message.content));
    blocks.extend(message.tool_calls.iter().map(|call| {
        // The input has to be an object; what was none is refused by the check of arguments.
        let input = if call.arguments.is_object() { call.arguments.clone() } else { json!({}) };
        json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
    }));
    blocks
}

fn result_block(message: &ChatMessage) -> Value {
    json!({"type": "tool_result", "tool_use_id": message.answers, "content": message.content})
}

fn tool(tool: &ToolSignature) -> Value {
    let ToolSignature { name, description, parameters } = tool;
    json!({"name": name, "description": description, "input_schema": **parameters})
}
