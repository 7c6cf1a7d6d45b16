//! The graph as a user writes it.
//!
//! Every type here is a document: optional members are `Option` or have the default that the docs
//! name, unknown members are refused, and relations between members are not yet checked.

mod agent;
mod algorithm;
mod cache;
mod edge;
mod human;
mod judge;
mod limits;
mod model;
mod program;
mod retention;
mod retrieval;
mod router;
mod tool;
mod vertex;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mutation::MutationKind;
use crate::name::VertexName;

pub use agent::{AgentProgram, ToolCalling};
pub use algorithm::{
    Algorithm, AlgorithmProgram, ComponentsSpec, LabelPropagationSpec, Link, LinkError, Links, PageRankSpec,
    ShortestPathsSpec, TrianglesSpec,
};
pub use cache::CacheSpec;
pub use edge::{Delivery, EdgeCost, EdgeSpec};
pub use human::HumanProgram;
pub use judge::{Criterion, JudgeProgram, JudgeVerdict, Pairwise, Rubric, Scale};
pub use limits::{BarrierMode, BarrierSpec, Limits};
pub use model::{CredentialRef, ExternalModel, ModelServerRef, ModelSpec, Placement, Prices, Provider};
pub use program::{
    CustomProgram, FunctionCommand, FunctionProgram, GraphProgram, OutputFormat, Program, ProgramRef,
    PromptProgram, Sampling, ToolProgram,
};
pub use retention::RetentionSpec;
pub use retrieval::{Chunking, DocumentSpec, Documents, EmbedProgram, RetrieveProgram};
pub use router::{CheapestPath, CostUnit, FastestPath, Goal, ParetoPath, PathRule, RouterProgram, Weights};
pub use tool::{
    CommandTool, CustomTool, HeaderAuth, HttpAuth, HttpMethod, HttpTool, McpTool, ToolKind, ToolSpec,
};
pub use vertex::{
    AnyVertex, CapabilitiesSpec, Combiner, Effects, ForEachSpec, JoinMode, JoinSpec, OnFailure, OnSatisfied,
    OnUnknown, RetrySpec, Sends, VertexSpec, WhenIncomplete,
};

/// The `spec` of an `AgentGraph`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GraphSpec {
    /// What the graph is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a run's input must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputSpec>,
    /// What a reusable graph is made with, read as `parameters` by its templates and expressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<ParametersSpec>,
    /// The models that vertices may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelSpec>,
    /// The tools that vertices may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// Vertices activated in superstep 0, once, with an empty inbox, whatever their join.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub entry: Vec<VertexName>,
    /// The vertices; names are unique.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub vertices: Vec<VertexSpec>,
    /// The edges; (from, port, to) is unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<EdgeSpec>,
    /// What of the run is its result. Default: the last output of every vertex without an active
    /// edge to another vertex.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputSpec>,
    /// Values folded from the contributions of one commit and seen by every vertex in the next
    /// superstep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregators: Vec<AggregatorSpec>,
    /// When a superstep ends.
    #[serde(default)]
    pub barrier: BarrierSpec,
    /// What ends a run early, with its partial outputs.
    #[serde(default)]
    pub limits: Limits,
    /// Which changes to a running graph its vertices may ask for, who decides on them, and what runs do when its
    /// document changes.
    #[serde(default)]
    pub mutations: MutationPolicy,
    /// Which runs are kept once they have ended. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionSpec>,
}

impl GraphSpec {
    /// Its parameters with `given` in place of the defaults of the same names: an object, empty if it has none.
    pub fn parameters_with(&self, given: &Value) -> Value {
        let default = self.parameters.as_ref().and_then(|parameters| parameters.default.as_object());
        let members = default.into_iter().chain(given.as_object()).flatten();
        Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Puts every named list into the order of its key, so that the order of declaration has no
    /// effect on anything.
    pub fn sort(&mut self) {
        self.models.sort_by(|a, b| a.name.cmp(&b.name));
        self.tools.sort_by(|a, b| a.name.cmp(&b.name));
        self.entry.sort();
        self.entry.dedup();
        self.vertices.sort_by(|a, b| a.name.cmp(&b.name));
        self.edges.sort_by(|a, b| a.key().cmp(&b.key()));
        self.outputs.sort_by(|a, b| a.vertex.cmp(&b.vertex));
        self.aggregators.sort_by(|a, b| a.name.cmp(&b.name));
        self.mutations.allow.sort();
        self.vertices.iter_mut().for_each(VertexSpec::sort);
    }
}

/// What a run's input must look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputSpec {
    /// A JSON schema (2020-12) that the input must satisfy.
    pub schema: Value,
}

/// What a reusable graph is made with. It stays the same while the graph is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParametersSpec {
    /// A JSON schema (2020-12) of all of them together, an object.
    pub schema: Value,
    /// Those that need not be given: an object.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub default: Value,
}

/// One declared output of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputSpec {
    /// The vertex whose outputs these are.
    pub vertex: VertexName,
    /// Which of them.
    #[serde(default)]
    pub select: Select,
}

/// Which of the outputs that a vertex had over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Select {
    /// That of its last commit.
    #[default]
    Last,
    /// That of its first commit.
    First,
    /// All, in the order of their commits, as a list.
    All,
}

/// A value folded from what vertices contribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AggregatorSpec {
    /// The name under which vertices contribute and read.
    pub name: VertexName,
    /// How contributions become one value.
    pub fold: Fold,
    /// Whether the fold goes on from the value before, instead of beginning anew at each commit.
    #[serde(default)]
    pub persistent: bool,
}

/// How values become one; all are associative, and folded in a fixed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Fold {
    /// The sum of numbers.
    Sum,
    /// The least number.
    Min,
    /// The greatest number.
    Max,
    /// How many values there were.
    Count,
    /// The last value.
    Last,
    /// A list of the values.
    Append,
}

/// How a running graph changes. `allow` and `governance` are for its own vertices: people and optimisers are bound by their own
/// permissions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MutationPolicy {
    /// The kinds of mutation allowed. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<MutationKind>,
    /// What becomes of what its vertices ask for and `allow` has.
    #[serde(default, skip_serializing_if = "Governance::is_default")]
    pub governance: Governance,
    /// What its runs do when the graph's own document changes.
    #[serde(default, skip_serializing_if = "Adoption::is_default")]
    pub adopt: Adoption,
}

/// Who decides on the mutations that vertices ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Governance {
    /// Nobody: they are applied at the next barrier.
    #[default]
    Local,
    /// A person: the vertex that asks waits with all that it gives until somebody has approved or denied its
    /// mutations.
    Propose,
    /// Nobody: they are refused, and the run goes on.
    Deny,
}

impl Governance {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a run does when the document of its graph changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Adoption {
    /// It goes on with the new document from its next barrier on, and makes the changes of its own barriers to it
    /// again.
    #[default]
    Barrier,
    /// It keeps to the document that it began with.
    Pinned,
}

impl Adoption {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
