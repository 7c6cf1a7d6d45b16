//! Vertices as written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent::AgentProgram;
use super::algorithm::AlgorithmProgram;
use super::cache::CacheSpec;
use super::edge::is_default;
use super::human::HumanProgram;
use super::judge::JudgeProgram;
use super::program::{CustomProgram, FunctionProgram, GraphProgram, Program, PromptProgram, ToolProgram};
use super::retrieval::{EmbedProgram, RetrieveProgram};
use super::router::RouterProgram;
use crate::duration::DurationSpec;
use crate::name::VertexName;

/// A vertex: a program, a private value, and a join.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_program))]
pub struct VertexSpec {
    /// Unique in the graph.
    pub name: VertexName,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Program: one call of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Box<PromptProgram>>,
    /// Program: a CEL expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Box<FunctionProgram>>,
    /// Program: a choice of ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Box<RouterProgram>>,
    /// Program: a question to a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<Box<HumanProgram>>,
    /// Program: another graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<GraphProgram>,
    /// Program: a model that calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<AgentProgram>>,
    /// Program: a model that grades.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Box<JudgeProgram>>,
    /// Program: one call of a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolProgram>,
    /// Program: texts as vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<EmbedProgram>,
    /// Program: a search among documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieve: Option<Box<RetrieveProgram>>,
    /// Program: a graph algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Box<AlgorithmProgram>>,
    /// Program: one registered by the embedding process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomProgram>,
    /// What must have arrived before the vertex is activated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub join: JoinSpec,
    /// One activation per element of the incoming list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEachSpec>,
    /// How several messages of one sender become one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combiner: Option<Combiner>,
    /// Whom the vertex may send to without an edge. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sends: Option<Sends>,
    /// What else a result has beside its payload, as CEL over `output` and what the vertex saw.
    #[serde(default, skip_serializing_if = "is_default")]
    pub effects: Effects,
    /// What the vertex may hand on by mutations beyond what it uses itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub capabilities: CapabilitiesSpec,
    /// The value before the first activation. Default: null.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// What a failure does when no edge takes the port `error`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
    /// What becomes of a call that was in flight at a crash. Default: `Retry` for models and idempotent
    /// tools, `Ask` for other calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<OnUnknown>,
    /// How often a failure that may pass is tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: RetrySpec,
    /// The longest that one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationSpec>,
    /// For how long a result is taken again where the vertex sees the same. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSpec>,
    /// What the worker must have that executes the vertex on a cluster, such as `gpu`. A local run has it all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
}

impl Default for VertexName {
    fn default() -> Self {
        Self::from("")
    }
}

impl VertexSpec {
    /// The program, if exactly one is given.
    pub fn program(&self) -> Option<Program<'_>> {
        let mut programs = self.programs();
        let first = programs.next();
        if programs.next().is_some() { None } else { first }
    }

    /// Puts lists whose order means nothing into the order of names.
    pub(super) fn sort(&mut self) {
        if let Some(of) = &mut self.join.of {
            of.sort();
        }
        match &mut self.sends {
            Some(Sends::To(targets)) => targets.sort(),
            Some(Sends::Any(AnyVertex::Any)) | None => {}
        }
        if let Some(agent) = &mut self.agent {
            agent.tools.sort();
        }
        self.capabilities.models.sort();
        self.capabilities.tools.sort();
        self.capabilities.graphs.sort();
        self.capabilities.custom.sort();
    }

    /// How many attempts it has: a person is not asked again because nobody has answered.
    pub fn max_attempts(&self) -> u32 {
        if self.human.is_some() { 1 } else { self.retry.max_attempts }
    }

    /// The models of the graph that it asks.
    pub fn models_used(&self) -> impl Iterator<Item = &VertexName> {
        let prompt = self.prompt.as_ref().map(|prompt| &prompt.model);
        let agent = self.agent.as_ref().map(|agent| &agent.model);
        let judge = self.judge.as_ref().map(|judge| &judge.model);
        prompt.into_iter().chain(agent).chain(judge).chain(self.embedder_used())
    }

    /// The model of the graph that it asks for vectors.
    pub fn embedder_used(&self) -> Option<&VertexName> {
        let embed = self.embed.as_ref().map(|embed| &embed.model);
        embed.or(self.retrieve.as_ref().map(|retrieve| &retrieve.model))
    }

    /// The tools of the graph that it calls.
    pub fn tools_used(&self) -> impl Iterator<Item = &VertexName> {
        let tool = self.tool.as_ref().map(|tool| &tool.name);
        tool.into_iter().chain(self.agent.iter().flat_map(|agent| &agent.tools))
    }

    /// Every program given.
    pub fn programs(&self) -> impl Iterator<Item = Program<'_>> {
        [
            self.prompt.as_deref().map(Program::Prompt),
            self.function.as_deref().map(Program::Function),
            self.router.as_deref().map(Program::Router),
            self.graph.as_ref().map(Program::Graph),
            self.agent.as_deref().map(Program::Agent),
            self.judge.as_deref().map(Program::Judge),
            self.human.as_deref().map(Program::Human),
            self.tool.as_ref().map(Program::Tool),
            self.embed.as_ref().map(Program::Embed),
            self.retrieve.as_deref().map(Program::Retrieve),
            self.algorithm.as_deref().map(Program::Algorithm),
            self.custom.as_ref().map(Program::Custom),
        ]
        .into_iter()
        .flatten()
    }
}

