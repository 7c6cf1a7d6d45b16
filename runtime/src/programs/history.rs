//! The turns of a conversation that went before.

use serde_json::{Map, Value};
use superstep_engine::{Failure, View};
use superstep_graph::VertexSpec;

use super::{PrepareError, expression};
use crate::cel::{Expression, kind};
use crate::model::{ChatMessage, Role};
use crate::roots::{Bindings, Scope};

/// An expression of the turns before.
pub(super) struct History {
    field: &'static str,
    turns: Expression,
}

impl History {
    /// Compiles the expression at `field` of `vertex`, if there is one.
    pub(super) fn prepare(
        vertex: &VertexSpec,
        field: &'static str,
        source: Option<&str>,
    ) -> Result<Option<Self>, PrepareError> {
        let compile = |source| expression(vertex, field, source, Scope::Vertex);
        Ok(source.map(compile).transpose()?.map(|turns| Self { field, turns }))
    }

    /// The messages of the turns, in order.
    ///
    /// # Errors
    /// The expression has no value, or not a list of turns.
    pub(super) fn messages(&self, view: &View) -> Result<Vec<ChatMessage>, Failure> {
        let turns = self.turns.evaluate(Bindings::Vertex(view))?;
        let turns = match turns.value() {
            Value::Null => return Ok(Vec::new()),
            Value::Array(turns) => turns,
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                let message = format!("{}: a list of turns is expected, this is {}", self.field, kind(other));
                return Err(Failure::permanent(message));
            }
        };
        let mut messages = Vec::with_capacity(turns.len() * 2);
        for (index, turn) in turns.iter().enumerate() {
            let said = turn.as_object().map(said).filter(|said| !said.is_empty());
            let unread = || {
                let form = "a turn is {user, assistant}, or {role, content}";
                Failure::permanent(format!("{}, item {index}: {form}, this is {turn}", self.field))
            };
            messages.extend(said.ok_or_else(unread)?);
        }
        Ok(messages)
    }
}

/// What one turn says; nothing if it is none.
fn said(turn: &Map<String, Value>) -> Vec<ChatMessage> {
    if let (Some(role), Some(content)) = (turn.get("role"), turn.get("content")) {
        let role = match role.as_str() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some(_) | None => return Vec::new(),
        };
        return vec![ChatMessage::new(role, text_of(content))];
    }
    let one = |(member, role)| Some(ChatMessage::new(role, text_of(turn.get(member)?)));
    [("user", Role::User), ("assistant", Role::Assistant)].into_iter().filter_map(one).collect()
}

/// A text as it is, and that of `{text: …}`; anything else as JSON.
pub(super) fn text_of(value: &Value) -> String {
    let only_text = value.as_object().filter(|members| members.len() == 1).and_then(|one| one.get("text"));
    match only_text.unwrap_or(value) {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use superstep_engine::{Payload, Scene};

    use super::*;
    use crate::calls::tests::{perform_all, runner};
    use crate::programs::tests::given;

    fn told(turns: Value) -> Result<Vec<(Role, String)>, String> {
        let vertex = given::vertex(json!({"name": "a", "function": {"cel": "1"}}));
        let history = History::prepare(&vertex, "prompt.history", Some("value")).unwrap().unwrap();
        let activation = given::activation(&vertex, &[], runner(perform_all).0);
        let scene = Scene { value: Payload::from(turns), ..Scene::clone(&activation.view.scene) };
        let view = View::from(scene);
        let messages = history.messages(&view).map_err(|failure| failure.message)?;
        Ok(messages.into_iter().map(|message| (message.role, message.content.to_string())).collect())
    }

    #[tokio::test]
    async fn turns_are_messages_in_their_order() {
        let turns = json!([
            {"user": "Hi", "assistant": {"text": "Hello"}},
            {"role": "system", "content": "It is noon."},
            {"assistant": {"n": 1}},
            {"role": "user", "content": "Bye"},
        ]);
        let expected = [
            (Role::User, "Hi"),
            (Role::Assistant, "Hello"),
            (Role::System, "It is noon."),
            (Role::Assistant, "{\"n\":1}"),
            (Role::User, "Bye"),
        ];
        assert_eq!(told(turns).unwrap(), expected.map(|(role, text)| (role, text.to_owned())));
        assert_eq!(told(Value::Null).unwrap(), []);
    }

    #[tokio::test]
    async fn what_is_no_turn_is_named() {
        for (turns, words) in [
            (json!("Hi"), "prompt.history: a list of turns is expected"),
            (
                json!([{"user": "Hi"}, {"text": "Hello"}]),
                "prompt.history, item 1: a turn is {user, assistant}",
            ),
            (json!([{"role": "tool", "content": "x"}]), "item 0"),
            (json!(["Hi"]), "item 0"),
        ] {
            let message = told(turns).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
