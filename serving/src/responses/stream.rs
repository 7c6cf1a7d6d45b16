//! A response as events with types.

use bytes::Bytes;
use serde_json::{Value, json};
use superstep_runtime::{ModelAnswer, ToolCall};
use tokio::sync::OwnedSemaphorePermit;

use super::form::{Form, status};
use super::item::{IN_PROGRESS, Item, MESSAGE, item_id, message, reasoning_part, text_part};
use crate::event_stream::Telling;
use crate::flight::Progress;
use crate::refusal::Refusal;
use crate::tool_use::written_arguments;

/// The events of a response.
pub(super) struct Events {
    form: Form,
    /// The number of the next one.
    number: u64,
    told: Told,
    /// The room for what the request has said, given back once all is read.
    _room: OwnedSemaphorePermit,
}

/// What was told of the response.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// Not even that it begins.
    Nothing,
    /// That it begins.
    Begin,
    /// So many bytes of its text, which is the first item.
    Text(usize),
}

/// Where an item stands in the output.
struct Place {
    id: String,
    index: usize,
}

impl Events {
    pub(super) fn new(form: Form, room: OwnedSemaphorePermit) -> Self {
        Self { form, number: 0, told: Told::Nothing, _room: room }
    }

    fn event(&mut self, kind: &str, mut members: Value) -> Bytes {
        members["type"] = kind.into();
        members["sequence_number"] = self.number.into();
        self.number += 1;
        Bytes::from(format!("event: {kind}\ndata: {members}\n\n"))
    }

