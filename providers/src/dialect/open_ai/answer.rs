//! Chat completions, whole and in chunks: a chunk has a `delta` where a whole answer has a `message`.

use serde::Deserialize;
use serde_json::{Value, json};
use superstep_runtime::{Finish, LikelyToken, TokenLogprob, UsageParts};

use super::super::typed;
use super::{Flavor, REASONING};
use crate::draft::{Draft, Tokens};
use crate::fault::{Fault, FaultKind};

#[derive(Deserialize)]
struct Completion {
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "delta")]
    message: Option<Message>,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Logprobs {
    content: Option<Vec<Logprob>>,
}

#[derive(Deserialize)]
struct Logprob {
    token: String,
    logprob: f64,
    #[serde(default)]
    top_logprobs: Vec<Likely>,
}

#[derive(Deserialize)]
struct Likely {
    token: String,
    logprob: f64,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Content>,
    refusal: Option<String>,
    /// DeepSeek's, vLLM's and xAI's name.
    reasoning_content: Option<String>,
    /// Groq's and OpenRouter's name.
    reasoning: Option<String>,
    tool_calls: Option<Vec<Call>>,
    /// Of a server of ours.
    keepsake: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    /// Mistral's, with its reasoning beside the text.
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text {
        text: String,
    },
    Thinking {
        thinking: Vec<Self>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

pub(in crate::dialect) fn read(flavor: Flavor, piece: Value, draft: &mut Draft) -> Result<(), Fault> {
    let completion: Completion = typed(piece)?;
    if let Some(usage) = completion.usage {
        draft.usage = tokens(&usage);
    }
    for choice in completion.choices.into_iter().flatten() {
        if let Some(message) = choice.message {
            if flavor.is_own {
                draft.keepsake = message.keepsake.clone().or(draft.keepsake.take());
            }
            take(message, draft)?;
        }
        if let Some(told) = choice.logprobs.and_then(|told| told.content) {
            draft.logprobs.get_or_insert_default().extend(told.into_iter().map(likely));
        }
        if let Some(reason) = choice.finish_reason {
            draft.finish = Some(finish(&reason)?);
        }
    }
    if flavor.wants_reasoning && !draft.calls.is_empty() && !draft.reasoning.is_empty() {
        draft.keepsake = Some(json!({ REASONING: draft.reasoning }));
    }
    Ok(())
}

fn likely(told: Logprob) -> TokenLogprob {
    let top = told.top_logprobs.into_iter();
    let top = top.map(|Likely { token, logprob }| LikelyToken { token, logprob }).collect();
    TokenLogprob { token: told.token, logprob: told.logprob, top }
}

fn take(message: Message, draft: &mut Draft) -> Result<(), Fault> {
    if let Some(refusal) = message.refusal.filter(|refusal| !refusal.is_empty()) {
        return Err(Fault::new(FaultKind::Filtered, refusal));
    }
    if let Some(reasoning) = message.reasoning_content.or(message.reasoning) {
        draft.think(&reasoning);
    }
    match message.content {
        Some(Content::Text(text)) => draft.say(&text),
        Some(Content::Parts(parts)) => parts.into_iter().for_each(|part| take_part(part, draft)),
        None => {}
    }
    for call in message.tool_calls.into_iter().flatten() {
        take_call(call, draft);
    }
    Ok(())
}

fn take_part(part: Part, draft: &mut Draft) {
    match part {
        Part::Text { text } => draft.say(&text),
        Part::Thinking { thinking } => {
            for part in thinking {
                if let Part::Text { text } = part {
                    draft.think(&text);
                }
            }
        }
        Part::Other => {}
    }
}

fn take_call(call: Call, draft: &mut Draft) {
    let Call { index, id, function } = call;
    let id = id.filter(|id| !id.is_empty());
    let name = function.as_ref().and_then(|function| function.name.clone()).unwrap_or_default();
    // A whole answer numbers no calls, nor do some servers in a stream: then one with an id or a name
    // begins, and one without goes on.
    let count = draft.calls.len() as u64;
    let begins = id.is_some() || !name.is_empty();
    let index = index.unwrap_or(if begins { count } else { count.saturating_sub(1) });
    let taken = draft.call(index);
    taken.id = id.or(taken.id.take());
    taken.name.push_str(&name);
    let Some(function) = function else { return };
    match function.arguments {
        Some(Value::String(text)) => taken.arguments.push_str(&text),
        Some(Value::Null) | None => {}
        Some(value) => taken.arguments = value.to_string(),
    }
}

fn finish(reason: &str) -> Result<Finish, Fault> {
    match reason {
        "length" | "model_length" => Ok(Finish::Length),
        "content_filter" => Err(Fault::new(FaultKind::Filtered, "finish_reason content_filter")),
        "error" => Err(Fault::new(FaultKind::Server, "finish_reason error")),
        // stop, tool_calls, function_call, and names that others have for these.
        _ => Ok(Finish::Stop),
    }
}

fn tokens(usage: &Usage) -> Tokens {
    // Some count reasoning in the total only.
    let rest =
        usage.total_tokens.zip(usage.prompt_tokens).map(|(total, prompt)| total.saturating_sub(prompt));
    let cached = usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
    let reasoning = usage.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens);
    Tokens {
        prompt: usage.prompt_tokens,
        completion: usage.completion_tokens.max(rest),
        parts: UsageParts { cached: cached.unwrap_or_default(), reasoning: reasoning.unwrap_or_default() },
    }
}
