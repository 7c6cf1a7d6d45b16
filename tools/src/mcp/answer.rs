//! What a server answers to a call.

use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use serde_json::{Value, json};
use superstep_engine::Payload;

/// The most bytes of an error of a tool that its failure shows.
const SHOWN: usize = 2_048;

/// The payload: what is structured, else the text as `{text: …}`, with other content beside it as the
/// list `content`.
///
/// # Errors
/// What the tool says went wrong, or that it wants what cannot be given.
pub(super) fn payload(response: CallToolResponse) -> Result<Payload, String> {
    let result = match response {
        CallToolResponse::Complete(result) => result,
        CallToolResponse::InputRequired(_) => {
            return Err("it asks for more input, which a run does not give".to_owned());
        }
        CallToolResponse::Task(_) => return Err("it answers later, which was not asked for".to_owned()),
        _ => return Err("it answers in a way that is not known".to_owned()),
    };
    if result.is_error == Some(true) {
        return Err(complaint(&result));
    }
    if let Some(structured) = result.structured_content {
        return Ok(structured.into());
    }
    let text = text_of(&result.content);
    let other: Vec<Value> = result
        .content
        .iter()
        .filter(|block| !matches!(block, ContentBlock::Text(_)))
        .map(|block| serde_json::to_value(block).expect("content came as JSON"))
        .collect();
    Ok(if other.is_empty() { json!({ "text": text }) } else { json!({ "text": text, "content": other }) }
        .into())
}

fn text_of(content: &[ContentBlock]) -> String {
    let texts = content.iter().filter_map(|block| {
        if let ContentBlock::Text(text) = block { Some(text.text.as_str()) } else { None }
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn complaint(result: &CallToolResult) -> String {
    let mut text = text_of(&result.content);
    if text.is_empty() {
        text = result.structured_content.as_ref().map_or_else(|| "it failed".to_owned(), Value::to_string);
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= SHOWN).last().unwrap_or_default();
    if text.len() > SHOWN {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(result: Value) -> Result<Value, String> {
        let result: CallToolResult = serde_json::from_value(result).unwrap();
        payload(CallToolResponse::Complete(result)).map(|payload| payload.value().clone())
    }

    #[test]
    fn what_is_structured_comes_first() {
        let text = |text: &str| json!({"type": "text", "text": text});
        let image = json!({"type": "image", "data": "AA==", "mimeType": "image/png"});
        for (result, expected) in [
            (json!({"content": [text("{\"a\":1}")], "structuredContent": {"a": 1}}), json!({"a": 1})),
            (json!({"content": [text("a"), text("b")]}), json!({"text": "a\nb"})),
            (json!({"content": [text("1")]}), json!({"text": "1"})),
            (json!({"content": []}), json!({"text": ""})),
            (json!({"content": [text("a"), image]}), json!({"text": "a", "content": [image]})),
        ] {
            assert_eq!(read(result).unwrap(), expected);
        }
    }

    #[test]
    fn errors_of_tools_are_errors() {
        let long = "é".repeat(3_000);
        let error = read(json!({"isError": true, "content": [{"type": "text", "text": long}]})).unwrap_err();
        assert!(error.len() <= SHOWN && error.len() > SHOWN - 4, "{}", error.len());
        let error = read(json!({"isError": true, "content": [], "structuredContent": {"code": 7}}));
        assert_eq!(error, Err("{\"code\":7}".to_owned()));
        assert_eq!(read(json!({"isError": true, "content": []})), Err("it failed".to_owned()));
    }
}
