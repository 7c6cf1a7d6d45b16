//! The program `agent`: a model that calls tools until it has an answer.
//!
//! Nothing of the conversation is kept but the calls in the log: after a crash it is had again, and every
//! call that has ended gives what it gave before.

mod toolbox;

use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::{Failure, Payload, View};
use superstep_graph::{AgentProgram, ToolCalling, VertexSpec, canonical_json};

use super::asking::{ASKS_AGAIN, Asking, Question, Session, ask_again};
use super::history::{History, text_of};
use super::{PrepareError, compiled_schema, handed_on, template};
use crate::model::{ChatMessage, ConversationDigest, Model, Role, ToolCall};
use crate::program::{Activation, Execution, Program};
use crate::prompted::{self, Said};
use crate::recorded::RecordedAnswer;
use crate::schema::Schema;
use crate::shared_text::SharedText;
use crate::template::Template;
use crate::tool::ToolSignature;
use crate::tools::CheckedTool;
use toolbox::{Repetitions, Toolbox};

pub(super) struct Agent {
    working: Arc<Working>,
    system: Option<Template>,
    history: Option<History>,
    template: Option<Template>,
}

/// What stays the same over all activations.
struct Working {
    asking: Asking,
    toolbox: Toolbox,
    schema: Option<Schema>,
    max_turns: u32,
    repeat_limit: u32,
    tool_calling: ToolCalling,
}

/// How the model is told of tools, and says which it calls.
#[derive(Clone)]
enum Protocol {
    /// There are none.
    Plain,
    /// By the model's own protocol.
    Native(Arc<[ToolSignature]>),
    /// By JSON, which fits this schema.
    Prompted(Arc<Value>),
}

/// What an answer of the model comes to.
enum Turn {
    Calls(Vec<ToolCall>),
    Answer(Payload),
    /// It is to be asked again, for this reason.
    Unfit(String),
}

impl Agent {
    pub(super) fn prepare(
        vertex: &VertexSpec,
        agent: &AgentProgram,
        model: &Arc<dyn Model>,
        tools: Vec<CheckedTool>,
    ) -> Result<Self, PrepareError> {
        let compile = |field: &str, source: &Option<String>| {
            source.as_deref().map(|source| template(vertex, field, source)).transpose()
        };
        let schema = agent.output.as_ref().map(|output| &output.schema);
        let schema = schema.map(|schema| compiled_schema(vertex, "agent.output.schema", schema));
        Ok(Self {
            system: compile("agent.system", &agent.system)?,
            history: History::prepare(vertex, "agent.history", agent.history.as_deref())?,
            template: compile("agent.template", &agent.template)?,
            working: Arc::new(Working {
                asking: Asking {
                    vertex: vertex.name.clone(),
                    model_name: agent.model.clone(),
                    model: Arc::clone(model),
                    sampling: agent.sampling.clone(),
                },
                toolbox: Toolbox::new(tools),
                schema: schema.transpose()?,
                max_turns: agent.max_turns,
                repeat_limit: agent.repeat_limit,
                tool_calling: agent.tool_calling,
            }),
        })
    }

    fn conversation(&self, view: &View) -> Result<Conversation, Failure> {
        let protocol = self.working.protocol()?;
        let system = self.system.as_ref().map(|system| system.render(view)).transpose()?;
        let system: Vec<String> = system.into_iter().chain(self.working.instructions(&protocol)).collect();
        let user = match &self.template {
            Some(template) => template.render(view)?,
            None => said_to_it(view),
        };
        let mut messages = Vec::new();
        if !system.is_empty() {
            messages.push(ChatMessage::new(Role::System, system.join("\n\n")));
        }
        if let Some(history) = &self.history {
            messages.extend(history.messages(view)?);
        }
        messages.push(ChatMessage::new(Role::User, user));
        let repetitions = Repetitions::new(self.working.repeat_limit);
        let (working, hashed) = (Arc::clone(&self.working), ConversationDigest::default());
        Ok(Conversation { working, protocol, messages: Arc::new(messages), hashed, repetitions })
    }
}

impl Program for Agent {
    fn start(&self, activation: Activation) -> Execution {
        match self.conversation(&activation.view) {
            Ok(conversation) => Execution::running(conversation.hold(activation.into())),
            Err(failure) => Execution::of(Err(failure)),
        }
    }
}

/// What the model is told where there is no template: a text as it is, anything else as JSON.
fn said_to_it(view: &View) -> String {
    let nothing_came = view.element.is_none() && view.messages.is_empty();
    let payload = if nothing_came { view.input.clone() } else { handed_on(view) };
    text_of(payload.value())
}

impl Working {
    /// Only what is known when the activation starts decides, so that looking at a run needs no model.
    fn protocol(&self) -> Result<Protocol, Failure> {
        self.toolbox.check_names()?;
        if self.toolbox.is_empty() {
            return Ok(Protocol::Plain);
        }
        match (self.tool_calling, self.asking.model.calls_tools()) {
            (ToolCalling::Auto | ToolCalling::Native, true) => {
                Ok(Protocol::Native(self.toolbox.signatures()))
            }
            (ToolCalling::Native, false) => {
                let message = format!("model {:?} has no tool calling of its own", self.asking.model_name);
                Err(Failure::permanent(format!("{message}: leave toolCalling out")))
            }
            (ToolCalling::Auto, false) | (ToolCalling::Prompted, _) => {
                let text = json!({"type": "string"});
                let answer = self.schema.as_ref().map_or(&text, |schema| &**schema.value());
                let held = prompted::schema(&self.toolbox.signatures(), prompted::MAX_CALLS, Some(answer));
                Ok(Protocol::Prompted(Arc::new(held)))
            }
        }
    }

