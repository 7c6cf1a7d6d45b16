//! Tools, as agents and vertices see them.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_engine::{Failure, Payload};
use superstep_graph::ToolSpec;

/// Something outside that can be called with arguments. It is shared by all vertices that name it and
/// serves calls at the same time.
pub trait Tool: Send + Sync {
    /// What it is called with.
    fn signature(&self) -> &ToolSignature;

    /// Whether a repeated call does no more than one. What became of a call of another tool that was in
    /// flight at a crash is asked of a person.
    fn is_idempotent(&self) -> bool;

    /// Makes one call. The arguments fit the signature. Dropping the future gives the call up.
    ///
    /// An answer that the tool itself calls an error is a permanent failure with its message; what may
    /// pass (a server that is not there, or busy) is a transient one. Both name the tool. Where nobody knows
    /// whether the call took effect (a connection lost, no answer in time), the failure may pass only if the
    /// tool is idempotent, for another attempt is another call.
    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>>;
}

/// What a tool is called with, for models and for the check of arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSignature {
    /// The name that models use.
    pub name: String,
    /// What it does.
    pub description: String,
    /// A JSON schema of the arguments, an object.
    pub parameters: Arc<Value>,
}

impl ToolSignature {
    /// The signature of a tool with this document, whose arguments fit the schema `parameters`; without one it
    /// takes none.
    pub fn of(spec: &ToolSpec, parameters: Option<Arc<Value>>) -> Self {
        let nothing = || Arc::new(json!({"type": "object", "properties": {}, "additionalProperties": false}));
        Self {
            name: spec.name.to_string(),
            description: spec.description.clone().unwrap_or_default(),
            parameters: parameters.unwrap_or_else(nothing),
        }
    }

    /// The bytes that it takes in a request, about.
    pub(crate) fn bytes(&self) -> u64 {
        (self.name.len() + self.description.len() + self.parameters.to_string().len()) as u64
    }
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolRequest {
    /// The arguments: an object.
    pub arguments: Value,
    /// Equal whenever the same call is sent again. It reaches the outside: over HTTP as the header
    /// `Idempotency-Key`, in a command as the variable `SUPERSTEP_IDEMPOTENCY_KEY`, to a server of the Model
    /// Context Protocol as `superstep.dev/idempotencyKey` in `_meta`.
    pub idempotency_key: String,
}
