//! Whether a model can be served as its document says.

use superstep_api::ModelServerSpec;
use superstep_graph::{FieldPath, Problem};

/// The revision of a repository where nobody names one.
const HEAD: &str = "main";

/// The server with every variable replaced by its default.
///
/// # Errors
/// All that is wrong, with paths from the spec.
pub(super) fn check(spec: &ModelServerSpec) -> Result<ModelServerSpec, Vec<Problem>> {
    let spec = spec.on_cluster()?;
    let problems: Vec<Problem> = weights(&spec).into_iter().chain(revisions(&spec)).collect();
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

/// Engines that fetch by the name of a repository alone take what is there now.
fn revisions(spec: &ModelServerSpec) -> Vec<Problem> {
    let engine = spec.engine.container().map(|(engine, _)| engine);
    let Some(engine) = engine.filter(|engine| matches!(*engine, "llamaCpp" | "ollama")) else {
        return Vec::new();
    };
    let sources = spec.model.iter().flat_map(|model| &model.sources).enumerate();
    let hubs = sources.filter_map(|(index, source)| Some((index, source.hugging_face.as_ref()?)));
    let others = hubs.filter(|(_, hub)| hub.revision != HEAD).map(|(index, hub)| {
        let path = FieldPath::default().field("model").field("sources").index(index).field("huggingFace");
        let message = format!("engine {engine} fetches no other revision than {HEAD}, not {}", hub.revision);
        Problem::error(path.field("revision"), message).hint("leave it out, or give a claim with the file")
    });
    others.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mistakes(engine: &str, sources: Value) -> Vec<String> {
        let spec = json!({"model": {"name": "m", "sources": sources}, "engine": {engine: {"image": "i"}}});
        match check(&serde_json::from_value(spec).unwrap()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(|problem| problem.path.to_string()).collect(),
        }
    }

    #[test]
    fn a_revision_is_heeded_or_refused() {
        let hub = |revision: &str| json!({"huggingFace": {"repo": "acme/m", "revision": revision}});
        let place = "model.sources[1].huggingFace.revision";
        for engine in ["llamaCpp", "ollama"] {
            assert_eq!(mistakes(engine, json!([hub("main"), hub("v1")])), [place], "{engine}");
            assert_eq!(mistakes(engine, json!([hub("main")])), [""; 0], "{engine}");
        }
        assert_eq!(mistakes("vllm", json!([hub("main"), hub("v1")])), [""; 0]);
    }
}
