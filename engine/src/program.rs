//! What a program sees, and what it gives back.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use superstep_graph::{Mutation, Port, VertexName};

use crate::costs::Route;
use crate::payload::{Payload, as_json, is_deeper};

/// All that one activation sees. It has no clock and no randomness. What it shares with the other
/// elements of its forEach is reached as if it were its own.
#[derive(Clone, Debug)]
pub struct View {
    /// What every element of a forEach sees alike.
    pub scene: Arc<Scene>,
    /// The element, in a forEach.
    pub element: Option<Payload>,
}

/// What an activation sees, its element apart. The elements of a forEach share one.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Constant of the run, or of its frame.
    pub input: Payload,
    /// The parameters of its graph, an object.
    pub parameters: Payload,
    /// What was drained for this activation, in the order of message ids.
    pub messages: Vec<Received>,
    /// The last messages of passive and of retained edges, in the order of message ids, without those after
    /// which another one of the same sender was drained.
    pub kept: Vec<Received>,
    /// The private value of the vertex.
    pub value: Payload,
    /// What the last commit's contributions were folded to.
    pub aggregates: Arc<BTreeMap<VertexName, Payload>>,
    /// The superstep in which the activation started.
    pub superstep: u64,
    /// Where the vertex sends to, or why it cannot, if it is a router that weighs costs.
    pub route: Option<Arc<Result<Route, Failure>>>,
}

impl Deref for View {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl From<Scene> for View {
    /// The view of an activation without forEach.
    fn from(scene: Scene) -> Self {
        Self { scene: Arc::new(scene), element: None }
    }
}

impl Scene {
    /// What came last from each sender, as [`from`](Self::from) has it.
    pub fn last_of_each(&self) -> BTreeMap<&VertexName, &Payload> {
        // A kept message that stands here comes after all that was drained of its sender.
        let all = self.messages.iter().chain(&self.kept);
        all.map(|message| (&message.from, &message.payload)).collect()
    }

    /// The payload that came last from `sender`, in the order of message ids.
    pub fn from(&self, sender: &VertexName) -> Option<&Payload> {
        let last = |list: &'_ [Received]| list.iter().rposition(|message| message.from == *sender);
        // A kept message that stands here comes after all that was drained of its sender.
        match last(&self.kept) {
            Some(index) => Some(&self.kept[index].payload),
            None => last(&self.messages).map(|index| &self.messages[index].payload),
        }
    }
}

/// A message as its receiver sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The sender.
    pub from: VertexName,
    /// The port on which it left; the default port for a direct message.
    pub port: Port,
    /// What it says.
    pub payload: Payload,
}

/// What a successful activation gives back. All of it takes effect with the commit that lists it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgramResult {
    /// Messages along edges, by port, in order. The first on the default port, else the first, is
    /// the activation's output.
    pub emissions: Vec<Emission>,
    /// Messages to declared targets.
    pub direct: Vec<Direct>,
    /// What becomes of the vertex's value.
    pub value: ValueChange,
    /// Changes to the graph that the vertex asks for.
    #[serde(with = "as_json")]
    pub mutations: Vec<Mutation>,
    /// What it contributes to aggregators.
    pub contributions: Vec<(VertexName, Payload)>,
}

impl ProgramResult {
    /// The result that sends `payload` on the default port and does nothing else.
    pub fn output(payload: Payload) -> Self {
        Self { emissions: vec![Emission { port: Port::default(), payload }], ..Self::default() }
    }

    /// What is nested too deeply to be recorded, if something is.
    pub(crate) fn too_deep(&self) -> Option<&'static str> {
        let value = match &self.value {
            ValueChange::Keep => None,
            ValueChange::Set(value) | ValueChange::Append(value) => Some(value),
        };
        let is_too_deep = |payload: &Payload| payload.is_too_deep();
        if self.emissions.iter().any(|emission| is_too_deep(&emission.payload)) {
            Some("a message")
        } else if self.direct.iter().any(|direct| is_too_deep(&direct.payload)) {
            Some("a direct message")
        } else if value.is_some_and(is_too_deep) {
            Some("the new value")
        } else if self.contributions.iter().any(|(_, payload)| is_too_deep(payload)) {
            Some("a contribution")
        } else if self.mutations.iter().any(is_nested) {
            Some("a mutation")
        } else {
            None
        }
    }

    /// What counts as the output of the activation.
    pub fn as_output(&self) -> Option<&Payload> {
        let default = self.emissions.iter().find(|emission| emission.port.is_default());
        default.or(self.emissions.first()).map(|emission| &emission.payload)
    }
}

