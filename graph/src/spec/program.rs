//! What a vertex executes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent::AgentProgram;
use super::algorithm::AlgorithmProgram;
use super::edge::is_default;
use super::human::HumanProgram;
use super::judge::JudgeProgram;
use super::retrieval::{EmbedProgram, RetrieveProgram};
use super::router::RouterProgram;
use crate::duration::DurationSpec;
use crate::name::VertexName;

/// What a vertex executes: exactly one member of the vertex.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Program<'a> {
    /// One call of a model.
    Prompt(&'a PromptProgram),
    /// A CEL expression or a command.
    Function(&'a FunctionProgram),
    /// A choice of ports, by an expression or by costs.
    Router(&'a RouterProgram),
    /// Another graph, run as a frame.
    Graph(&'a GraphProgram),
    /// A model that grades.
    Judge(&'a JudgeProgram),
    /// A question to a person.
    Human(&'a HumanProgram),
    /// A model that calls tools until it has an answer.
    Agent(&'a AgentProgram),
    /// One call of a tool.
    Tool(&'a ToolProgram),
    /// Texts as vectors.
    Embed(&'a EmbedProgram),
    /// A search for the passages that are nearest to a text.
    Retrieve(&'a RetrieveProgram),
    /// A graph algorithm.
    Algorithm(&'a AlgorithmProgram),
    /// A program that the embedding process registered.
    Custom(&'a CustomProgram),
}

impl Program<'_> {
    /// The members of a vertex of which exactly one is given.
    pub const KINDS: [&'static str; 12] = [
        "prompt",
        "agent",
        "judge",
        "tool",
        "function",
        "router",
        "human",
        "graph",
        "embed",
        "retrieve",
        "algorithm",
        "custom",
    ];

    /// The name of the member that holds it.
    pub fn kind(&self) -> &'static str {
        match self {
            Program::Prompt(_) => "prompt",
            Program::Function(_) => "function",
            Program::Router(_) => "router",
            Program::Graph(_) => "graph",
            Program::Judge(_) => "judge",
            Program::Human(_) => "human",
            Program::Agent(_) => "agent",
            Program::Tool(_) => "tool",
            Program::Embed(_) => "embed",
            Program::Retrieve(_) => "retrieve",
            Program::Algorithm(_) => "algorithm",
            Program::Custom(_) => "custom",
        }
    }
}

/// One call of a model. Without an output schema it answers `{text: …}`; with one, the object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromptProgram {
    /// A model of the graph.
    pub model: VertexName,
    /// A minijinja template of the system message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// A CEL expression of the turns before, which the model is told between the system and the user message: a
    /// list of `{user, assistant}`, or of `{role, content}`; null is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// A minijinja template of the user message.
    pub template: String,
    /// How tokens are drawn.
    #[serde(default)]
    pub sampling: Sampling,
    /// What the answer must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputFormat>,
}

/// What a model's answer must look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputFormat {
    /// A JSON schema. A local model is held to it while it decodes; any other answer is checked.
    pub schema: Value,
}

/// How tokens are drawn. What is left out has the model's own default: greedy, without penalties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Sampling {
    /// 0 takes the likeliest token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100)))]
    pub temperature: Option<f64>,
    /// Nucleus sampling: the least set of tokens whose probability reaches this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub top_p: Option<f64>,
    /// Only the likeliest tokens, so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Only tokens at least this likely, relative to the likeliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub min_p: Option<f64>,
    /// Subtracted from the logit of a token that has occurred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Subtracted from the logit of a token, for each time that it has occurred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Divides (a negative logit: multiplies) the logit of a token that has occurred.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0)))]
    pub repetition_penalty: Option<f64>,
    /// Seed of the draws. Left out, it is derived from the activation, so that a repeated run
    /// repeats its draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Texts that end the answer and are left out of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The most tokens to write; default 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_tokens: Option<u32>,
    /// For a `prompt` to a local model: tells on the port `logprobs` how likely each token was that the model wrote,
    /// and so many of the likeliest ones at its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 20)))]
    pub logprobs: Option<u8>,
}

/// A function of what the vertex sees, whose value is the payload on the default port: exactly one of `cel`
/// and `command`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_function))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FunctionProgram {
    /// A CEL expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
    /// A command of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<FunctionCommand>,
}

/// A command of this machine, run without a shell. What the vertex sees comes as one JSON object on its
/// standard input: `{input, messages, from, value, element, aggregates, superstep}`. Its standard output is the
/// payload, JSON, or else a text as `{text: …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FunctionCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The longest that it may run; default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationSpec>,
    /// The most bytes of its output; default 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_bytes: Option<u64>,
    /// Variables of the environment that it sees, beside `PATH`, `HOME`, `LANG` and `TMPDIR`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// Whether running it twice does no more than running it once. Default: it does more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub idempotent: bool,
}

/// One call of a tool. Its answer is the payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolProgram {
    /// A tool of the graph.
    pub name: VertexName,
    /// Which of its tools, where the tool is a server that offers several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_tool: Option<String>,
    /// CEL that gives the arguments, an object. Default: the element in a forEach, else the payload of the
    /// only message; without a message, no arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// Another graph, run as a frame on the same superstep clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GraphProgram {
    /// The graph.
    #[serde(rename = "ref")]
    pub reference: ProgramRef,
    /// Its parameters, an object. Default: those that it has by default.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
}

/// Another `AgentGraph` by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgramRef {
    /// Its `metadata.name`.
    pub name: String,
}

/// A program that the embedding process registered under a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomProgram {
    /// The name it was registered under.
    pub name: String,
    /// What is handed to it, as it is.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
}
