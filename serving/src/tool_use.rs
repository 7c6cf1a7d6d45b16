//! Tools that a request offers to the model.
//!
//! A model with tool calling of its own is given them as they are. Another is told of them in its instructions, held
//! to JSON that is a call or an answer, and its answer is read back, as agents of the runtime do it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use superstep_graph::canonical_json;
use superstep_runtime::prompted::{self, Said};
use superstep_runtime::{ChatMessage, ModelAnswer, ModelRequest, Role, ToolCall, ToolSignature};

use crate::fields::{Fields, Shape};
use crate::refusal::Refusal;

/// Tools that a request offers to the model.
#[derive(Clone, Debug)]
pub(crate) struct ToolUse {
    tools: Arc<[ToolSignature]>,
    choice: Choice,
    /// Whether several calls at once are allowed.
    is_parallel: bool,
    /// Whether the model has tool calling of its own.
    is_native: bool,
}

/// Whether tools are to be called.
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    /// As the model likes.
    Auto,
    /// Not.
    Never,
    /// Any, but at least one.
    Any,
    /// This one.
    Named(String),
}

impl ToolUse {
    /// Takes `tools`, `tool_choice` and `parallel_tool_calls`.
    pub(crate) fn read(fields: &mut Fields, is_native: bool, shape: Shape) -> Result<Self, Refusal> {
        let tools: Vec<Value> = fields.take("tools")?.unwrap_or_default();
        let tools = tools.into_iter().enumerate();
        let tools = tools.map(|(number, tool)| read_tool(&format!("tools[{number}]"), tool, shape));
        let tools: Arc<[ToolSignature]> = tools.collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        if let Some(twice) = tools.iter().find(|tool| !names.insert(&tool.name)) {
            return Err(Refusal::of_field("tools", format!("two tools are named {:?}", twice.name)));
        }
        let choice = read_choice(fields, &names, shape)?;
        let is_parallel = fields.take("parallel_tool_calls")?.unwrap_or(true);
        if is_native && !tools.is_empty() {
            let field = match choice {
                Choice::Any | Choice::Named(_) => Some("tool_choice"),
                Choice::Auto if !is_parallel => Some("parallel_tool_calls"),
                Choice::Auto | Choice::Never => None,
            };
            if let Some(field) = field {
                let message =
                    format!("this model calls tools as it likes, and heeds no {field}: leave it out");
                return Err(Refusal::unsupported(field, message));
            }
        }
        Ok(Self { tools, choice, is_parallel, is_native })
    }

    /// Whether calls stand in the text of an answer.
    pub(crate) fn is_prompted(&self) -> bool {
        !self.is_native && !self.tools.is_empty() && self.choice != Choice::Never
    }

    /// Puts the tools into `request`.
    pub(crate) fn prepare(&self, request: &mut ModelRequest) {
        if self.tools.is_empty() {
            return;
        }
        if self.is_native {
            if self.choice != Choice::Never {
                request.tools = Arc::clone(&self.tools);
            }
            return;
        }
        request.messages = Arc::new(in_words(&request.messages));
        if !self.is_prompted() {
            return;
        }
        let most = if self.is_parallel { prompted::MAX_CALLS } else { 1 };
        let text = Arc::new(json!({"type": "string"}));
        let (tools, answer) = match &self.choice {
            Choice::Named(name) => {
                (self.tools.iter().filter(|tool| tool.name == *name).cloned().collect(), None)
            }
            Choice::Any => (Arc::clone(&self.tools), None),
            Choice::Auto | Choice::Never => {
                (Arc::clone(&self.tools), Some(request.schema.clone().unwrap_or(text)))
            }
        };
        instruct(
            Arc::make_mut(&mut request.messages),
            prompted::instructions(&tools, request.schema.as_deref()),
        );
        request.schema = Some(Arc::new(prompted::schema(&tools, most, answer.as_deref())));
    }

    /// What is to be known of the tools to read what the model answers.
    pub(crate) fn reader(&self) -> AnswerReader {
        AnswerReader { is_prompted: self.is_prompted() }
    }
}

/// Reads answers, in which tools may be called. It is there as long as an answer is told, and holds nothing that the
/// request has said.
#[derive(Clone, Copy)]
pub(crate) struct AnswerReader {
    is_prompted: bool,
}

impl AnswerReader {
    /// Whether the model is told of tools in words, and calls them so.
    pub(crate) fn is_prompted(self) -> bool {
        self.is_prompted
    }

    /// The text of an answer, and the calls in it; there were `before` calls in its conversation.
    pub(crate) fn understand(self, answer: &ModelAnswer, before: usize) -> (String, Vec<ToolCall>) {
        if !self.is_prompted {
            return (answer.text.clone(), answer.tool_calls.clone());
        }
        match prompted::read(&answer.text) {
            Said::Calls(calls) => {
                let numbered = |(number, call): (usize, ToolCall)| ToolCall {
                    id: format!("call_{}", before + number),
                    ..call
                };
                (String::new(), calls.into_iter().enumerate().map(numbered).collect())
            }
            Said::Answer(Value::String(text)) => (text, Vec::new()),
            Said::Answer(value) => (value.to_string(), Vec::new()),
            Said::Unreadable(_) | Said::Text => (answer.text.clone(), Vec::new()),
        }
    }
}