/// What must have arrived before a vertex is activated. Each predecessor counted is a slot; any
/// active edge from it fills the slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinSpec {
    /// How many slots must be filled.
    #[serde(default)]
    pub mode: JoinMode,
    /// The predecessors counted. Default: all with an active edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Vec<VertexName>>,
    /// For `Quorum`: the number of slots; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub count: Option<u32>,
    /// For `Quorum`: what becomes of the branches that lost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_satisfied: OnSatisfied,
    /// What happens when nothing is left that could fill the missing slots.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_incomplete: WhenIncomplete,
}

/// How many slots a join needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum JoinMode {
    /// One; it activates on every arrival.
    #[default]
    Any,
    /// All of them.
    All,
    /// As many as `count` says; the late ones of a round are owed and ignored.
    Quorum,
}

/// What becomes of the branches that lost a quorum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OnSatisfied {
    /// They run to their end; their messages are late.
    #[default]
    LetRun,
    /// Those that can have no other observable effect are cancelled.
    CancelRest,
}

/// What a join does when nothing is left that could complete it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum WhenIncomplete {
    /// It runs with what is there.
    #[default]
    Fire,
    /// It does not run; what waited is reported as buffered.
    Skip,
    /// The vertex fails.
    Fail,
}

/// One activation per element of the incoming list; the group is one activation to all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForEachSpec {}

/// How several messages of one sender become one, folded at the receiver in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Combiner {
    /// The sum of numbers.
    Sum,
    /// The least number.
    Min,
    /// The greatest number.
    Max,
    /// The first message.
    First,
    /// The last message.
    Last,
    /// A list of the payloads.
    Append,
}

/// Whom a vertex may send to without an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Sends {
    /// These vertices.
    To(Vec<VertexName>),
    /// Everyone: `Any`.
    Any(AnyVertex),
}

/// The word `Any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AnyVertex {
    /// Every vertex.
    Any,
}

/// What else a result has beside its payload. Each member is a CEL expression over `output` (the
/// payload) and over all that the vertex saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Effects {
    /// The new value of the vertex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// An item to append to the value, which is a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append: Option<String>,
    /// A list of mutations, each as in a patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutations: Option<String>,
    /// A list of `{to, payload}`; the targets must be declared in `sends`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sends: Option<String>,
    /// What is contributed to each aggregator; null contributes nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contribute: BTreeMap<VertexName, String>,
}

/// What a vertex may hand on by mutations beyond what it uses itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CapabilitiesSpec {
    /// Models of the graph.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<VertexName>,
    /// Tools of the graph.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<VertexName>,
    /// Graphs to open as sub-graphs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub graphs: Vec<String>,
    /// Custom programs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom: Vec<String>,
}

/// What a failure does when no edge takes the port `error`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OnFailure {
    /// The run fails, with its partial outputs; other results of the superstep are committed.
    #[default]
    FailRun,
    /// The vertex just does not send.
    Ignore,
}

/// What becomes of a call whose outcome a crash has hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OnUnknown {
    /// It is sent again, once per crash, with the same idempotency key.
    Retry,
    /// The activation fails.
    Fail,
    /// The activation is suspended until a person answers for the call.
    Ask,
}

/// How often, and after which pauses, a failure that may pass is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetrySpec {
    /// Attempts in all, the first one counted; default 3.
    pub max_attempts: u32,
    /// The pause after the first attempt, doubled after each; default 500ms.
    pub backoff: DurationSpec,
    /// The longest pause; default 30s.
    pub max_backoff: DurationSpec,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: DurationSpec::from(std::time::Duration::from_millis(500)),
            max_backoff: DurationSpec::from(std::time::Duration::from_secs(30)),
        }
    }
}