    /// What the system message says beside what the user wrote.
    fn instructions(&self, protocol: &Protocol) -> Option<String> {
        let schema = self.schema.as_ref().map(Schema::value);
        match protocol {
            Protocol::Plain => None,
            // With tools and a schema together providers differ too much: the answer is checked instead.
            Protocol::Native(_) => schema.map(|schema| {
                format!(
                    "When you need no more tools, answer with nothing but JSON that fits this schema: {schema}"
                )
            }),
            Protocol::Prompted(_) => {
                let tools = self.toolbox.signatures();
                Some(prompted::instructions(&tools, schema.map(|value| &**value)))
            }
        }
    }

    fn turn(&self, protocol: &Protocol, recorded: &RecordedAnswer) -> Turn {
        match protocol {
            Protocol::Native(_) if !recorded.tool_calls.is_empty() => {
                Turn::Calls(recorded.tool_calls.clone())
            }
            Protocol::Plain | Protocol::Native(_) => self.written(recorded),
            Protocol::Prompted(_) => match prompted::read(&recorded.text) {
                Said::Calls(calls) => Turn::Calls(calls),
                Said::Answer(value) => self.answered(value),
                Said::Unreadable(why) => Turn::Unfit(why),
                Said::Text => match self.asking.cut_off(recorded) {
                    Some(why) => Turn::Unfit(why),
                    None => self.written(recorded),
                },
            },
        }
    }

    /// An answer that is a text, as it stands.
    fn written(&self, recorded: &RecordedAnswer) -> Turn {
        match &self.schema {
            None => Turn::Answer(json!({ "text": recorded.text }).into()),
            Some(schema) => match self.asking.read(recorded, schema) {
                Ok(value) => Turn::Answer(value.into()),
                Err(why) => Turn::Unfit(why),
            },
        }
    }

    /// An answer that stood in `{"answer": …}`.
    fn answered(&self, value: Value) -> Turn {
        let Some(schema) = &self.schema else {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return Turn::Answer(json!({ "text": text }).into());
        };
        match schema.check(&value) {
            Ok(()) => Turn::Answer(value.into()),
            Err(why) => Turn::Unfit(why),
        }
    }
}

/// One activation of an agent.
struct Conversation {
    working: Arc<Working>,
    protocol: Protocol,
    messages: Arc<Vec<ChatMessage>>,
    hashed: ConversationDigest,
    repetitions: Repetitions,
}

impl Conversation {
    async fn hold(mut self, session: Session) -> Result<Payload, Failure> {
        let working = Arc::clone(&self.working);
        let (mut turns, mut unfit) = (0, 0);
        for number in 0.. {
            let recorded = working.asking.ask(&session, self.question(number)).await?;
            match working.turn(&self.protocol, &recorded) {
                Turn::Answer(payload) => return Ok(payload),
                Turn::Unfit(why) if unfit == ASKS_AGAIN => return Err(working.asking.never_fitted(&why)),
                Turn::Unfit(why) => {
                    unfit += 1;
                    self.go_on([recorded.message(), ask_again(&why)]);
                }
                Turn::Calls(calls) => {
                    turns += 1;
                    if turns == working.max_turns {
                        break;
                    }
                    self.call(&session, &recorded, calls).await?;
                }
            }
        }
        Err(Failure::permanent(format!(
            "model {:?} still called tools at its last turn (maxTurns {})",
            working.asking.model_name, working.max_turns
        )))
    }

    fn question(&mut self, number: u64) -> Question {
        self.hashed.follow(&self.messages);
        let schema = self.working.schema.as_ref().map(|schema| Arc::clone(schema.value()));
        let (tools, schema) = match &self.protocol {
            Protocol::Plain => (Arc::default(), schema),
            Protocol::Native(signatures) => (Arc::clone(signatures), None),
            Protocol::Prompted(held) => (Arc::default(), Some(Arc::clone(held))),
        };
        let (messages, hashed) = (Arc::clone(&self.messages), self.hashed.clone());
        Question { messages, tools, schema, number, hashed }
    }

    /// Adds to what was said. No question is under way: unless somebody keeps an earlier one, nothing is copied.
    fn go_on(&mut self, said: impl IntoIterator<Item = ChatMessage>) {
        Arc::make_mut(&mut self.messages).extend(said);
    }

    /// Makes the calls of one turn at the same time, and tells the model what they gave, in their order.
    async fn call(
        &mut self,
        session: &Session,
        recorded: &RecordedAnswer,
        calls: Vec<ToolCall>,
    ) -> Result<(), Failure> {
        let answers = self.working.toolbox.call(&calls, &session.calls, &mut self.repetitions).await?;
        match &self.protocol {
            Protocol::Plain | Protocol::Prompted(_) => {
                self.go_on([recorded.message(), prompted::results(&calls, answers)]);
            }
            Protocol::Native(_) => {
                let told = calls.into_iter().zip(answers).map(|(call, answer)| {
                    let text = match answer {
                        Ok(gave) => SharedText::of(&gave)
                            .unwrap_or_else(|| SharedText::from(canonical_json(gave.value()))),
                        Err(why) => format!("error: {why}").into(),
                    };
                    ChatMessage { answers: Some(call.id), ..ChatMessage::new(Role::Tool, text) }
                });
                self.go_on([recorded.message()].into_iter().chain(told));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
