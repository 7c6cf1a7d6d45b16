//! Tool calling for models without it: they are told of tools in their instructions, and call them by
//! JSON that they write.
//!
//! A call is `{"call": [{"name": …, "arguments": {…}}]}`, an answer `{"answer": …}`, and what tools gave is
//! said to the model as `{"results": [{"name": …, "result": …}]}`, with `error` in place of `result` where
//! one failed.

mod dialects;
mod held;

use std::ops::Range;

use serde::Serialize;
use serde_json::{Map, Value, json};
use superstep_graph::canonical_json;

use crate::model::{ChatMessage, Role, ToolCall};
use crate::programs::bare;
use crate::tool::ToolSignature;

pub use held::{MAX_CALLS, schema};

/// What the system message says of `tools`, where the answer is to fit `schema`, or is a text.
pub fn instructions(tools: &[ToolSignature], schema: Option<&Value>) -> String {
    let answer = match schema {
        None => "{\"answer\": \"…\"}".to_owned(),
        Some(schema) => format!("{{\"answer\": …}}\nwhere the answer fits this JSON schema: {schema}"),
    };
    let mut text = format!(
        "You can call tools. To call some, answer with nothing but JSON of this form:\n\
         {{\"call\": [{{\"name\": \"TOOL\", \"arguments\": {{…}}}}]}}\n\
         You are then told what they gave: {{\"results\": [{{\"name\": \"TOOL\", \"result\": …}}]}}, with \
         \"error\" in place of \"result\" where one failed.\n\
         When you need no more tools, answer with nothing but JSON of this form:\n\
         {answer}\n\
         These are the tools, with the JSON schema of their arguments:"
    );
    for tool in tools {
        text.push_str(&format!("\n- {}: {}\n  {}", tool.name, tool.description, tool.parameters));
    }
    text
}

/// What the model is told that its calls have given: a value each, or why there is none.
pub fn results<T: Serialize>(calls: &[ToolCall], answers: Vec<Result<T, String>>) -> ChatMessage {
    let result = |(call, answer): (&ToolCall, Result<T, String>)| match answer {
        Ok(value) => json!({"name": call.name, "result": value}),
        Err(why) => json!({"name": call.name, "error": why}),
    };
    let results: Vec<Value> = calls.iter().zip(answers).map(result).collect();
    ChatMessage::new(Role::User, canonical_json(&json!({ "results": results })))
}

/// What a text of the model says.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// Tools to be called.
    Calls(Vec<ToolCall>),
    /// The answer.
    Answer(Value),
    /// Something meant as a call that is none, and why.
    Unreadable(String),
    /// Nothing of the kind.
    Text,
}

/// Reads a text that should be JSON: it may stand in a fence or between words, in several pieces, and a call
/// may stand without its envelope, or as the family of the model was trained to write it.
pub fn read(text: &str) -> Said {
    let found = values(text);
    // A mark of a family inside of JSON is a part of what is said there, as in an answer that quotes one.
    let is_quoted = |mark: usize| found.iter().any(|(place, _)| place.contains(&mark));
    let mut values = Vec::new();
    if dialects::first_mark(text).is_some_and(|mark| !is_quoted(mark)) {
        values = dialects::calls(text);
    }
    if values.is_empty() {
        values = found.into_iter().map(|(_, value)| value).collect();
    }
    let mut calls = Vec::new();
    for value in &values {
        for item in wanted(value) {
            match call(item, calls.len()) {
                Ok(call) => calls.push(call),
                Err(why) => return Said::Unreadable(why),
            }
        }
    }
    if !calls.is_empty() {
        return Said::Calls(calls);
    }
    match values.iter().find_map(|value| value.get("answer")) {
        Some(answer) => Said::Answer(answer.clone()),
        None => Said::Text,
    }
}

