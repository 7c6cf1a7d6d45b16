//! How a response is written.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use superstep_runtime::{Finish, ModelAnswer};

use super::item::{IN_PROGRESS, Item};
use crate::refusal::Refusal;
use crate::tool_use::AnswerReader;

/// How the response to one request is written.
pub(super) struct Form {
    /// Hexadecimal digits, of which all ids are made.
    pub(super) digits: String,
    /// Seconds since 1970.
    created: u64,
    /// What the request has said, as the response repeats it: members, and what is between them. It may be as long as a
    /// request may be, and each event that holds the response shares it.
    said: Bytes,
    reader: AnswerReader,
    /// Calls of tools in the conversation so far.
    calls_before: usize,
}

impl Form {
    /// How the response to a request is written that has said this, which is something.
    pub(super) fn new(said: &Map<String, Value>, reader: AnswerReader, calls_before: usize) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let digits = format!("{:016x}", RandomState::new().hash_one(created));
        let mut said = serde_json::to_string(said).expect("its keys are texts").into_bytes();
        // Without its braces.
        said.pop();
        let said = Bytes::from(said).slice(1..);
        Self { digits, created, said, reader, calls_before }
    }

    /// How many bytes of the request are kept as long as the response is not read.
    pub(super) fn kept(&self) -> usize {
        self.said.len()
    }

    /// A response as it is sent: with what the request has said.
    pub(super) fn written(&self, response: &Value) -> [Bytes; 3] {
        let mut own = response.to_string();
        // Its members go on.
        own.pop();
        own.push(',');
        [own.into(), self.said.clone(), Bytes::from_static(b"}")]
    }

    /// Whether text is held back until it is known whether it is a call.
    pub(super) fn holds_back(&self) -> bool {
        self.reader.is_prompted()
    }

    /// The items of an answer.
    pub(super) fn items(&self, answer: &ModelAnswer, is_text_told: bool) -> Vec<Item> {
        Item::all(answer, self.reader, self.calls_before, is_text_told)
    }

    /// The whole response.
    pub(super) fn whole(&self, answer: &ModelAnswer) -> Value {
        self.ended(answer, &self.items(answer, false))
    }

    /// The response as it begins.
    pub(super) fn begun(&self) -> Value {
        self.response(IN_PROGRESS, &[])
    }

    /// The response whose output these items are.
    pub(super) fn ended(&self, answer: &ModelAnswer, items: &[Item]) -> Value {
        let items = items.iter().enumerate();
        let output: Vec<Value> =
            items.map(|(number, item)| item.whole(&item.id(&self.digits, number))).collect();
        let mut response = self.response(status(answer), &output);
        if answer.finish == Finish::Length {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        response["usage"] = usage(answer);
        response
    }

    /// The response that has failed.
    pub(super) fn failed(&self, refusal: &Refusal) -> Value {
        let mut response = self.response("failed", &[]);
        let code = if refusal.status.is_client_error() { "invalid_prompt" } else { "server_error" };
        response["error"] = json!({"code": code, "message": refusal.body()["error"]["message"]});
        response
    }

    /// Its own members, beside what the request has said.
    fn response(&self, status: &str, output: &[Value]) -> Value {
        json!({
            "id": format!("resp_{}", self.digits), "object": "response", "created_at": self.created,
            "status": status, "output": output, "error": null, "incomplete_details": null, "usage": null,
            "background": false, "store": false, "previous_response_id": null, "truncation": "disabled",
        })
    }
}

/// How an answer ended.
pub(super) fn status(answer: &ModelAnswer) -> &'static str {
    match answer.finish {
        Finish::Stop => "completed",
        Finish::Length => "incomplete",
    }
}

fn usage(answer: &ModelAnswer) -> Value {
    let (read, written) = (answer.usage.prompt_tokens, answer.usage.completion_tokens);
    json!({"input_tokens": read, "output_tokens": written, "total_tokens": read + written,
        "input_tokens_details": {"cached_tokens": answer.parts.cached, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": answer.parts.reasoning}})
}
