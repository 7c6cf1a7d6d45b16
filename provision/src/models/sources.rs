//! From the sources of a model to a file of this machine.

use std::panic::resume_unwind;
#[cfg(feature = "inference")]
use std::path::Path;
use std::path::PathBuf;
use std::thread;

use reqwest::StatusCode;
use superstep_api::{ModelServerSpec, ServedModel};

use super::cache::ModelCache;
use super::download::{Fetcher, Patience};
use super::fetch_error::FetchError;
use super::hub::{Hub, HubFile};
use super::{Downloads, ModelError};
use crate::causes::with_causes;

/// The weights of a sentence model.
const WEIGHTS: &str = "model.safetensors";
/// What lies beside them.
const COMPANIONS: [&str; 2] = ["config.json", "tokenizer.json"];
/// What may.
const OPTIONAL: [&str; 2] = ["sentence_bert_config.json", "1_Pooling/config.json"];

/// The folder of the sentence model whose weights are the file at `path`; none if it is another model.
#[cfg(feature = "inference")]
pub fn sentence_model(path: &Path) -> Option<&Path> {
    path.parent().filter(|_| path.extension().is_some_and(|end| end == "safetensors"))
}

/// How files are looked for.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// Where downloads are shown.
    pub downloads: &'a dyn Downloads,
    /// What the cache is good for.
    pub cache: CacheUse,
}

/// What the cache is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// What is in it is taken; what is not is fetched.
    Fill,
    /// As [`Fill`](Self::Fill), but what is in it is read once more, and fetched again if it is damaged.
    Verify,
    /// What is not in it is an error.
    Only,
}

impl Search<'_> {
    /// The file of the weights of `server`, from the first source that gives one.
    ///
    /// # Errors
    /// None does, or the server has no weights.
    pub fn file_of(self, server: &str, spec: &ModelServerSpec) -> Result<PathBuf, ModelError> {
        let found = spec.model.as_ref().map(|model| self.resolve(model));
        let found = found.unwrap_or_else(|| Err("it names no model".to_owned()));
        found.map_err(|tried| ModelError::NoFile { server: server.to_owned(), tried })
    }

    /// The first source that gives a file, fetched where that is needed.
    ///
    /// # Errors
    /// None does: what became of each of them, in their order.
    fn resolve(self, model: &ServedModel) -> Result<PathBuf, String> {
        let mut tried = Vec::new();
        for source in &model.sources {
            if let Some(file) = &source.file {
                let path = PathBuf::from(&file.path);
                let is_folder = path.is_dir();
                let path = if is_folder { path.join(WEIGHTS) } else { path };
                if path.is_file() {
                    return Ok(path);
                }
                tried.push(format!("{} is no file", path.display()));
            }
            if let Some(hub) = &source.hugging_face {
                let file = HubFile::try_from(hub.clone());
                match file.and_then(|file| self.fetch(&file, model.sha256.as_deref())) {
                    Ok(path) => return Ok(path),
                    Err(error) => tried.push(with_causes(&error)),
                }
            }
        }
        Err(tried.join("; "))
    }

    /// A file of a hub, fetched if the cache does not have it; with the files beside it that a sentence model is
    /// made of, if it is the weights of one. It blocks the thread, which may be one of a tokio runtime.
    ///
    /// # Errors
    /// The hub does not have it, has another one, or cannot be reached; or the cache cannot be used.
    pub fn fetch(self, file: &HubFile, sha256: Option<&str>) -> Result<PathBuf, FetchError> {
        if file.is_sentence_model() {
            self.fetch_companions(file, sha256)?;
        }
        self.fetch_one(file, sha256)
    }

    /// What not every model has is asked for until the weights, which come last, are there.
    fn fetch_companions(self, file: &HubFile, sha256: Option<&str>) -> Result<(), FetchError> {
        for name in COMPANIONS {
            self.fetch_one(&file.beside(name), None)?;
        }
        let cache = ModelCache::of(&|name| std::env::var(name).ok())?;
        if cache.place(file).holds(sha256)? && self.cache != CacheUse::Verify {
            return Ok(());
        }
        for name in OPTIONAL {
            match self.fetch_one(&file.beside(name), None) {
                Err(
                    FetchError::Refused { status: StatusCode::NOT_FOUND, .. } | FetchError::NotCached { .. },
                )
                | Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn fetch_one(self, file: &HubFile, sha256: Option<&str>) -> Result<PathBuf, FetchError> {
        let lookup = |name: &str| std::env::var(name).ok();
        let cache = ModelCache::of(&lookup)?;
        let place = cache.place(file);
        if self.cache == CacheUse::Verify {
            place.verify()?;
        }
        // Without a hub that could be asked, what is in the cache is still of use.
        if place.holds(sha256)? {
            return Ok(place.path);
        }
        if self.cache == CacheUse::Only {
            return Err(FetchError::NotCached { file: file.to_string() });
        }
        let hub = Hub::new(&lookup)?;
        let fetcher =
            Fetcher { hub: &hub, cache: &cache, downloads: self.downloads, patience: Patience::default() };
        wait_for(|| fetcher.fetch(file, sha256))
    }
}

/// Waits for a download in a thread of its own: the caller may be a task, on whose thread no other runtime can be
/// driven.
fn wait_for<'a, F>(fetch: impl FnOnce() -> F + Send + 'a) -> Result<PathBuf, FetchError>
where
    F: Future<Output = Result<PathBuf, FetchError>> + 'a,
{
    let no_thread = |source| FetchError::Thread { source };
    let wait = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(no_thread)?.block_on(fetch())
    };
    thread::scope(|scope| {
        let waiting = thread::Builder::new().name("download".to_owned()).spawn_scoped(scope, wait);
        waiting.map_err(no_thread)?.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn fetched() -> Result<PathBuf, FetchError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(PathBuf::from("m.gguf"))
    }

    #[test]
    fn a_download_is_waited_for_outside_of_a_runtime() {
        assert!(wait_for(fetched).is_ok());
    }

    #[tokio::test]
    async fn a_download_is_waited_for_on_the_thread_of_a_task() {
        assert!(wait_for(fetched).is_ok());
    }
}
