//! What calls are about, for those who watch a run.

use std::borrow::Cow;

use serde_json::Value;
use superstep_graph::VertexName;

use crate::model::ModelRequest;

/// What is called, with what. No log keeps it.
#[derive(Clone, Debug, PartialEq)]
pub enum CallSubject {
    /// A model is asked.
    Model {
        /// Its name in the graph.
        name: VertexName,
        /// Who serves it, if the model knows.
        identity: Option<ModelIdentity>,
        /// What it is asked.
        request: Box<ModelRequest>,
    },
    /// A model is asked for vectors.
    Embedding {
        /// Its name in the graph.
        name: VertexName,
        /// Who serves it, if the model knows.
        identity: Option<ModelIdentity>,
        /// The texts.
        texts: Vec<String>,
    },
    /// A tool is called.
    Tool {
        /// The entry of the graph's `tools`.
        entry: VertexName,
        /// The tool's own name.
        name: String,
        /// What it does.
        description: String,
        /// With which arguments.
        arguments: Value,
    },
}

/// Who serves a model, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelIdentity {
    /// The provider, as the semantic conventions of OpenTelemetry call it where they know it.
    pub provider: Cow<'static, str>,
    /// The name that the provider knows the model by.
    pub model: String,
    /// Host and port of a service outside; none for a model in this process.
    pub server: Option<(String, u16)>,
}
