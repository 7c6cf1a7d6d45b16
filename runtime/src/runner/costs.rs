//! What runs have measured of the costs of edges, noted in the store for the runs after them.

use serde::{Deserialize, Serialize};
use superstep_engine::{Costs, EdgeCosts, Record};
use superstep_store::{Store, StoreError};

/// Raised when a field changes: notes of another version are not read.
const FORMAT: u32 = 1;

/// Why what earlier runs have measured is not known.
#[derive(Debug, thiserror::Error)]
pub enum CostsError {
    /// The store does not give it.
    #[error("what was measured of graph {graph:?} cannot be read: {source}")]
    Store {
        /// The graph.
        graph: String,
        /// Why.
        source: StoreError,
    },
    /// It is damaged, or was noted by another version.
    #[error("what was measured of graph {graph:?} is damaged, or of another version: {why}")]
    Unreadable {
        /// The graph.
        graph: String,
        /// What is wrong.
        why: String,
    },
}

/// What is noted of one graph.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    format: u32,
    costs: EdgeCosts,
}

/// The notes that a run begins with and adds to.
pub(super) struct CostNotes {
    store: Store<Record>,
    before: Costs,
    problems: Vec<CostsError>,
}

impl CostNotes {
    /// What a new run of these graphs begins with.
    pub(super) fn read<'a>(store: &Store<Record>, graphs: impl Iterator<Item = &'a String>) -> Self {
        let mut notes = Self::of(store, Costs::default());
        for graph in graphs {
            match read(store, graph) {
                Ok(costs) => notes.before.insert(graph, costs.unwrap_or_default().forgiven()),
                Err(problem) => notes.problems.push(problem),
            }
        }
        notes
    }

    /// Those of a run that began with `before`.
    pub(super) fn of(store: &Store<Record>, before: Costs) -> Self {
        Self { store: store.clone(), before, problems: Vec::new() }
    }

    pub(super) fn before(&self) -> &Costs {
        &self.before
    }

    pub(super) fn problems(&self) -> &[CostsError] {
        &self.problems
    }

    /// Adds what a run has measured that ended with `after`. What cannot be noted is told, and the run is none
    /// the worse for it.
    pub(super) fn keep(&self, after: &Costs) {
        for (graph, after) in after.iter() {
            let before = self.before.of(graph);
            if before == Some(after) {
                continue;
            }
            // A note that cannot be read is written anew.
            let mut noted = read(&self.store, graph).ok().flatten().unwrap_or_default();
            let none = EdgeCosts::default();
            noted.merge(before.map_or(&none, |before| &**before), after);
            let note = Note { format: FORMAT, costs: noted };
            let bytes = serde_json::to_vec(&note).expect("a note has text keys and finite numbers");
            if let Err(error) = self.store.keep_shared_note(&note_name(graph), &bytes) {
                tracing::warn!(graph, %error, "what the run has measured is not noted");
            }
        }
    }
}

fn note_name(graph: &str) -> String {
    format!("costs-{graph}")
}

fn read(store: &Store<Record>, graph: &str) -> Result<Option<EdgeCosts>, CostsError> {
    let noted = store.shared_note(&note_name(graph));
    let noted = noted.map_err(|source| CostsError::Store { graph: graph.to_owned(), source })?;
    let Some(bytes) = noted else { return Ok(None) };
    let unreadable = |why: String| CostsError::Unreadable { graph: graph.to_owned(), why };
    let note: Note = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if note.format != FORMAT {
        return Err(unreadable(format!("it has format {}, and this version reads {FORMAT}", note.format)));
    }
    if !note.costs.is_sound() {
        return Err(unreadable("it has costs that nothing can have".to_owned()));
    }
    Ok(Some(note.costs))
}