/// The arguments of a call, which are sent as a text. What is no JSON stays one.
pub(crate) fn read_arguments(text: String) -> Value {
    if text.trim().is_empty() {
        Value::Object(Map::new())
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}

/// The arguments of a call as they are sent.
pub(crate) fn written_arguments(call: &ToolCall) -> String {
    // A text is what the model wrote, as far as it was no JSON.
    call.arguments.as_str().map_or_else(|| call.arguments.to_string(), str::to_owned)
}

fn read_tool(place: &str, tool: Value, shape: Shape) -> Result<ToolSignature, Refusal> {
    let mut tool = Fields::of(place, tool)?;
    let kind: String = tool.need("type")?;
    if kind != "function" {
        let message = format!("this server has no tools of type {kind:?}");
        return Err(Refusal::unsupported(tool.name("type"), message));
    }
    let mut function = tool.parts("function", shape)?;
    let nothing = || json!({"type": "object", "properties": {}});
    let read = ToolSignature {
        name: function.need("name")?,
        description: function.take("description")?.unwrap_or_default(),
        parameters: Arc::new(function.take("parameters")?.unwrap_or_else(nothing)),
    };
    function.ignore(&["strict"]);
    function.finish()?;
    Ok(read)
}

fn read_choice(fields: &mut Fields, names: &BTreeSet<&String>, shape: Shape) -> Result<Choice, Refusal> {
    const PLACE: &str = "tool_choice";
    let choice = match fields.take(PLACE)? {
        None => Choice::Auto,
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Choice::Auto,
            "none" => Choice::Never,
            "required" => Choice::Any,
            _ => return Err(Refusal::of_field(PLACE, format!("{word:?} is none of auto, none, required"))),
        },
        Some(named) => {
            let mut named = Fields::of(PLACE, named)?;
            let kind: String = named.need("type")?;
            if kind != "function" {
                let message = format!("this server has no tool_choice of type {kind:?}");
                return Err(Refusal::unsupported(PLACE, message));
            }
            let mut function = named.parts("function", shape)?;
            let name: String = function.need("name")?;
            function.finish()?;
            Choice::Named(name)
        }
    };
    match &choice {
        Choice::Named(name) if !names.contains(name) => {
            Err(Refusal::of_field(PLACE, format!("there is no tool {name:?}")))
        }
        Choice::Any if names.is_empty() => Err(Refusal::of_field(PLACE, "there are no tools")),
        Choice::Auto | Choice::Never | Choice::Any | Choice::Named(_) => Ok(choice),
    }
}

/// Adds to the instructions of a conversation.
fn instruct(messages: &mut Vec<ChatMessage>, more: String) {
    match messages.first_mut().filter(|message| message.role == Role::System) {
        Some(system) => system.content = format!("{}\n\n{more}", system.content).into(),
        None => messages.insert(0, ChatMessage::new(Role::System, more)),
    }
}

/// A conversation in which calls and what they gave are said in words.
fn in_words(messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let mut names: BTreeMap<&str, &ToolCall> = BTreeMap::new();
    let mut said: Vec<ChatMessage> = Vec::new();
    let mut given: Vec<(ToolCall, Value)> = Vec::new();
    for message in messages {
        if let Some(id) = message.answers.as_ref().filter(|_| message.role == Role::Tool) {
            let unknown = || ToolCall { id: id.clone(), name: id.clone(), arguments: Value::Null };
            let value = serde_json::from_str(&message.content);
            let value = value.unwrap_or_else(|_| json!(message.content));
            let call = names.get(id.as_str()).copied().cloned();
            given.push((call.unwrap_or_else(unknown), value));
            continue;
        }
        said.extend(results(std::mem::take(&mut given)));
        if message.tool_calls.is_empty() {
            said.push(message.clone());
            continue;
        }
        let call = |call: &ToolCall| json!({"name": call.name, "arguments": call.arguments});
        let calls: Vec<Value> = message.tool_calls.iter().map(call).collect();
        said.push(ChatMessage::new(Role::Assistant, canonical_json(&json!({ "call": calls }))));
        names.extend(message.tool_calls.iter().map(|call| (call.id.as_str(), call)));
    }
    said.extend(results(given));
    said
}

