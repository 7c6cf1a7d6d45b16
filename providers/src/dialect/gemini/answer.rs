//! Answers of Gemini.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use superstep_runtime::{Finish, UsageParts};

use super::super::typed;
use super::SIGNATURES;
use crate::draft::{Draft, Tokens};
use crate::fault::{Fault, FaultKind};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<Usage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
    finish_message: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
}

#[derive(Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
}

pub(in crate::dialect) fn read(piece: Value, draft: &mut Draft) -> Result<(), Fault> {
    let response: Response = typed(piece)?;
    if let Some(reason) = response.prompt_feedback.and_then(|feedback| feedback.block_reason) {
        return Err(Fault::new(FaultKind::Filtered, format!("blockReason {reason}")));
    }
    if let Some(usage) = response.usage_metadata {
        draft.usage = tokens(&usage);
    }
    // There is one candidate, for no more are asked for.
    let Some(candidate) = response.candidates.into_iter().next() else { return Ok(()) };
    for part in candidate.content.into_iter().flat_map(|content| content.parts) {
        take(part, draft);
    }
    if let Some(reason) = candidate.finish_reason {
        draft.finish = Some(finish(&reason, candidate.finish_message)?);
    }
    Ok(())
}

fn take(part: Part, draft: &mut Draft) {
    let signed = match (part.text, part.function_call) {
        (_, Some(call)) => {
            let position = draft.calls.len();
            draft.add_call(call.id, call.name, &Value::Object(call.args));
            position.to_string()
        }
        (Some(text), None) if part.thought => {
            draft.think(&text);
            return;
        }
        (Some(text), None) => {
            draft.say(&text);
            "text".to_owned()
        }
        (None, None) => return,
    };
    if let Some(signature) = part.thought_signature {
        let keepsake = draft.keepsake.get_or_insert_with(|| json!({ SIGNATURES: {} }));
        keepsake[SIGNATURES][signed] = json!(signature);
    }
}

fn finish(reason: &str, message: Option<String>) -> Result<Finish, Fault> {
    let told = |kind| {
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        Err(Fault::new(kind, format!("finishReason {reason}{message}")))
    };
    match reason {
        "MAX_TOKENS" => Ok(Finish::Length),
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
        | "IMAGE_SAFETY" => told(FaultKind::Filtered),
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE"
        | "OTHER" => told(FaultKind::Server),
        // STOP, and what may come.
        _ => Ok(Finish::Stop),
    }
}

fn tokens(usage: &Usage) -> Tokens {
    let reasoning = usage.thoughts_token_count.unwrap_or_default();
    let of_tools = usage.tool_use_prompt_token_count.unwrap_or_default();
    Tokens {
        prompt: usage.prompt_token_count.map(|prompt| prompt + of_tools),
        completion: usage
            .candidates_token_count
            .or(usage.thoughts_token_count.map(|_| 0))
            .map(|text| text + reasoning),
        parts: UsageParts { cached: usage.cached_content_token_count.unwrap_or_default(), reasoning },
    }
}
