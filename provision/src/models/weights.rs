//! From the weights of a server to what it serves.

#[cfg(feature = "inference")]
use std::sync::Arc;

use superstep_api::ModelServerSpec;
#[cfg(feature = "inference")]
use superstep_runtime::{CrossEncoder, Kept, LocalModel, SentenceModel};

#[cfg(feature = "inference")]
use super::cache::ModelCache;
use super::served::Served;
#[cfg(feature = "inference")]
use super::sources::{CacheUse, Search, sentence_model};
use super::{Downloads, ModelError};

/// What a server serves whose weights are on this machine, or fetched from a hub.
///
/// # Errors
/// There are none, or they cannot be loaded.
#[cfg(feature = "inference")]
pub(super) fn load(
    server: &str,
    spec: &ModelServerSpec,
    downloads: &dyn Downloads,
) -> Result<Served, ModelError> {
    let search = Search { downloads, cache: CacheUse::Fill };
    let path = search.file_of(server, spec)?;
    let failed = |source| ModelError::Load { server: server.to_owned(), source };
    let Some(folder) = sentence_model(&path) else {
        let options = superstep_runtime::LoadOptions { converted: converted_folder(), ..load_options(spec) };
        let model = LocalModel::load(&path, &options).map_err(failed)?;
        if let Kept::Failed(reason) = &model.description().kept {
            tracing::warn!(server, reason, "the converted weights are kept in memory");
        }
        return Ok(Served::writing(Arc::new(model), options.max_concurrent));
    };
    let (options, concurrent) = sentence_options(spec);
    if CrossEncoder::is_in(folder).map_err(|error| failed(error.into()))? {
        let model = CrossEncoder::load(folder, &options, concurrent).map_err(failed)?;
        return Ok(Served::ranking(Arc::new(model), concurrent));
    }
    let model = SentenceModel::load(folder, &options, concurrent).map_err(failed)?;
    Ok(Served::embedding(Arc::new(model), concurrent))
}

/// How a sentence model or a cross-encoder is loaded, and how many requests it works on at the same time.
#[cfg(feature = "inference")]
pub fn sentence_options(spec: &ModelServerSpec) -> (superstep_runtime::EmbedderOptions, usize) {
    let candle = spec.engine.candle.clone().unwrap_or_default();
    let size = |number: Option<u32>| number.map(|number| number as usize);
    let options = superstep_runtime::EmbedderOptions {
        max_tokens: size(candle.context_length),
        sha256: spec.model.as_ref().and_then(|model| model.sha256.clone()),
    };
    let batch = size(candle.max_concurrent_requests);
    (options, batch.unwrap_or(SentenceModel::BATCH))
}

/// The folder of converted weights, if this process has a cache: `.converted` in that of models.
#[cfg(feature = "inference")]
pub fn converted_folder() -> Option<std::path::PathBuf> {
    ModelCache::of(&|name| std::env::var(name).ok()).ok().map(|cache| cache.converted())
}

/// How a language model is loaded, but for where its converted weights are kept.
#[cfg(feature = "inference")]
pub fn load_options(spec: &ModelServerSpec) -> superstep_runtime::LoadOptions {
    let mut options = superstep_runtime::LoadOptions {
        sha256: spec.model.as_ref().and_then(|model| model.sha256.clone()),
        ..superstep_runtime::LoadOptions::default()
    };
    if let Some(candle) = &spec.engine.candle {
        let size = |number: Option<u32>| number.map(|number| number as usize);
        options.context_length = size(candle.context_length).unwrap_or(options.context_length);
        options.max_concurrent = size(candle.max_concurrent_requests).unwrap_or(options.max_concurrent);
        options.adapters = candle.adapters.as_ref().map(Into::into);
    }
    options
}

/// Nothing, for this build computes no models.
///
/// # Errors
/// Always.
#[cfg(not(feature = "inference"))]
pub(super) fn load(server: &str, _: &ModelServerSpec, _: &dyn Downloads) -> Result<Served, ModelError> {
    Err(ModelError::NotBuilt { what: format!("ModelServer {server:?}") })
}

#[cfg(feature = "inference")]
#[cfg(test)]
mod tests {
    use superstep_runtime::LoadOptions;

    use super::*;

    #[test]
    fn a_document_says_how_its_model_is_loaded() {
        let spec = |candle: serde_json::Value| -> ModelServerSpec {
            let sources = serde_json::json!([{"file": {"path": "m.gguf"}}]);
            let model = serde_json::json!({"name": "m", "sources": sources});
            serde_json::from_value(serde_json::json!({"model": model, "engine": {"candle": candle}})).unwrap()
        };
        assert_eq!(load_options(&spec(serde_json::json!({}))), LoadOptions::default());
        let given =
            serde_json::json!({"contextLength": 100, "maxConcurrentRequests": 3, "adapters": "styles"});
        let expected = LoadOptions {
            context_length: 100,
            max_concurrent: 3,
            adapters: Some("styles".into()),
            ..LoadOptions::default()
        };
        assert_eq!(load_options(&spec(given)), expected);
    }
}
