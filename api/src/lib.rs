//! The resources that users write, read from YAML or JSON with the place of every mistake.
//!
//! [`read_paths`] and [`Source`] give texts, [`load`] makes a [`ResourceSet`] of them and reports
//! everything that is wrong as [`Diagnostic`]s: syntax, types, unknown fields, what a graph's own
//! validation finds, and references between resources. Nothing here runs a graph or reads the
//! environment.

mod agent_graph;
mod diagnostic;
mod document;
mod files;
mod instance;
mod interpolate;
mod kind;
mod metadata;
mod model_server;
mod node;
mod read;
mod schema;
mod set;
mod source;

pub use agent_graph::{AgentGraph, AgentGraphPatch, ObjectRef, PatchSpec};
pub use diagnostic::Diagnostic;
pub use files::{STDIN, read_paths};
pub use instance::{diagnose, read_json, read_yaml};
pub use kind::Kind;
pub use metadata::ObjectMeta;
pub use model_server::{
    CandleEngine, CpuDevices, Devices, Engine, FileSource, HuggingFaceSource, ModelServer, ModelServerSpec,
    ModelSource, ServedModel,
};
pub use schema::schema;
pub use set::{CheckedGraph, Loaded, NoGraph, Resource, ResourceSet, load, read_document};
pub use source::{Place, Position, Source};
