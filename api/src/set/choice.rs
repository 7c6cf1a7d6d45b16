//! Which graph is meant.

use std::collections::BTreeSet;

use superstep_graph::Program;

use super::{CheckedGraph, Resource, ResourceSet};

/// Why no graph can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoGraph {
    /// There is none.
    #[error("the files have no AgentGraph")]
    None,
    /// There are several, and none was named.
    #[error("the files have several graphs: {}", .0.join(", "))]
    Several(Vec<String>),
    /// None has the name.
    #[error("no graph is named {name:?}: there are {}", .known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
}

impl ResourceSet {
    /// The graph of that name; without a name, the only graph, or the only one that no other opens.
    ///
    /// # Errors
    /// There is none, or which one is meant is not clear.
    pub fn graph(&self, name: Option<&str>) -> Result<&Resource<CheckedGraph>, NoGraph> {
        let known = || self.graphs.keys().cloned().collect::<Vec<_>>();
        if self.graphs.is_empty() {
            return Err(NoGraph::None);
        }
        if let Some(name) = name {
            let unknown = || NoGraph::Unknown { name: name.to_owned(), known: known() };
            return self.graphs.get(name).ok_or_else(unknown);
        }
        let opened = self.opened();
        let mut outermost =
            self.graphs.iter().filter(|(name, _)| self.graphs.len() == 1 || !opened.contains(name.as_str()));
        match (outermost.next(), outermost.next()) {
            (Some((_, graph)), None) => Ok(graph),
            (Some(_), Some(_)) | (None, _) => Err(NoGraph::Several(known())),
        }
    }

    /// The graphs that a vertex opens as a sub-graph, or may let another open.
    fn opened(&self) -> BTreeSet<&str> {
        let vertices = self.graphs.values().flat_map(|graph| &graph.content.document.spec.graph.vertices);
        vertices
            .flat_map(|vertex| {
                let opened = match vertex.program() {
                    Some(Program::Graph(graph)) => Some(graph.reference.name.as_str()),
                    Some(_) | None => None,
                };
                opened.into_iter().chain(vertex.capabilities.graphs.iter().map(String::as_str))
            })
            .collect()
    }
}
