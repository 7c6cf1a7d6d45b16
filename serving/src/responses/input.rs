//! The items of a conversation, as messages.

use serde_json::Value;
use superstep_runtime::{ChatMessage, Role, ToolCall};

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::tool_use::read_arguments;

/// The messages of a conversation, at least one: `instructions` stand before it.
pub(super) fn read_input(input: Value, instructions: Option<String>) -> Result<Vec<ChatMessage>, Refusal> {
    let mut conversation = Conversation::default();
    match input {
        Value::String(text) => conversation.messages.push(ChatMessage::new(Role::User, text)),
        Value::Array(items) if !items.is_empty() => {
            for (number, item) in items.into_iter().enumerate() {
                conversation.read(&format!("input[{number}]"), item)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Refusal::of_field("input", "input is a text, or a list of items"));
        }
    }
    conversation.end_turn();
    let mut messages = conversation.messages;
    if let Some(instructions) = instructions.filter(|text| !text.is_empty()) {
        // Many templates take one message of the system, and only in front.
        match messages.first_mut().filter(|message| message.role == Role::System) {
            Some(system) => system.content = format!("{instructions}\n\n{}", system.content).into(),
            None => messages.insert(0, ChatMessage::new(Role::System, instructions)),
        }
    }
    if messages.is_empty() {
        return Err(Refusal::of_field("input", "input has no message"));
    }
    Ok(messages)
}

/// Messages, as items tell them. What the model said in one turn is several items and one message.
#[derive(Default)]
struct Conversation {
    messages: Vec<ChatMessage>,
    turn: Option<Turn>,
}

/// What the model said in one turn, so far.
struct Turn {
    message: ChatMessage,
    has_text: bool,
}

impl Conversation {
    fn read(&mut self, place: &str, item: Value) -> Result<(), Refusal> {
        let mut item = Fields::of(place, item)?;
        let kind: Option<String> = item.take("type")?;
        item.ignore(&["id", "status"]);
        match kind.as_deref().unwrap_or("message") {
            "message" => self.message(&mut item)?,
            "function_call" => {
                let arguments: String = item.take("arguments")?.unwrap_or_default();
                let (id, name) = (item.need("call_id")?, item.need("name")?);
                let call = ToolCall { id, name, arguments: read_arguments(arguments) };
                self.turn().message.tool_calls.push(call);
            }
            "function_call_output" => {
                let output: Value = item.need("output")?;
                let message = ChatMessage::new(Role::Tool, text(&item.name("output"), output)?);
                self.end_turn();
                self.messages.push(ChatMessage { answers: Some(item.need("call_id")?), ..message });
            }
            "reasoning" => self.reasoning(&mut item)?,
            "item_reference" => {
                let message = "this server keeps no items: send them as they are";
                return Err(Refusal::unsupported(place, message));
            }
            other => {
                let message = format!("this server has no items of type {other:?}");
                return Err(Refusal::unsupported(item.name("type"), message));
            }
        }
        item.finish()
    }

    fn message(&mut self, item: &mut Fields) -> Result<(), Refusal> {
        let role = match item.need::<String>("role")?.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                let message = format!("{other:?} is none of system, developer, user, assistant");
                return Err(Refusal::of_field(item.name("role"), message));
            }
        };
        let content = text(&item.name("content"), item.need("content")?)?;
        item.ignore(&["phase"]);
        if role != Role::Assistant {
            self.end_turn();
            self.messages.push(ChatMessage::new(role, content));
            return Ok(());
        }
        if self.turn.as_ref().is_some_and(|turn| turn.has_text || !turn.message.tool_calls.is_empty()) {
            self.end_turn();
        }
        let turn = self.turn();
        turn.message.content = content.into();
        turn.has_text = true;
        Ok(())
    }

    /// Takes what the model thought, which is no part of the conversation; and what its provider wants back of it.
    fn reasoning(&mut self, item: &mut Fields) -> Result<(), Refusal> {
        item.ignore(&["summary", "content"]);
        let Some(kept) = item.take::<String>("encrypted_content")? else { return Ok(()) };
        let Ok(keepsake) = serde_json::from_str(&kept) else {
            let message = "encrypted_content is none that this server has given";
            return Err(Refusal::of_field(item.name("encrypted_content"), message));
        };
        let is_told = |turn: &Turn| turn.message.keepsake.is_some() || !turn.message.tool_calls.is_empty();
        if self.turn.as_ref().is_some_and(is_told) {
            self.end_turn();
        }
        self.turn().message.keepsake = Some(keepsake);
        Ok(())
    }

    /// What the model says in this turn.
    fn turn(&mut self) -> &mut Turn {
        self.turn
            .get_or_insert_with(|| Turn { message: ChatMessage::new(Role::Assistant, ""), has_text: false })
    }

    fn end_turn(&mut self) {
        // Thoughts alone are no message.
        let said = self.turn.take().filter(|turn| turn.has_text || !turn.message.tool_calls.is_empty());
        self.messages.extend(said.map(|turn| turn.message));
    }
}

