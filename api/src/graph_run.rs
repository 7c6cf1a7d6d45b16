//! Runs, which are created on a cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_graph::DurationSpec;

use crate::metadata::ObjectRef;

/// The `spec` of a `GraphRun`: one execution of a graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "crd", expect(clippy::duplicated_attributes, reason = "each column has a type"))]
#[cfg_attr(feature = "crd", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "superstep.dev",
        version = "v1alpha1",
        kind = "GraphRun",
        root = "GraphRunObject",
        doc = "A run as Kubernetes has it.",
        plural = "graphruns",
        shortname = "grun",
        category = "superstep",
        namespaced,
        status = "crate::status::GraphRunStatus",
        schema = "manual",
        derive = "PartialEq",
        selectable = ".spec.graphRef.name",
        selectable = ".spec.operatingMode",
        selectable = ".status.phase",
        printcolumn(name = "Graph", type_ = "string", json_path = ".spec.graphRef.name"),
        printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
        printcolumn(name = "Superstep", type_ = "integer", json_path = ".status.superstep"),
        printcolumn(name = "Tokens", type_ = "integer", json_path = ".status.tokens"),
        printcolumn(name = "Cost", type_ = "number", json_path = ".status.cost"),
        printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
        printcolumn(name = "Output", type_ = "string", json_path = ".status.output.preview", priority = 1)
    )
)]
pub struct RunSpec {
    /// The graph that is run.
    pub graph_ref: ObjectRef,
    /// What it is given. Default: null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<RunInput>,
    /// The parameters of the graph, an object. Default: those that it has by default.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
    /// A run of the same graph whose vertices' values this one begins with, so that a conversation is a chain
    /// of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continue_from: Option<ObjectRef>,
    /// A part of another run with which this one begins. Its graph, its input and its parameters are those of that run, and
    /// none of them is given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_from: Option<ForkFrom>,
    /// What is wanted of it. Nothing else of a run can be changed.
    #[serde(default)]
    pub operating_mode: OperatingMode,
    /// How long the object stays once the run has ended. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_after_finished: Option<DurationSpec>,
}

/// What a run is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunInput {
    /// Any value.
    pub inline: Value,
}

/// A part of a run: all that it had committed before a superstep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForkFrom {
    /// The `metadata.name` of the run, which is of the same graph, whether or not it has ended.
    pub name: String,
    /// The first superstep that the fork makes itself; with 0 it begins anew. Calls that had ended before are not made again.
    pub superstep: u64,
}

/// What is wanted of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OperatingMode {
    /// It goes on to its end.
    #[default]
    Running,
    /// It stops at the next barrier, and goes on when it is `Running` again.
    Suspended,
    /// It ends; this cannot be taken back.
    Cancelled,
}