/// Whether the document of a mutation is nested too deeply to be recorded.
fn is_nested(mutation: &Mutation) -> bool {
    serde_json::to_value(mutation).is_ok_and(|document| is_deeper(&document, Payload::MAX_DEPTH))
}

/// A message along the edges of one port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emission {
    /// The port.
    pub port: Port,
    /// What it says.
    pub payload: Payload,
}

/// A message to a declared target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Direct {
    /// The target.
    pub to: VertexName,
    /// What it says.
    pub payload: Payload,
}

/// What becomes of a vertex's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum ValueChange {
    /// It stays.
    #[default]
    Keep,
    /// It is replaced.
    Set(Payload),
    /// An item is appended to it; only the item is stored.
    Append(Payload),
}

/// How one attempt of an activation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It has a result.
    Done(ProgramResult),
    /// It waits for an answer from outside, and is not run again from its start.
    Suspended(Question),
    /// It failed.
    Failed(Failure),
}

/// What is asked of the outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked, for a person or a program to read.
    pub ask: Payload,
    /// What the program needs to go on; handed back with the answer. With none, the answer is the
    /// activation's output.
    pub state: Option<Payload>,
}

/// An answer from outside, handed to the program that asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumption {
    /// What the program left with its question.
    pub state: Payload,
    /// The answer.
    pub answer: Payload,
}

/// Why an activation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure it is, which decides whether it is tried again.
    pub class: FailureClass,
    /// What happened, naming the object.
    pub message: String,
    /// How long whoever failed asks to be left alone, where it says so: another attempt does not begin
    /// before. No record keeps it; after a crash the next attempt begins at once.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureClass {
    /// It may pass: a lost connection, an overloaded server.
    Transient,
    /// The attempt took longer than the vertex allows; tried again.
    Timeout,
    /// It would happen again: an expression that has no value, a request that is refused.
    Permanent,
    /// A join that was to fail when incomplete.
    Incomplete,
    /// The sub-graph failed or reached its limit.
    Frame,
    /// A limit of the run does not allow the call.
    Limit,
}

impl FailureClass {
    /// Its name, as payloads on port `error` and records have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "Transient",
            Self::Timeout => "Timeout",
            Self::Permanent => "Permanent",
            Self::Incomplete => "Incomplete",
            Self::Frame => "Frame",
            Self::Limit => "Limit",
        }
    }

    /// Whether another attempt could end otherwise.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Transient | Self::Timeout => true,
            Self::Permanent | Self::Incomplete | Self::Frame | Self::Limit => false,
        }
    }
}

impl Outcome {
    /// The same outcome, or a failure in place of what is nested too deeply to be recorded.
    pub fn bounded(self) -> Self {
        let what = match &self {
            Self::Done(result) => result.too_deep(),
            Self::Suspended(Question { ask, state }) => {
                let too_deep = ask.is_too_deep() || state.as_ref().is_some_and(Payload::is_too_deep);
                too_deep.then_some("a question")
            }
            Self::Failed(_) => None,
        };
        what.map_or(self, |what| Self::Failed(Failure::too_deep(what)))
    }
}

const OVERRUN: &str = "the attempt took longer than the vertex's timeout";

impl Failure {
    /// Something is nested too deeply to be recorded.
    pub(crate) fn too_deep(what: &str) -> Self {
        let most = Payload::MAX_DEPTH;
        Self::permanent(format!("{what} is nested too deeply: lists and objects may be nested {most} deep"))
    }

    /// A failure of this class.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None }
    }

    /// A failure that would happen again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Permanent, message)
    }

    /// The failure of an attempt that took longer than its vertex allows.
    pub(crate) fn overrun() -> Self {
        Self::new(FailureClass::Timeout, OVERRUN)
    }

    /// Whether the clock ended the attempt, and not the program.
    pub fn is_overrun(&self) -> bool {
        self.class == FailureClass::Timeout && self.message == OVERRUN
    }

    /// A failure that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Transient, message)
    }

    /// The same failure, of one that asks to be left alone for so long.
    #[must_use]
    pub fn retry_after(self, pause: Option<Duration>) -> Self {
        Self { retry_after: pause, ..self }
    }
}

/// What calls have used, or may use at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Calls of models and tools.
    pub calls: u64,
    /// Tokens read by models.
    pub prompt_tokens: u64,
    /// Tokens written by models.
    pub completion_tokens: u64,
    /// Cost, in units of the models' prices.
    pub cost: f64,
}

impl Usage {
    /// Tokens read and written.
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost += other.cost;
    }
}
