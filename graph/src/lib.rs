//! The agent graph as plain data: what a user declares, what is true of it, and how it changes.
//!
//! [`GraphSpec`] is the document that a user writes. [`ValidatedGraph`] is made from it once, by
//! [`validate`], and is trusted from then on: names resolve, joins have slots, edges are indexed.
//! [`fold`] applies mutations between supersteps in Pregel's order and gives the next revision.
//! This crate does no IO and knows neither time nor randomness.

mod canonical;
mod duration;
mod fold;
mod in_worker;
mod mutation;
mod name;
mod path;
mod problem;
mod revision;
#[cfg(feature = "schema")]
mod schema;
mod spec;
mod topology;
mod validate;

pub use canonical::canonical_json;
pub use duration::{DurationSpec, InvalidDuration};
pub use fold::{Fold, ProgramCheck, Verdict, fold};
pub use in_worker::InWorkerModels;
pub use mutation::{
    Capabilities, Denied, EdgeRef, Mutation, MutationKind, MutationOrder, PriorityClass, Refusal, Request,
    SetField, VertexRef,
};
pub use name::{Port, VertexName};
pub use path::{Weight, lightest, unbeaten};
pub use problem::{FieldPath, Problem, Problems, Segment, Severity, Within};
pub use revision::Revision;
#[cfg(feature = "schema")]
pub use schema::exactly_one;
pub use spec::{
    Adoption, AgentProgram, AggregatorSpec, Algorithm, AlgorithmProgram, AnyVertex, BarrierMode, BarrierSpec,
    CacheSpec, CapabilitiesSpec, CheapestPath, Chunking, Combiner, CommandTool, ComponentsSpec, CostUnit,
    CredentialRef, Criterion, CustomProgram, CustomTool, Delivery, DocumentSpec, Documents, EdgeCost,
    EdgeSpec, Effects, EmbedProgram, ExternalModel, FastestPath, Fold as AggregatorFold, ForEachSpec,
    FunctionCommand, FunctionProgram, Goal, Governance, GraphProgram, GraphSpec, HeaderAuth, HttpAuth,
    HttpMethod, HttpTool, HumanProgram, InputSpec, JoinMode, JoinSpec, JudgeProgram, JudgeVerdict,
    LabelPropagationSpec, Limits, Link, LinkError, Links, McpTool, ModelServerRef, ModelSpec, MutationPolicy,
    OnFailure, OnSatisfied, OnUnknown, OutputFormat, OutputSpec, PageRankSpec, Pairwise, ParametersSpec,
    ParetoPath, PathRule, Placement, Prices, Program, ProgramRef, PromptProgram, Provider, RetentionSpec,
    RetrieveProgram, RetrySpec, RouterProgram, Rubric, Sampling, Scale, Select, Sends, ShortestPathsSpec,
    ToolCalling, ToolKind, ToolProgram, ToolSpec, TrianglesSpec, VertexSpec, Weights, WhenIncomplete,
};
pub use topology::{Edge, EdgeIx, Join, SlotIx, Topology, Vertex, VertexIx};
pub use validate::{ValidatedGraph, check_external, validate};