    /// An event that holds the response, in pieces: what it repeats of the request is not copied.
    fn of_response(&mut self, kind: &str, response: &Value, events: &mut Vec<Bytes>) {
        let number = self.number;
        self.number += 1;
        let head =
            format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number},\"response\":");
        events.push(head.into());
        events.extend(self.form.written(response));
        events.push(Bytes::from_static(b"}\n\n"));
    }

    /// An event about an item.
    fn of_item(&mut self, kind: &str, place: &Place, mut members: Value) -> Bytes {
        members["item_id"] = place.id.as_str().into();
        members["output_index"] = place.index.into();
        self.event(kind, members)
    }

    /// An event about the content of an item, which is one part.
    fn of_part(&mut self, kind: &str, place: &Place, mut members: Value) -> Bytes {
        members["content_index"] = 0.into();
        self.of_item(kind, place, members)
    }

    /// Tells that the response begins, unless that is known.
    fn begin(&mut self, events: &mut Vec<Bytes>) {
        if self.told == Told::Nothing {
            for kind in ["response.created", "response.in_progress"] {
                let begun = self.form.begun();
                self.of_response(kind, &begun, events);
            }
            self.told = Told::Begin;
        }
    }

    /// Tells what is new of the text, which is the first item.
    fn write(&mut self, text: &str, events: &mut Vec<Bytes>) {
        let place = Place { id: item_id(MESSAGE, &self.form.digits, 0), index: 0 };
        let from = match self.told {
            Told::Text(from) => from,
            Told::Nothing | Told::Begin => {
                self.add(&place, &message(&place.id, IN_PROGRESS, &[]), events);
                let part = json!({"part": text_part("", &[])});
                events.push(self.of_part("response.content_part.added", &place, part));
                0
            }
        };
        if let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
            let delta = json!({"delta": rest, "logprobs": []});
            events.push(self.of_part("response.output_text.delta", &place, delta));
        }
        self.told = Told::Text(text.len().max(from));
    }

    /// Tells all that is left of an answer that has ended.
    fn end(&mut self, answer: &ModelAnswer, events: &mut Vec<Bytes>) {
        let is_text_told = matches!(self.told, Told::Text(_));
        let items = self.form.items(answer, is_text_told);
        for (index, item) in items.iter().enumerate() {
            let place = Place { id: item.id(&self.form.digits, index), index };
            if !(is_text_told && index == 0) {
                self.add(&place, &item.empty(&place.id), events);
            }
            match item {
                Item::Message { text, likelihoods, .. } => {
                    let told = match self.told {
                        Told::Text(told) if is_text_told => Some(told),
                        Told::Text(_) | Told::Begin | Told::Nothing => None,
                    };
                    self.message(&place, text, likelihoods, told, events);
                }
                Item::Reasoning { text, .. } => self.reasoning(&place, text.as_deref(), events),
                Item::Call(call) => self.call(&place, call, events),
            }
            let done = json!({"output_index": place.index, "item": item.whole(&place.id)});
            events.push(self.event("response.output_item.done", done));
        }
        let kind = format!("response.{}", status(answer));
        let response = self.form.ended(answer, &items);
        self.of_response(&kind, &response, events);
    }

    fn add(&mut self, place: &Place, item: &Value, events: &mut Vec<Bytes>) {
        let added = json!({"output_index": place.index, "item": item});
        events.push(self.event("response.output_item.added", added));
    }

    /// Tells what is left of a message, of whose text so many bytes were told.
    fn message(
        &mut self,
        place: &Place,
        text: &str,
        likelihoods: &[Value],
        told: Option<usize>,
        events: &mut Vec<Bytes>,
    ) {
        if told.is_none() {
            let part = json!({"part": text_part("", &[])});
            events.push(self.of_part("response.content_part.added", place, part));
        }
        if let Some(rest) = text.get(told.unwrap_or(0)..).filter(|rest| !rest.is_empty()) {
            let delta = json!({"delta": rest, "logprobs": []});
            events.push(self.of_part("response.output_text.delta", place, delta));
        }
        let done = json!({"text": text, "logprobs": likelihoods});
        events.push(self.of_part("response.output_text.done", place, done));
        let part = json!({"part": text_part(text, likelihoods)});
        events.push(self.of_part("response.content_part.done", place, part));
    }

    fn reasoning(&mut self, place: &Place, text: Option<&str>, events: &mut Vec<Bytes>) {
        let Some(text) = text else { return };
        for (kind, members) in [
            ("response.content_part.added", json!({"part": reasoning_part("")})),
            ("response.reasoning_text.delta", json!({"delta": text})),
            ("response.reasoning_text.done", json!({"text": text})),
            ("response.content_part.done", json!({"part": reasoning_part(text)})),
        ] {
            events.push(self.of_part(kind, place, members));
        }
    }

    fn call(&mut self, place: &Place, call: &ToolCall, events: &mut Vec<Bytes>) {
        let arguments = written_arguments(call);
        let delta = json!({"delta": arguments});
        events.push(self.of_item("response.function_call_arguments.delta", place, delta));
        let done = json!({"name": call.name, "arguments": arguments});
        events.push(self.of_item("response.function_call_arguments.done", place, done));
    }
}

impl Telling for Events {
    fn tell(&mut self, progress: &Progress, events: &mut Vec<Bytes>) -> bool {
        // That the response begins is told at once: what fails from now on is an event in any case.
        self.begin(events);
        if let Some(answer) = progress.answer() {
            self.end(answer, events);
            return true;
        }
        let written = progress.choices.first().map_or("", |choice| &choice.text);
        if !written.is_empty() && !self.form.holds_back() {
            self.write(written, events);
        }
        false
    }

