//! What the operator says of the resources.
//!
//! Conditions have the meaning of kstatus: `Ready` is true when the observed generation is in place,
//! `Reconciling` and `Stalled` are only there while they are true. Other types name what was looked at.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `status` of an `AgentGraph`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentGraphStatus {
    /// The generation of the spec that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`, `GraphValid`, `ResolvedRefs`, `WorkersAvailable`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The hash of the graph as it is declared; runs of equal revisions run the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// How many vertices it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vertices: Option<u32>,
    /// How many edges it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edges: Option<u32>,
    /// How many worker pods there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// How many of them are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Selects the worker pods, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// How many runs have not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_runs: Option<u32>,
}

/// The `status` of a `ModelServer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelServerStatus {
    /// The generation of the spec that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`, `SpecValid`, `ServersAvailable`, `FitsDevice`, `Autoscaled`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The engine that serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The name that clients send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where it is asked, by the protocol of OpenAI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How many pods there are to be, where autoscaling chooses that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// How many pods there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// How many of them are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Selects the pods, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// The `status` of an `AgentGraphPatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentGraphPatchStatus {
    /// The generation of the spec that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What became of the patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<PatchPhase>,
    /// Why it was rejected, or is waiting, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its place among the patches of the graph, which are applied in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<u64>,
    /// The superstep at whose barrier it was judged, of the run that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superstep: Option<u64>,
    /// The revision that it led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Those of its mutations that were refused, the first sixteen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedMutation>,
}

/// What became of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PatchPhase {
    /// Nobody has looked at it.
    Pending,
    /// It is well formed and waits for a barrier.
    Accepted,
    /// At least one of its mutations is applied.
    Applied,
    /// None of its mutations is applied.
    Rejected,
    /// The run that it is for has ended before.
    Stale,
}

/// A mutation that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RefusedMutation {
    /// Its place in the patch, from 0.
    pub index: u32,
    /// Why it was refused.
    pub message: String,
}

/// The `status` of a `GraphRun`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GraphRunStatus {
    /// The generation of the spec that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, which is true when it has succeeded, `Reconciling`, `Stalled`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<RunPhase>,
    /// Why it waits, failed or ended early, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The last superstep that is committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superstep: Option<u64>,
    /// The revision of the graph that it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// How many activations it has started, each element of a `forEach` counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activations: Option<u64>,
    /// How many calls of models and tools it has made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// How many tokens it has used, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// What it has cost, in the unit of the models' prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// When it was handed to the workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// What it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<RunOutput>,
    /// The model servers whose pods it may ask: those that its graph named when it was handed to the workers, whatever the
    /// graph names later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_servers: Option<Vec<String>>,
    /// What people are asked, the first sixteen questions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<PendingQuestion>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// No worker has it.
    Pending,
    /// It is worked on.
    Running,
    /// It waits for answers from outside.
    Waiting,
    /// It stands still because `operatingMode` says so.
    Suspended,
    /// It has come to its end.
    Succeeded,
    /// A vertex failed, or a limit was reached.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// What a run came to. The whole of it is in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunOutput {
    /// The first KiB of it, as JSON.
    pub preview: String,
    /// The BLAKE3 hash of the whole, in hexadecimal.
    pub digest: String,
    /// How many bytes the whole has.
    pub bytes: u64,
    /// Where the whole can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// A question to a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PendingQuestion {
    /// What an answer names it by.
    pub id: String,
    /// The vertex that asks.
    pub vertex: String,
    /// What is asked, or the first KiB of it.
    pub prompt: String,
}
