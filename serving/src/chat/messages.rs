//! The conversation.

use serde_json::Value;
use superstep_runtime::{ChatMessage, Role, ToolCall};

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::tool_use::read_arguments;

/// The messages of a conversation, at least one.
pub(super) fn read_messages(messages: Vec<Value>) -> Result<Vec<ChatMessage>, Refusal> {
    if messages.is_empty() {
        return Err(Refusal::of_field("messages", "messages has none"));
    }
    let place = |number: usize| format!("messages[{number}]");
    messages.into_iter().enumerate().map(|(number, message)| read_message(&place(number), message)).collect()
}

fn read_message(place: &str, message: Value) -> Result<ChatMessage, Refusal> {
    let mut fields = Fields::of(place, message)?;
    let role = match fields.need::<String>("role")?.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => {
            let message = format!("{other:?} is none of system, developer, user, assistant, tool");
            return Err(Refusal::of_field(fields.name("role"), message));
        }
    };
    let content = fields.take("content")?.map_or(Ok(String::new()), |content| text(&fields, content))?;
    let mut read = ChatMessage::new(role, content);
    match role {
        Role::Assistant => {
            let calls: Vec<Value> = fields.take("tool_calls")?.unwrap_or_default();
            let place = fields.name("tool_calls");
            let calls = calls.into_iter().enumerate();
            let calls = calls.map(|(number, call)| read_call(&format!("{place}[{number}]"), call));
            read.tool_calls = calls.collect::<Result<_, _>>()?;
            read.keepsake = fields.take("keepsake")?;
            // What was thought is no part of the conversation.
            fields.ignore(&["reasoning_content"]);
        }
        Role::Tool => read.answers = Some(fields.need("tool_call_id")?),
        Role::System | Role::User => {}
    }
    fields.finish()?;
    Ok(read)
}

/// A text, or its parts.
fn text(fields: &Fields, content: Value) -> Result<String, Refusal> {
    let parts = match content {
        Value::String(text) => return Ok(text),
        Value::Array(parts) => parts,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            let place = fields.name("content");
            return Err(Refusal::of_field(place.as_str(), format!("{place} is a text, or parts of one")));
        }
    };
    let mut whole = String::new();
    for (number, part) in parts.into_iter().enumerate() {
        let place = format!("{}[{number}]", fields.name("content"));
        let mut part = Fields::of(&place, part)?;
        let kind: String = part.need("type")?;
        if kind != "text" {
            let message = format!("this server reads texts alone, and {place} is {kind:?}");
            return Err(Refusal::unsupported(place, message));
        }
        whole.push_str(&part.need::<String>("text")?);
        part.finish()?;
    }
    Ok(whole)
}

/// A call of a tool that was made before.
fn read_call(place: &str, call: Value) -> Result<ToolCall, Refusal> {
    let mut call = Fields::of(place, call)?;
    let mut function = Fields::of(&call.name("function"), call.need("function")?)?;
    let arguments: String = function.take("arguments")?.unwrap_or_default();
    let arguments = read_arguments(arguments);
    let read = ToolCall { id: call.need("id")?, name: function.need("name")?, arguments };
    call.ignore(&["type", "index"]);
    call.finish()?;
    function.finish()?;
    Ok(read)
}