    fn fail(&mut self, refusal: &Refusal, events: &mut Vec<Bytes>) {
        self.begin(events);
        let response = self.form.failed(refusal);
        self.of_response("response.failed", &response, events);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Map;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::fields::{Fields, Shape};
    use crate::tool_use::ToolUse;

    fn events() -> Events {
        let mut nothing = Fields::of_body(b"{}").unwrap();
        let tools = ToolUse::read(&mut nothing, true, Shape::Flat).unwrap();
        let said = Map::from_iter([("model".to_owned(), json!("m"))]);
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Events::new(Form::new(&said, tools.reader(), 0), room)
    }

    /// The data of events, which are in pieces.
    fn data(pieces: &[Bytes]) -> Vec<Value> {
        let data = |event: &str| {
            let (head, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(head.strip_prefix("event: "), data["type"].as_str());
            data
        };
        let text = String::from_utf8(pieces.concat()).unwrap();
        text.split_terminator("\n\n").map(data).collect()
    }

    #[test]
    fn what_the_request_has_said_is_in_each_response_and_in_memory_once() {
        let mut events = events();
        let mut progress = Progress::new(1);
        progress.choices[0].ended = Some(Ok(thoughtful()));
        let mut sent = Vec::new();
        assert!(events.tell(&progress, &mut sent));
        let told = data(&sent);
        let with_response = told.iter().filter(|event| event.get("response").is_some());
        assert_eq!(with_response.map(|event| &event["response"]["model"]).collect::<Vec<_>>(), ["m"; 3]);
        let said: Vec<&Bytes> = sent.iter().filter(|piece| piece.as_ref() == br#""model":"m""#).collect();
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|piece| piece.as_ptr() == said[0].as_ptr()));
    }

    fn thoughtful() -> ModelAnswer {
        ModelAnswer {
            text: "Yes.".to_owned(),
            reasoning: Some("Hm.".to_owned()),
            keepsake: Some(json!({"signature": "s"})),
            ..ModelAnswer::default()
        }
    }

    #[test]
    fn what_was_thought_stands_in_front_unless_the_text_was_told() {
        for (told, order) in [("", ["reasoning", "message"]), ("Ye", ["message", "reasoning"])] {
            let mut events = events();
            let mut progress = Progress::new(1);
            let mut sent = Vec::new();
            progress.choices[0].text = told.to_owned();
            assert!(!events.tell(&progress, &mut sent));
            progress.choices[0].text = "Yes.".to_owned();
            progress.choices[0].ended = Some(Ok(thoughtful()));
            assert!(events.tell(&progress, &mut sent));
            let sent = data(&sent);
            let last = &sent.last().unwrap()["response"];
            let output = last["output"].as_array().unwrap();
            assert_eq!(output.iter().map(|item| item["type"].as_str().unwrap()).collect::<Vec<_>>(), order);
            let reasoning = output.iter().find(|item| item["type"] == "reasoning").unwrap();
            assert_eq!(reasoning["content"], json!([{"type": "reasoning_text", "text": "Hm."}]));
            assert_eq!(reasoning["encrypted_content"], r#"{"signature":"s"}"#);
            let of_kind = |kind: &str| sent.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
            for (index, (added, done)) in of_kind("response.output_item.added")
                .into_iter()
                .zip(of_kind("response.output_item.done"))
                .enumerate()
            {
                assert_eq!((&added["output_index"], &done["item"]), (&json!(index), &output[index]));
                assert_eq!(added["item"]["id"], output[index]["id"]);
            }
            let text = of_kind("response.output_text.delta");
            let text: String = text.iter().filter_map(|event| event["delta"].as_str()).collect();
            assert_eq!(text, "Yes.");
            assert_eq!(of_kind("response.reasoning_text.done")[0]["text"], "Hm.");
        }
    }

    #[test]
    fn a_failure_is_told_after_the_begin() {
        let refusal = Refusal::unavailable("away", Duration::from_secs(1));
        let mut sent = Vec::new();
        events().fail(&refusal, &mut sent);
        let kinds: Vec<String> = data(&sent).iter().map(|event| event["type"].to_string()).collect();
        assert_eq!(kinds, ["created", "in_progress", "failed"].map(|kind| format!("\"response.{kind}\"")));
        let mut sent = Vec::new();
        events().fail(&Refusal::invalid("no"), &mut sent);
        let error = json!({"code": "invalid_prompt", "message": "no"});
        assert_eq!(data(&sent)[2]["response"]["error"], error);
    }
}