/// The JSON objects and lists in a text, and where they stand.
fn values(text: &str) -> Vec<(Range<usize>, Value)> {
    if let Ok(value) = serde_json::from_str(bare(text)) {
        return vec![(0..text.len(), value)];
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(skipped) = text[at..].find(['{', '[']) {
        at += skipped;
        let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        at = match stream.next() {
            Some(Ok(value)) => {
                let end = at + stream.byte_offset();
                found.push((at..end, value));
                end
            }
            Some(Err(_)) | None => at + 1,
        };
    }
    found
}

/// What of a value is meant as calls.
fn wanted(value: &Value) -> Vec<&Value> {
    let is_call = |value: &Value| value.get("name").is_some() && arguments(value).is_some();
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(is_call) => items.iter().collect(),
        Value::Object(members) => match members.get("call").or_else(|| members.get("calls")) {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one) => vec![one],
            None if is_call(value) && !members.contains_key("answer") => vec![value],
            None => Vec::new(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Vec::new(),
    }
}

/// The arguments of a call, which Llama 3 and Gemma 3 call parameters; so does the description of a tool, which is no
/// call.
fn arguments(call: &Value) -> Option<&Value> {
    let parameters = || call.get("parameters").filter(|_| call.get("description").is_none());
    call.get("arguments").or_else(parameters)
}

fn call(value: &Value, position: usize) -> Result<ToolCall, String> {
    let Some(name) = value.get("name").and_then(Value::as_str) else {
        return Err("a call has the form {\"name\": …, \"arguments\": {…}}".to_owned());
    };
    let arguments = match arguments(value) {
        None | Some(Value::Null) => Value::Object(Map::new()),
        // Some write the arguments as a text that holds JSON.
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Some(value) => value.clone(),
    };
    Ok(ToolCall { id: format!("call_{position}"), name: name.to_owned(), arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_however_they_are_written() {
        let rome = ("weather", json!({"city": "Rome"}));
        let oslo = ("weather", json!({"city": "Oslo"}));
        for (text, expected) in [
            (r#"{"call": [{"name": "weather", "arguments": {"city": "Rome"}}]}"#, vec![&rome]),
            (r#"{"call": {"name": "weather", "arguments": {"city": "Rome"}}}"#, vec![&rome]),
            (
                "```json\n{\"call\": {\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}}\n```",
                vec![&rome],
            ),
            (
                "I look.\n```\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n```\nand {then}\n\
                 {\"name\": \"weather\", \"arguments\": \"{\\\"city\\\": \\\"Oslo\\\"}\"}",
                vec![&rome, &oslo],
            ),
            (
                r#"[{"name": "weather", "arguments": {"city": "Rome"}}, {"name": "weather", "arguments": {"city": "Oslo"}}]"#,
                vec![&rome, &oslo],
            ),
            (r#"{"calls": [{"name": "now"}]}"#, vec![&("now", json!({}))]),
            // Hermes and Qwen.
            (
                "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>\n<tool_call>\n\
                 {\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>",
                vec![&rome, &oslo],
            ),
            // Llama 3.
            (
                "<|python_tag|>{\"name\": \"weather\", \"parameters\": {\"city\": \"Rome\"}}; \
                 {\"name\": \"weather\", \"parameters\": {\"city\": \"Oslo\"}}",
                vec![&rome, &oslo],
            ),
            // Mistral, older and newer, and Phi-4.
            (
                r#"[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Rome"}, "id": "a1B2c3D4e"}]"#,
                vec![&rome],
            ),
            (r#"[TOOL_CALLS]weather[ARGS]{"city": "Rome"}"#, vec![&rome]),
            (
                r#"<|tool_call|>[{"name": "weather", "arguments": {"city": "Rome"}}]<|/tool_call|>"#,
                vec![&rome],
            ),
        ] {
            let Said::Calls(calls) = read(text) else { panic!("{text}: {:?}", read(text)) };
            let calls: Vec<_> =
                calls.iter().map(|call| (call.name.as_str(), call.arguments.clone())).collect();
            assert_eq!(calls, expected.into_iter().cloned().collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn answers_and_texts_are_told_apart_from_calls() {
        for (text, expected) in [
            (r#"{"answer": "7 degrees"}"#, Said::Answer(json!("7 degrees"))),
            ("Here: {\"answer\": {\"n\": 1}}.", Said::Answer(json!({"n": 1}))),
            (r#"{"answer": "x", "name": "n", "arguments": {}}"#, Said::Answer(json!("x"))),
            ("It is 7 degrees {really} [1].", Said::Text),
            (r#"{"kind": "bug"}"#, Said::Text),
            (r#"{"name": "now", "description": "Tells the time.", "parameters": {}}"#, Said::Text),
            ("[[[[{{{{", Said::Text),
            (
                r#"{"answer": "Write <function=now>{}</function>, or [TOOL_CALLS]now{}."}"#,
                Said::Answer(json!("Write <function=now>{}</function>, or [TOOL_CALLS]now{}.")),
            ),
            (
                "So:\n```\n{\"answer\": \"<start_function_call>call:now{}<end_function_call>\"}\n```",
                Said::Answer(json!("<start_function_call>call:now{}<end_function_call>")),
            ),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(matches!(read(r#"{"call": [{"tool": "weather"}]}"#), Said::Unreadable(_)));
    }
}
