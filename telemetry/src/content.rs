//! Prompts and answers in the form that the conventions for generative AI give them.

use serde_json::{Value, json};
use superstep_runtime::{ChatMessage, Finish, ModelRequest, RecordedAnswer, Role};

/// The value of `gen_ai.system_instructions`, if there are instructions.
pub(crate) fn instructions(request: &ModelRequest) -> Option<String> {
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let parts: Vec<Value> = system.map(|message| text(&message.content)).collect();
    (!parts.is_empty()).then(|| Value::from(parts).to_string())
}

/// The value of `gen_ai.input.messages`.
pub(crate) fn input(request: &ModelRequest) -> String {
    let said = request.messages.iter().filter(|message| message.role != Role::System);
    said.map(message).collect::<Value>().to_string()
}

/// The value of `gen_ai.output.messages`.
pub(crate) fn output(answer: &RecordedAnswer) -> String {
    let reasoning = answer.reasoning.iter();
    let mut parts: Vec<Value> =
        reasoning.map(|reasoning| json!({"type": "reasoning", "content": reasoning})).collect();
    if !answer.text.is_empty() {
        parts.push(text(&answer.text));
    }
    parts.extend(answer.tool_calls.iter().map(
        |call| json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}),
    ));
    json!([{"role": "assistant", "parts": parts, "finish_reason": finish_reason(answer)}]).to_string()
}

/// Why the model stopped, in the words of the conventions.
pub(crate) fn finish_reason(answer: &RecordedAnswer) -> &'static str {
    match answer.finish {
        Finish::Length => "length",
        Finish::Stop if answer.tool_calls.is_empty() => "stop",
        Finish::Stop => "tool_call",
    }
}

fn text(content: &str) -> Value {
    json!({"type": "text", "content": content})
}

fn message(message: &ChatMessage) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut parts = Vec::new();
    match &message.answers {
        Some(id) => parts.push(json!({"type": "tool_call_response", "id": id, "response": message.content})),
        None if !message.content.is_empty() => parts.push(text(&message.content)),
        None => {}
    }
    parts.extend(message.tool_calls.iter().map(
        |call| json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}),
    ));
    json!({"role": role, "parts": parts})
}
