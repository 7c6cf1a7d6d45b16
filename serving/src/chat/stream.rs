//! Answers in pieces, as they are written.

use bytes::Bytes;
use serde_json::{Value, json};

use super::reply::{Form, Reply, beside, call, logprobs};
use crate::event_stream::Telling;
use crate::flight::{Choice, Progress};
use crate::refusal::Refusal;

/// Answers in pieces.
pub(super) struct Pieces {
    form: Form,
    told: Vec<Told>,
}

/// What was told of one answer.
#[derive(Clone, Copy)]
enum Told {
    /// Not even that it begins.
    Nothing,
    /// So many bytes of its text.
    Text(usize),
    /// All of it.
    All,
}

impl Pieces {
    pub(super) fn new(form: Form) -> Self {
        Self { form, told: Vec::new() }
    }
}

impl Telling for Pieces {
    fn tell(&mut self, progress: &Progress, pieces: &mut Vec<Bytes>) -> bool {
        self.told.resize(progress.choices.len(), Told::Nothing);
        let mut events = Vec::new();
        for (index, choice) in progress.choices.iter().enumerate() {
            self.told[index] = tell(&self.form, index, choice, self.told[index], &mut events);
        }
        let is_over = self.told.iter().all(|told| matches!(told, Told::All));
        if is_over && self.form.includes_usage() {
            events.push(self.form.usage_chunk(progress));
        }
        pieces.extend(events.iter().map(event));
        if is_over {
            pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
        }
        is_over
    }

    fn fail(&mut self, refusal: &Refusal, pieces: &mut Vec<Bytes>) {
        pieces.push(event(&refusal.body()));
    }
}

fn event(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// Tells what is new of one answer, and says what was told of it then.
fn tell(form: &Form, index: usize, choice: &Choice, told: Told, events: &mut Vec<Value>) -> Told {
    let mut chunk = |delta: Value, finish: Option<&str>, logprobs: Value| {
        let choice = json!({"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs});
        events.push(form.chunk(json!([choice])));
    };
    let from = match told {
        Told::All => return Told::All,
        // Nothing is told of an answer that may yet be refused.
        Told::Nothing if choice.text.is_empty() && choice.ended.is_none() => return Told::Nothing,
        Told::Nothing => {
            chunk(json!({"role": "assistant", "content": "", "refusal": null}), None, Value::Null);
            0
        }
        Told::Text(bytes) => bytes,
    };
    let Some(Ok(answer)) = &choice.ended else {
        if form.holds_back() || choice.text.len() == from {
            return Told::Text(from);
        }
        chunk(json!({"content": choice.text[from..]}), None, Value::Null);
        return Told::Text(choice.text.len());
    };
    let Reply { text, calls, finish } = form.reply(answer);
    if let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
        chunk(json!({"content": rest}), None, Value::Null);
    }
    let more = beside(answer);
    if !more.is_empty() {
        chunk(Value::Object(more), None, Value::Null);
    }
    if !calls.is_empty() {
        let calls = calls.iter().enumerate().map(|(number, wanted)| {
            let mut wanted = call(wanted);
            wanted["index"] = json!(number);
            wanted
        });
        chunk(json!({"tool_calls": calls.collect::<Vec<Value>>()}), None, Value::Null);
    }
    chunk(json!({}), Some(finish), logprobs(answer));
    Told::All
}
