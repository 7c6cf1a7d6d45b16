//! Why tools cannot be loaded.

use superstep_graph::{CredentialRef, VertexName};
use superstep_runtime::{CommandError, SchemaError, ToolError};

/// Why the tools of a graph cannot be loaded. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A tool has no kind, or several.
    #[error("tool {tool:?} needs exactly one of http, command, mcp, custom")]
    Kind {
        /// The tool.
        tool: VertexName,
    },
    /// A field of a tool does not hold what it should.
    #[error("tool {tool:?}, {field}: {message}")]
    Field {
        /// The tool.
        tool: VertexName,
        /// The field, as in `http.url`.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// The parameters of a tool are no JSON schema.
    #[error("tool {tool:?}, {field}: {source}")]
    Schema {
        /// The tool.
        tool: VertexName,
        /// The field.
        field: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// A secret is not there.
    #[error(
        "tool {tool:?} needs the key {:?} of the secret {:?}: set the environment variable {}",
        .credential.key, .credential.name, .credential.variable()
    )]
    NoSecret {
        /// The tool.
        tool: VertexName,
        /// The secret.
        credential: CredentialRef,
    },
    /// A secret cannot stand in a header.
    #[error(
        "tool {tool:?}: the secret in {} is empty or has characters that no header can hold",
        .credential.variable()
    )]
    BadSecret {
        /// The tool.
        tool: VertexName,
        /// The secret.
        credential: CredentialRef,
    },
    /// A command cannot be run.
    #[error("tool {tool:?}: {source}")]
    Command {
        /// The tool.
        tool: VertexName,
        /// Why.
        source: CommandError,
    },
    /// A server cannot be reached, or does not speak the protocol.
    #[error("tool {tool:?}: the server {server} cannot be used: {message}")]
    Server {
        /// The tool.
        tool: VertexName,
        /// Its address, or its command.
        server: String,
        /// Why.
        message: String,
    },
    /// A server does not have a tool that is allowed.
    #[error("tool {tool:?}: the server {server} has no tool {name:?}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    NotOffered {
        /// The tool.
        tool: VertexName,
        /// Its address, or its command.
        server: String,
        /// The name that `allow` has.
        name: String,
        /// The nearest name that there is.
        hint: Option<String>,
    },
    /// No function was registered under the name.
    #[error("tool {tool:?}: no function is registered as {name:?}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    NotRegistered {
        /// The tool.
        tool: VertexName,
        /// The name.
        name: String,
        /// The nearest name that there is.
        hint: Option<String>,
    },
    /// What a server says of its tools cannot be used.
    #[error(transparent)]
    Offered(#[from] ToolError),
    /// This machine cannot make HTTP requests.
    #[error("HTTP cannot be spoken on this machine: {0}")]
    Http(String),
}

/// The hint that names the known name nearest to `unknown`, if one is near.
pub(crate) fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    use superstep_graph::{FieldPath, Problem};
    Problem::error(FieldPath::default(), "").nearest(unknown, known).hint
}
