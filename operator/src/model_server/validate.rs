//! Whether a model can be served as its document says.

use superstep_api::ModelServerSpec;
use superstep_graph::{FieldPath, Problem};

/// The server with every variable replaced by its default.
///
/// # Errors
/// All that is wrong, with paths from the spec.
pub(super) fn check(spec: &ModelServerSpec) -> Result<ModelServerSpec, Vec<Problem>> {
    let spec = spec.on_cluster()?;
    let problems: Vec<Problem> = weights(&spec).into_iter().collect();
    if problems.is_empty() { Ok(spec) } else { Err(problems) }
}

/// An engine of somebody else is told what to serve; ollama has models of its own by name.
fn weights(spec: &ModelServerSpec) -> Option<Problem> {
    let (engine, _) = spec.engine.container()?;
    let path = FieldPath::default().field("model");
    let Some(model) = &spec.model else {
        let problem = Problem::error(path, format!("engine {engine} has no model to serve"));
        return Some(problem.hint("give model a name and sources"));
    };
    (model.sources.is_empty() && engine != "ollama").then(|| {
        let problem =
            Problem::error(path.field("sources"), format!("engine {engine} needs the weights of a model"));
        problem.hint("give model.sources, for example - huggingFace: {repo: OWNER/NAME}")
    })
}
