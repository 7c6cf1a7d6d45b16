//! The resources that users write, read from YAML or JSON with the place of every mistake.
//!
//! [`read_paths`] and [`Source`] give texts, [`load`] makes a [`ResourceSet`] of them and reports
//! everything that is wrong as [`Diagnostic`]s: syntax, types, unknown fields, what a graph's own
//! validation finds, and references between resources. Nothing here runs a graph or reads the
//! environment. With the feature `crd` the same types are those of Kubernetes: `crds` gives the
//! CustomResourceDefinitions that are made of them.

mod agent_graph;
#[cfg(feature = "crd")]
mod crd;
mod diagnostic;
mod document;
mod files;
mod graph_run;
mod instance;
mod interpolate;
mod kind;
mod metadata;
mod model_server;
mod node;
mod patch;
mod pods;
mod read;
mod run_name;
mod scalar;
mod schema;
mod set;
mod source;
#[cfg(feature = "crd")]
mod status;
mod workers;

#[cfg(feature = "crd")]
pub use agent_graph::AgentGraphObject;
pub use agent_graph::{AgentGraph, AgentGraphSpec};
#[cfg(feature = "crd")]
pub use crd::crds;
pub use diagnostic::Diagnostic;
pub use files::{STDIN, read_paths};
#[cfg(feature = "crd")]
pub use graph_run::GraphRunObject;
pub use graph_run::{ForkFrom, OperatingMode, RunInput, RunSpec};
pub use instance::{diagnose, read_json, read_yaml};
pub use kind::Kind;
pub use metadata::{ObjectMeta, ObjectRef};
#[cfg(feature = "crd")]
pub use model_server::ModelServerObject;
pub use model_server::{
    Autoscaling, CandleEngine, ClaimSource, ContainerEngine, CpuDevices, Devices, Engine, FileSource,
    GpuDevices, HuggingFaceSource, ModelServer, ModelServerSpec, ModelSource, ScalingTarget, ServedModel,
};
#[cfg(feature = "crd")]
pub use patch::AgentGraphPatchObject;
pub use patch::{AgentGraphPatch, PatchSpec};
pub use pods::{
    NewVolume, Quantity, Resources, Scheduling, TaintEffect, Toleration, TolerationOperator, TopologySpread,
    Volume, WhenUnsatisfiable,
};
pub use run_name::run_name;
pub use schema::{SchemaKind, schema};
pub use set::{CheckedGraph, Loaded, NoGraph, Resource, ResourceSet, load, read_document};
pub use source::{Place, Position, Source};
#[cfg(feature = "crd")]
pub use status::{
    AgentGraphPatchStatus, AgentGraphStatus, GraphRunStatus, ModelServerStatus, PatchPhase, PendingQuestion,
    RefusedMutation, RunOutput, RunPhase,
};
pub use workers::{Ephemeral, ObjectStore, StoreSpec, WorkersSpec};
