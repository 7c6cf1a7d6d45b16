//! What patches do to a graph, or to a run of it.

use serde_json::{Value, json};

/// What a patch does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Adds,
    Removes,
    Sets,
}

impl Change {
    pub(super) fn mutations(self) -> Value {
        match self {
            Self::Adds => json!([
                // It says on what it was told, since who sends it on has no output.
                {"addVertex": {"name": "bow", "function": {"cel": "message + ' and bows'"}}},
                {"addEdge": {"from": "greet", "to": "bow"}},
                {"addEdge": {"from": "greet", "to": "wave"}},
            ]),
            Self::Removes => json!([{"removeVertex": {"name": "wave"}}]),
            Self::Sets => json!([{"set": {"vertex": "wave", "field": "function.cel", "value": "'nods'"}}]),
        }
    }

    /// Whether a result has the mark of the change.
    pub(super) fn shows(self, output: &str) -> bool {
        match self {
            Self::Adds => output.contains("bows"),
            Self::Removes => !output.contains("waves"),
            Self::Sets => output.contains("nods"),
        }
    }
}