/// What calls gave, as the model is told.
fn results(given: Vec<(ToolCall, Value)>) -> Option<ChatMessage> {
    let (calls, values): (Vec<ToolCall>, Vec<Value>) = given.into_iter().unzip();
    (!calls.is_empty()).then(|| prompted::results(&calls, values.into_iter().map(Ok).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool_use(body: Value, is_native: bool) -> Result<ToolUse, Refusal> {
        let mut fields = Fields::of_body(body.to_string().as_bytes()).unwrap();
        ToolUse::read(&mut fields, is_native, Shape::Nested)
    }

    fn tool(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name, "description": "Does it.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}})
    }

    fn request(messages: Vec<ChatMessage>) -> ModelRequest {
        ModelRequest {
            vertex: "a".into(),
            messages: messages.into(),
            tools: Arc::default(),
            sampling: superstep_graph::Sampling::default(),
            seed: 0,
            schema: None,
            idempotency_key: String::new(),
        }
    }

    #[test]
    fn calls_and_their_results_are_said_in_words_to_who_calls_no_tools() {
        let call =
            ToolCall { id: "c".to_owned(), name: "weather".to_owned(), arguments: json!({"city": "Oslo"}) };
        let asked = ChatMessage { tool_calls: vec![call], ..ChatMessage::new(Role::Assistant, "") };
        let gave =
            ChatMessage { answers: Some("c".to_owned()), ..ChatMessage::new(Role::Tool, "{\"celsius\": 7}") };
        let mut request = request(vec![
            ChatMessage::new(Role::System, "Be brief."),
            ChatMessage::new(Role::User, "?"),
            asked,
            gave,
        ]);
        tool_use(json!({"tools": [tool("weather")]}), false).unwrap().prepare(&mut request);
        let said: Vec<&str> = request.messages.iter().map(|message| message.content.as_str()).collect();
        assert!(said[0].starts_with("Be brief.\n\nYou can call tools."), "{said:?}");
        assert_eq!(said[2], r#"{"call":[{"arguments":{"city":"Oslo"},"name":"weather"}]}"#);
        assert_eq!(said[3], r#"{"results":[{"name":"weather","result":{"celsius":7}}]}"#);
        assert!(request.tools.is_empty() && request.schema.is_some());
    }

    #[test]
    fn a_choice_decides_what_the_answer_may_be() {
        let both = json!([tool("a"), tool("b")]);
        let named = json!({"type": "function", "function": {"name": "b"}});
        for (choice, answers, calls_a, calls_b) in [
            (json!("auto"), true, true, true),
            (json!("required"), false, true, true),
            (named, false, false, true),
        ] {
            let mut request = request(vec![ChatMessage::new(Role::User, "?")]);
            let read = tool_use(json!({"tools": both, "tool_choice": choice}), false).unwrap();
            read.prepare(&mut request);
            let schema = superstep_runtime::Schema::compile(request.schema.as_ref().unwrap()).unwrap();
            let call = |name: &str| json!({"call": [{"name": name, "arguments": {"city": "x"}}]});
            for (value, fits) in
                [(json!({"answer": "x"}), answers), (call("a"), calls_a), (call("b"), calls_b)]
            {
                assert_eq!(schema.check(&value).is_ok(), fits, "{choice}: {value}");
            }
        }
        let mut request = request(vec![ChatMessage::new(Role::User, "?")]);
        tool_use(json!({"tools": both, "tool_choice": "none"}), false).unwrap().prepare(&mut request);
        assert_eq!((request.schema, request.messages.len()), (None, 1));
    }

    #[test]
    fn the_parts_of_a_function_may_stand_beside_its_type() {
        let flat = json!({"type": "function", "name": "a", "description": "Does it.", "strict": true,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}});
        let read = |body: Value, shape: Shape| {
            ToolUse::read(&mut Fields::of_body(body.to_string().as_bytes()).unwrap(), false, shape)
        };
        let choice = json!({"type": "function", "name": "a"});
        let one = read(json!({"tools": [flat], "tool_choice": choice}), Shape::Flat).unwrap();
        let choice = json!({"type": "function", "function": {"name": "a"}});
        let other = read(json!({"tools": [tool("a")], "tool_choice": choice}), Shape::Nested).unwrap();
        assert_eq!((&one.tools, &one.choice), (&other.tools, &other.choice));
        for (body, shape, field) in [
            (json!({"tools": [flat]}), Shape::Nested, "tools[0].function"),
            (json!({"tools": [tool("a")]}), Shape::Flat, "tools[0].name"),
            (json!({"tools": [flat], "tool_choice": choice}), Shape::Flat, "tool_choice.name"),
        ] {
            let refusal = read(body, shape).unwrap_err();
            assert_eq!(refusal.body()["error"]["param"], field);
        }
    }

    #[test]
    fn what_a_model_does_not_heed_is_refused() {
        for (more, field) in [
            (json!({"tool_choice": "required"}), "tool_choice"),
            (json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        ] {
            let mut body = json!({"tools": [tool("a")]});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let refusal = tool_use(body.clone(), true).unwrap_err();
            assert_eq!(refusal.body()["error"]["param"], field);
            assert!(tool_use(body, false).is_ok());
        }
        for body in [
            json!({"tool_choice": "required"}),
            json!({"tools": [tool("a"), tool("a")]}),
            json!({"tools": [tool("a")], "tool_choice": {"type": "function", "function": {"name": "b"}}}),
            json!({"tools": [{"type": "web_search"}]}),
        ] {
            assert!(tool_use(body.clone(), false).is_err(), "{body}");
        }
    }
}
