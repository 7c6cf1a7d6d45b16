//! The adapters of a running model by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::adapter::Adapter;
use crate::error::{GenerateError, LoadError};
use crate::hyperparameters::Hyperparameters;

/// Adapters that were loaded, and the folder that others are found in.
#[derive(Debug, Default)]
pub(crate) struct Adapters {
    folder: Option<PathBuf>,
    loaded: RwLock<BTreeMap<String, Arc<Adapter>>>,
}

impl Adapters {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, loaded: RwLock::default() }
    }

    /// Reads the adapter in a folder and gives it a name; one that had it goes on until its requests have ended.
    pub(crate) fn load(
        &self,
        name: &str,
        folder: &Path,
        sizes: &Hyperparameters,
    ) -> Result<Arc<Adapter>, LoadError> {
        let adapter = Arc::new(Adapter::load(folder, sizes)?);
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.insert(name.to_owned(), Arc::clone(&adapter));
        Ok(adapter)
    }

    /// Takes the name from an adapter, and says whether one had it.
    pub(crate) fn unload(&self, name: &str) -> bool {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
    }

    /// The adapter of a name, read if it has not been.
    pub(crate) fn need(&self, name: &str, sizes: &Hyperparameters) -> Result<Arc<Adapter>, GenerateError> {
        if let Some(adapter) = self.found(name) {
            return Ok(adapter);
        }
        let unknown = || GenerateError::UnknownAdapter { adapter: name.to_owned() };
        let folder = self.folder_of(name).ok_or_else(unknown)?;
        self.load(name, &folder, sizes)
            .map_err(|error| GenerateError::Adapter { adapter: name.to_owned(), reason: error.to_string() })
    }

    /// Whether there is an adapter of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.found(name).is_some() || self.folder_of(name).is_some()
    }

    /// The names of all, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: BTreeSet<String> = loaded.keys().cloned().collect();
        // A folder that cannot be read has no adapters, as one that is empty; whoever asks for one is told that.
        let entries = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        let entries = entries.into_iter().flatten().flatten();
        let found = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.extend(found.filter(|name| self.folder_of(name).is_some()));
        names.into_iter().collect()
    }

    /// The names of those that requests have, running or waiting.
    pub(crate) fn in_use(&self) -> Vec<String> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        // Whoever has one beside this map is a request, or the step that runs it.
        let used = loaded.iter().filter(|(_, adapter)| Arc::strong_count(adapter) > 1);
        used.map(|(name, _)| name.clone()).collect()
    }

    fn found(&self, name: &str) -> Option<Arc<Adapter>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The folder of an adapter that has one. A name that leads elsewhere has none.
    fn folder_of(&self, name: &str) -> Option<PathBuf> {
        let mut parts = Path::new(name).components();
        let is_plain =
            matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == name);
        let folder = self.folder.as_ref().filter(|_| is_plain)?.join(name);
        Adapter::is_in(&folder).then_some(folder)
    }
}
