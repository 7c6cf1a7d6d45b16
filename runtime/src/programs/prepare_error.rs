//! Why a vertex cannot be executed.

use superstep_graph::{LinkError, VertexName};

use crate::roots::CompileError;
use crate::schema::SchemaError;

/// Why a vertex cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// It has none or several programs.
    #[error("vertex {vertex:?} does not have exactly one program")]
    NoProgram {
        /// The vertex.
        vertex: VertexName,
    },
    /// Its program is a sub-graph, which the engine opens as a frame.
    #[error("vertex {vertex:?} is a sub-graph, which is opened as a frame")]
    Frame {
        /// The vertex.
        vertex: VertexName,
    },
    /// This process has no model of that name.
    #[error("vertex {vertex:?}: no model is named {model:?}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    UnknownModel {
        /// The vertex.
        vertex: VertexName,
        /// The name.
        model: VertexName,
        /// The nearest name that there is.
        hint: Option<String>,
    },
    /// The model of that name does something else.
    #[error("vertex {vertex:?}: model {model:?} {does}")]
    WrongModel {
        /// The vertex.
        vertex: VertexName,
        /// The name.
        model: VertexName,
        /// What it does, and what it does not.
        does: &'static str,
    },
    /// What it takes from files is in none that somebody has read.
    #[error("vertex {vertex:?}: the files of {field} were not read: give them inline")]
    Unread {
        /// The vertex.
        vertex: VertexName,
        /// The field, as in `retrieve.documents`.
        field: &'static str,
    },
    /// Edges of a graph that is to be walked are none.
    #[error("vertex {vertex:?}, algorithm.edges.inline: {why}")]
    Links {
        /// The vertex.
        vertex: VertexName,
        /// What is wrong.
        why: LinkError,
    },
    /// This process has no tool of that name.
    #[error("vertex {vertex:?}: no tool is named {tool:?}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    UnknownTool {
        /// The vertex.
        vertex: VertexName,
        /// The name.
        tool: String,
        /// The nearest name that there is.
        hint: Option<String>,
    },
    /// This process has no registered program of that name.
    #[error("vertex {vertex:?}: no custom program is registered as {program:?}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    UnknownProgram {
        /// The vertex.
        vertex: VertexName,
        /// The name.
        program: String,
        /// The nearest name that there is.
        hint: Option<String>,
    },
    /// A template or an expression does not compile.
    #[error("vertex {vertex:?}, {field}: {source}")]
    Source {
        /// The vertex.
        vertex: VertexName,
        /// The field, as in `prompt.template`.
        field: String,
        /// What is wrong.
        source: CompileError,
    },
    /// A JSON schema is none.
    #[error("vertex {vertex:?}, {field}: {source}")]
    Schema {
        /// The vertex.
        vertex: VertexName,
        /// The field.
        field: String,
        /// What is wrong.
        source: SchemaError,
    },
}
