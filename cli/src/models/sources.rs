//! From the sources of a model to a file of this machine.

use std::path::PathBuf;

use superstep_api::ServedModel;

use super::bar::Bar;
use super::cache::ModelCache;
use super::download::{Fetcher, Patience};
use super::fetch_error::FetchError;
use super::hub::{Hub, HubFile};
use crate::args::runs::ShowProgress;
use crate::exit::with_causes;

/// How files are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// When downloads are shown.
    pub(crate) show: ShowProgress,
    /// What the cache is good for.
    pub(crate) cache: CacheUse,
}

/// What the cache is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheUse {
    /// What is in it is taken; what is not is fetched.
    Fill,
    /// As [`Fill`](Self::Fill), but what is in it is read once more, and fetched again if it is damaged.
    Verify,
    /// What is not in it is an error.
    Only,
}

impl Search {
    /// The first source that gives a file, fetched where that is needed.
    ///
    /// # Errors
    /// None does: what became of each of them, in their order.
    pub(crate) fn resolve(self, model: &ServedModel) -> Result<PathBuf, String> {
        let mut tried = Vec::new();
        for source in &model.sources {
            if let Some(file) = &source.file {
                let path = PathBuf::from(&file.path);
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

    /// A file of a hub, fetched if the cache does not have it.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub(crate) fn fetch(self, file: &HubFile, sha256: Option<&str>) -> Result<PathBuf, FetchError> {
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
        let bar = Bar::new(self.show);
        let fetcher = Fetcher { hub: &hub, cache: &cache, bar: &bar, patience: Patience::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|source| FetchError::Thread { source })?.block_on(fetcher.fetch(file, sha256))
    }
}
