//! The program `agent` as written.

use serde::{Deserialize, Serialize};

use super::edge::is_default;
use super::program::{OutputFormat, Sampling};
use crate::name::VertexName;

/// A model that calls tools until it has an answer. Without an output schema it answers `{text: …}`; with
/// one, the object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentProgram {
    /// A model of the graph.
    pub model: VertexName,
    /// A minijinja template of the system message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// A CEL expression of the turns before, which the model is told between the system and the user message: a
    /// list of `{user, assistant}`, or of `{role, content}`; null is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// A minijinja template of the user message. Default: the element in a forEach, else the payload of the
    /// only message, else the list of payloads, else the input; a text, and the text of `{text: …}`, as it is,
    /// anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The tools of the graph that the model may call. A server offers all that it allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<VertexName>,
    /// How often the model may answer, with calls or for good, at least 1; default 8.
    #[serde(default = "max_turns", skip_serializing_if = "is_max_turns")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_turns: u32,
    /// The call with equal arguments that is not made any more, at least the second; default the third. The
    /// model is told so, and the vertex fails at the next one.
    #[serde(default = "repeat_limit", skip_serializing_if = "is_repeat_limit")]
    #[cfg_attr(feature = "schema", schemars(range(min = 2)))]
    pub repeat_limit: u32,
    /// How the model says which tools it calls.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tool_calling: ToolCalling,
    /// How tokens are drawn.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sampling: Sampling,
    /// What the answer must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputFormat>,
}

/// How a model says which tools it calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ToolCalling {
    /// As it can: natively, or else by JSON that its instructions describe.
    #[default]
    Auto,
    /// By its own protocol. A model without one fails the vertex.
    Native,
    /// By JSON that its instructions describe.
    Prompted,
}

const MAX_TURNS: u32 = 8;
const REPEAT_LIMIT: u32 = 3;

fn max_turns() -> u32 {
    MAX_TURNS
}

fn is_max_turns(turns: &u32) -> bool {
    *turns == MAX_TURNS
}

fn repeat_limit() -> u32 {
    REPEAT_LIMIT
}

fn is_repeat_limit(limit: &u32) -> bool {
    *limit == REPEAT_LIMIT
}
