//! Where the weights of models lie in pods.

use std::collections::BTreeSet;

use superstep_api::{FileSource, ModelSource, ServedModel};

/// The folder of weights that manifests name by file, and of those that were fetched.
pub(crate) const MODELS: &str = "/models";
/// The folder with a folder for each volume that manifests name.
pub(crate) const CLAIMS: &str = "/claims";

/// A model as a process in a pod reads it: its volumes are folders there, and files that are named without a folder
/// lie in [`MODELS`].
pub(crate) fn in_pods(model: &ServedModel) -> ServedModel {
    let source = |source: &ModelSource| {
        let path = match (&source.file, &source.claim) {
            (Some(file), _) if file.path.starts_with('/') => file.path.clone(),
            (Some(file), _) => format!("{MODELS}/{}", file.path),
            (None, Some(claim)) => format!("{CLAIMS}/{}/{}", claim.name, claim.path.trim_start_matches('/')),
            (None, None) => return source.clone(),
        };
        ModelSource { file: Some(FileSource { path }), claim: None, ..source.clone() }
    };
    ServedModel { sources: model.sources.iter().map(source).collect(), ..model.clone() }
}

/// The volumes that a model names.
pub(crate) fn claims(model: &ServedModel) -> BTreeSet<&str> {
    model.sources.iter().filter_map(|source| Some(source.claim.as_ref()?.name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn weights_lie_in_folders_of_the_pod() {
        let model: ServedModel = serde_json::from_value(json!({
            "name": "a",
            "sources": [
                {"file": {"path": "a.gguf"}},
                {"file": {"path": "/data/a.gguf"}},
                {"claim": {"name": "weights", "path": "/b/a.gguf"}},
                {"huggingFace": {"repo": "a/b", "file": "a.gguf"}},
            ],
        }))
        .unwrap();
        assert_eq!(claims(&model), BTreeSet::from(["weights"]));
        let in_pods = in_pods(&model);
        let paths: Vec<&str> =
            in_pods.sources.iter().filter_map(|source| Some(source.file.as_ref()?.path.as_str())).collect();
        assert_eq!(paths, ["/models/a.gguf", "/data/a.gguf", "/claims/weights/b/a.gguf"]);
        assert_eq!(in_pods.sources[3], model.sources[3]);
        assert!(claims(&in_pods).is_empty());
    }
}
