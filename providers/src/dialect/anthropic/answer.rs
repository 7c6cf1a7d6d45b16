//! Messages of Anthropic, whole and as events.

use serde::Deserialize;
use serde_json::{Value, json};
use superstep_runtime::{Finish, UsageParts};

use super::super::typed;
use super::BLOCKS;
use crate::draft::Draft;
use crate::fault::{Fault, FaultKind};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece {
    /// A whole answer.
    Message(Message),
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        index: u64,
        content_block: Value,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    MessageDelta {
        delta: End,
        usage: Option<Usage>,
    },
    /// What else there is: ping, content_block_stop, message_stop, and what may come.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Value>,
    stop_reason: Option<String>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    Thinking {
        thinking: String,
    },
    RedactedThinking,
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

pub(in crate::dialect) fn read(piece: Value, draft: &mut Draft) -> Result<(), Fault> {
    match typed(piece)? {
        Piece::Message(message) | Piece::MessageStart { message } => {
            for (index, block) in message.content.into_iter().enumerate() {
                begin(index as u64, block, draft)?;
            }
            take_usage(message.usage, draft);
            end(message.stop_reason, draft)
        }
        Piece::ContentBlockStart { index, content_block } => begin(index, content_block, draft),
        Piece::ContentBlockDelta { index, delta } => {
            go_on(index, delta, draft);
            Ok(())
        }
        Piece::MessageDelta { delta, usage } => {
            take_usage(usage, draft);
            end(delta.stop_reason, draft)
        }
        Piece::Other => Ok(()),
    }
}

/// Takes a block, or the beginning of one.
fn begin(index: u64, block: Value, draft: &mut Draft) -> Result<(), Fault> {
    match typed(block.clone())? {
        Block::Text { text } => draft.say(&text),
        Block::Thinking { thinking } => {
            draft.think(&thinking);
            draft.blocks.push((index, block));
        }
        Block::RedactedThinking => draft.blocks.push((index, block)),
        Block::ToolUse { id, name, input } => {
            let call = draft.call(index);
            call.id = Some(id);
            call.name = name;
            // A streamed block begins with an empty object, and its input comes after it.
            if input.as_object().is_some_and(|input| !input.is_empty()) {
                call.arguments = input.to_string();
            }
        }
        Block::Other => {}
    }
    Ok(())
}

fn go_on(index: u64, delta: Delta, draft: &mut Draft) {
    match delta {
        Delta::Text { text } => draft.say(&text),
        Delta::Thinking { thinking } => {
            draft.think(&thinking);
            lengthen(draft, index, "thinking", &thinking);
        }
        Delta::Signature { signature } => lengthen(draft, index, "signature", &signature),
        Delta::InputJson { partial_json } => draft.call(index).arguments.push_str(&partial_json),
        Delta::Other => {}
    }
}

/// Adds to a text of a block that is wanted back.
fn lengthen(draft: &mut Draft, index: u64, member: &str, more: &str) {
    let Some((_, block)) = draft.blocks.iter_mut().find(|(known, _)| *known == index) else { return };
    let before = block.get(member).and_then(Value::as_str).unwrap_or_default();
    block[member] = json!(format!("{before}{more}"));
}

fn take_usage(usage: Option<Usage>, draft: &mut Draft) {
    let Some(usage) = usage else { return };
    // The event at the end tells totals, and on some servers only those of the output.
    if let Some(input) = usage.input_tokens {
        let cached = usage.cache_read_input_tokens.unwrap_or_default();
        let stored = usage.cache_creation_input_tokens.unwrap_or_default();
        draft.usage.prompt = Some(input + cached + stored);
        draft.usage.parts = UsageParts { cached, ..draft.usage.parts };
    }
    draft.usage.completion = usage.output_tokens.or(draft.usage.completion);
    if let Some(thinking) = usage.output_tokens_details.and_then(|details| details.thinking_tokens) {
        draft.usage.parts.reasoning = thinking;
    }
}

fn end(reason: Option<String>, draft: &mut Draft) -> Result<(), Fault> {
    let Some(reason) = reason else { return Ok(()) };
    draft.finish = Some(match reason.as_str() {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "refusal" => return Err(Fault::new(FaultKind::Filtered, "stop_reason refusal")),
        // end_turn, stop_sequence, tool_use, and what may come.
        _ => Finish::Stop,
    });
    if !draft.calls.is_empty() && !draft.blocks.is_empty() {
        let blocks: Vec<&Value> = draft.blocks.iter().map(|(_, block)| block).collect();
        draft.keepsake = Some(json!({ BLOCKS: blocks }));
    }
    Ok(())
}