/// A text, or its parts.
fn text(place: &str, content: Value) -> Result<String, Refusal> {
    let parts = match content {
        Value::String(text) => return Ok(text),
        Value::Array(parts) => parts,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(Refusal::of_field(place, format!("{place} is a text, or parts of one")));
        }
    };
    let mut whole = String::new();
    for (number, part) in parts.into_iter().enumerate() {
        let place = format!("{place}[{number}]");
        let mut part = Fields::of(&place, part)?;
        let member = match part.need::<String>("type")?.as_str() {
            "input_text" | "output_text" | "text" => "text",
            "refusal" => "refusal",
            kind => {
                let message = format!("this server reads texts alone, and {place} is {kind:?}");
                return Err(Refusal::unsupported(place, message));
            }
        };
        whole.push_str(&part.need::<String>(member)?);
        part.ignore(&["annotations", "logprobs"]);
        part.finish()?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is read of items: each message as its role, text, calls, and what it answers.
    fn read(input: Value) -> Vec<(Role, String, Vec<String>, Option<String>)> {
        let messages = read_input(input, None).unwrap();
        let told = |message: ChatMessage| {
            let calls = message.tool_calls.into_iter().map(|call| format!("{}{}", call.name, call.arguments));
            (message.role, message.content.to_string(), calls.collect(), message.answers)
        };
        messages.into_iter().map(told).collect()
    }

    fn call(id: &str, name: &str) -> Value {
        json!({"type": "function_call", "id": "fc", "call_id": id, "name": name, "arguments": "{\"a\": 1}",
            "status": "completed"})
    }

    fn output(id: &str, text: Value) -> Value {
        json!({"type": "function_call_output", "call_id": id, "output": text})
    }

    fn says(role: &str, text: &str) -> Value {
        json!({"role": role, "content": text})
    }

    #[test]
    fn what_the_model_said_in_one_turn_is_one_message() {
        let said = json!({"type": "message", "id": "m", "role": "assistant", "status": "completed", "phase": null,
            "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]});
        let thought = json!({"type": "reasoning", "id": "r", "summary": [], "content": [], "status": "completed",
            "encrypted_content": "{\"k\":1}"});
        for turn in [
            vec![thought.clone(), said.clone(), call("1", "f"), call("2", "g")],
            vec![said.clone(), thought.clone(), call("1", "f"), call("2", "g")],
        ] {
            let mut items = vec![says("user", "?")];
            items.extend(turn);
            let parts = json!([{"type": "input_text", "text": "o"}, {"type": "input_text", "text": "k"}]);
            items.extend([output("1", json!("yes")), output("2", parts), said.clone(), said.clone()]);
            let messages = read_input(json!(items), None).unwrap();
            assert_eq!(messages[1].keepsake, Some(json!({"k": 1})));
            let none = Vec::new;
            assert_eq!(
                read(json!(items)),
                [
                    (Role::User, "?".to_owned(), none(), None),
                    (
                        Role::Assistant,
                        "I look.".to_owned(),
                        vec!["f{\"a\":1}".to_owned(), "g{\"a\":1}".to_owned()],
                        None
                    ),
                    (Role::Tool, "yes".to_owned(), none(), Some("1".to_owned())),
                    (Role::Tool, "ok".to_owned(), none(), Some("2".to_owned())),
                    (Role::Assistant, "I look.".to_owned(), none(), None),
                    (Role::Assistant, "I look.".to_owned(), none(), None),
                ]
            );
        }
        // Thoughts that nothing follows are no message, and calls of a turn before stay there.
        let items = json!([
            says("user", "?"),
            call("1", "f"),
            thought,
            call("2", "g"),
            output("2", json!("")),
            thought
        ]);
        let found = read(items);
        assert_eq!(found.iter().map(|message| message.2.len()).collect::<Vec<_>>(), [0, 1, 1, 0]);
    }

    #[test]
    fn instructions_stand_in_front_and_are_one_message() {
        let first = |input: Value| read_input(input, Some("Be brief.".to_owned())).unwrap().remove(0);
        assert_eq!(first(json!("x")).content.to_string(), "Be brief.");
        assert_eq!(first(json!([says("user", "x")])).content.to_string(), "Be brief.");
        let both = first(json!([says("developer", "Be kind."), says("user", "x")]));
        assert_eq!((both.role, both.content.as_str()), (Role::System, "Be brief.\n\nBe kind."));
        assert_eq!(read_input(json!("x"), Some(String::new())).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_conversation_is_refused_with_its_place() {
        for (input, place) in [
            (json!([]), "input"),
            (json!(5), "input"),
            (json!([5]), "input[0]"),
            (json!([{"type": "reasoning", "summary": []}]), "input"),
            (json!([{"content": "x"}]), "input[0].role"),
            (json!([says("tool", "x")]), "input[0].role"),
            (json!([{"role": "user", "content": [{"type": "input_image"}]}]), "input[0].content[0]"),
            (json!([{"role": "user", "content": "x", "colour": 1}]), "input[0].colour"),
            (json!([{"type": "web_search_call"}]), "input[0].type"),
            (json!([{"type": "item_reference", "id": "x"}]), "input[0]"),
            (json!([{"type": "function_call", "name": "f"}]), "input[0].call_id"),
            (json!([{"type": "function_call_output", "call_id": "1"}]), "input[0].output"),
            (
                json!([{"type": "reasoning", "summary": [], "encrypted_content": "{"}]),
                "input[0].encrypted_content",
            ),
        ] {
            let refusal = read_input(input.clone(), None).unwrap_err();
            assert_eq!(refusal.body()["error"]["param"], place, "{input}");
        }
    }
}
