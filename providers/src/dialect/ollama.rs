//! Ollama's own chat. A piece of a stream has the form of a whole answer.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use superstep_runtime::{ChatMessage, Finish, ModelRequest, Role};

use super::{Question, Settings, Wire, small_seed, typed};
use crate::draft::{Draft, Tokens};
use crate::fault::Fault;
use crate::schema;

/// `POST /api/chat`.
pub(super) fn write(question: &Question<'_>) -> Result<Wire, Fault> {
    let Question { request, model, stream, keeps_schemas } = *question;
    let mut messages: Vec<Value> = request.messages.iter().map(|message| written(message, request)).collect();
    let mut body = json!({"model": model, "stream": stream, "options": settings(request)?});
    match request.schema.as_deref() {
        Some(schema) if keeps_schemas => body["format"] = schema.clone(),
        Some(schema) => {
            messages.insert(0, json!({"role": "system", "content": schema::described(schema)}));
        }
        None => {}
    }
    body["messages"] = Value::Array(messages);
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": *tool.parameters}})
        });
        body["tools"] = tools.collect();
    }
    Ok(Wire { path: "/api/chat".to_owned(), headers: Vec::new(), body })
}

fn settings(request: &ModelRequest) -> Result<Map<String, Value>, Fault> {
    let mut options = Settings::new(&request.sampling)
        .set("temperature", Some("temperature"), |sampling| sampling.temperature)
        .set("topP", Some("top_p"), |sampling| sampling.top_p)
        .set("topK", Some("top_k"), |sampling| sampling.top_k)
        .set("minP", Some("min_p"), |sampling| sampling.min_p)
        .set("presencePenalty", Some("presence_penalty"), |sampling| sampling.presence_penalty)
        .set("frequencyPenalty", Some("frequency_penalty"), |sampling| sampling.frequency_penalty)
        .set("repetitionPenalty", Some("repeat_penalty"), |sampling| sampling.repetition_penalty)
        .finish()?;
    options.insert("seed".to_owned(), small_seed(request));
    options.insert("num_predict".to_owned(), json!(request.max_tokens()));
    if !request.sampling.stop.is_empty() {
        options.insert("stop".to_owned(), json!(request.sampling.stop));
    }
    Ok(options)
}

fn written(message: &ChatMessage, request: &ModelRequest) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut written = json!({"role": role, "content": message.content});
    if let Some(answers) = &message.answers {
        let mut calls = request.messages.iter().flat_map(|message| &message.tool_calls);
        written["tool_name"] = json!(calls.find(|call| call.id == *answers).map(|call| &call.name));
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter();
        let calls = calls.map(|call| json!({"function": {"name": call.name, "arguments": call.arguments}}));
        written["tool_calls"] = calls.collect();
    }
    written
}

#[derive(Deserialize)]
struct Piece {
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Value,
}

pub(super) fn read(piece: Value, draft: &mut Draft) -> Result<(), Fault> {
    let piece: Piece = typed(piece)?;
    if let Some(message) = piece.message {
        draft.think(&message.thinking.unwrap_or_default());
        draft.say(&message.content.unwrap_or_default());
        for call in message.tool_calls.into_iter().flatten() {
            draft.add_call(call.id, call.function.name, &call.function.arguments);
        }
    }
    if piece.done {
        let is_cut = piece.done_reason.as_deref() == Some("length");
        draft.finish = Some(if is_cut { Finish::Length } else { Finish::Stop });
        draft.usage =
            Tokens { prompt: piece.prompt_eval_count, completion: piece.eval_count, ..Tokens::default() };
    }
    Ok(())
}
