//! The names under which expressions and templates read what an activation sees.

use superstep_engine::{EdgeView, Payload, View};
use superstep_graph::{FieldPath, Problem};

/// Where an expression stands, which decides the roots that it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The program of a vertex.
    Vertex,
    /// The effects of a vertex: as its program, and `output`.
    Effects,
    /// The condition or transformation of an edge: `message` is the payload.
    Edge,
}

const VERTEX: [&str; 9] =
    ["input", "parameters", "messages", "message", "from", "value", "element", "aggregates", "superstep"];
const EFFECTS: [&str; 10] = [
    "input",
    "parameters",
    "messages",
    "message",
    "from",
    "value",
    "element",
    "aggregates",
    "superstep",
    "output",
];
const EDGE: [&str; 3] = ["message", "parameters", "superstep"];

impl Scope {
    /// The roots of this scope.
    pub fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Vertex => &VERTEX,
            Self::Effects => &EFFECTS,
            Self::Edge => &EDGE,
        }
    }
}

/// What the roots of one evaluation stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bindings<'a> {
    /// Those of [`Scope::Vertex`].
    Vertex(&'a View),
    /// Those of [`Scope::Effects`].
    Effects {
        /// What the vertex saw.
        view: &'a View,
        /// What its program gave.
        output: &'a Payload,
    },
    /// Those of [`Scope::Edge`].
    Edge(EdgeView<'a>),
}

/// A name path that a source reads, from its root: `from`, `classify`, `kind`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The names, the root first.
    pub path: Vec<String>,
    /// Where it stands in the source.
    pub position: Position,
}

/// A place in a source, counted in lines and characters from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place of the character at `offset`, counted in characters from 0.
    pub(crate) fn of_char(source: &str, offset: usize) -> Self {
        let (mut line, mut column) = (1, 1);
        for letter in source.chars().take(offset) {
            (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        Self { line, column }
    }
}

/// Why a source is no expression or template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}{}", .position.line, .position.column, .hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct CompileError {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that is known.
    pub hint: Option<String>,
}

impl CompileError {
    pub(crate) fn new(position: Position, message: impl Into<String>) -> Self {
        Self { position, message: message.into(), hint: None }
    }

    /// The first of the mistakes of one source, of which there is one at least.
    pub(crate) fn first(mistakes: Vec<Self>) -> Self {
        let first = mistakes.into_iter().next();
        first.unwrap_or_else(|| Self::new(Position { line: 1, column: 1 }, "it does not compile"))
    }

    pub(crate) fn unknown(position: Position, kind: &str, name: &str, known: &[&str]) -> Self {
        let hint = nearest(name, known.iter().copied());
        Self { position, message: format!("no {kind} is named {name:?}"), hint }
    }
}

/// The hint that names the known name nearest to `unknown`, if one is near.
pub(crate) fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    Problem::error(FieldPath::default(), "").nearest(unknown, known).hint
}

/// Why `message` stands for nothing: it needs exactly one drained message.
pub(crate) fn no_single_message(count: usize) -> String {
    format!("message stands for the only message drained, and {count} were: use messages or from")
}

/// Why `element` stands for nothing.
pub(crate) const NO_ELEMENT: &str = "element is there in a forEach only";
