//! The tools of a run, made before it begins.

use std::collections::BTreeMap;

use superstep_graph::{GraphSpec, ToolSpec, VertexName};
use superstep_runtime::Tools;
use superstep_tools::{Surroundings, from_environment, load as load_tools};

/// Why the tools of a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// One of them cannot be made.
    #[error(transparent)]
    Load(#[from] superstep_tools::LoadError),
    /// Two graphs of the run use one name for different tools.
    #[error("the graphs of the run define tool {name:?} differently: use different names")]
    Ambiguous {
        /// The name.
        name: VertexName,
    },
}

/// The tools of `graphs`; those that hold a connection need the runtime as long as they live.
///
/// # Errors
/// A tool cannot be made, or is ambiguous.
pub(crate) async fn load<'a>(graphs: impl Iterator<Item = &'a GraphSpec>) -> Result<Tools, ToolsError> {
    let mut specs: BTreeMap<&VertexName, &ToolSpec> = BTreeMap::new();
    for tool in graphs.flat_map(|graph| &graph.tools) {
        if specs.insert(&tool.name, tool).is_some_and(|other| other != tool) {
            return Err(ToolsError::Ambiguous { name: tool.name.clone() });
        }
    }
    let specs: Vec<ToolSpec> = specs.into_values().cloned().collect();
    let surroundings = Surroundings { secret: &from_environment, custom: &BTreeMap::new() };
    let loaded = load_tools(&specs, &surroundings).await?;
    Ok(loaded.into_tools()?)
}
