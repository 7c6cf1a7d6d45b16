//! The models of a run, by the names that its graph uses.

#[cfg(feature = "inference")]
mod cross_encoder;
mod deferred;
mod fallbacks;
#[cfg(feature = "inference")]
mod local;
mod scripted;
#[cfg(feature = "inference")]
mod sentences;
mod wrapped;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use superstep_graph::VertexName;

use crate::embedder::Embedder;
use crate::model::Model;

#[cfg(feature = "inference")]
pub use cross_encoder::CrossEncoder;
pub use deferred::{Deferred, Loaded, NotLoadable};
pub use fallbacks::{Fallbacks, Member};
#[cfg(feature = "inference")]
pub use local::{LocalModel, LocalModelError};
pub use scripted::{Scripted, ScriptedCall, ScriptedFailure, ScriptedModel, ScriptedRule};
#[cfg(feature = "inference")]
pub use sentences::SentenceModel;
pub use wrapped::{NotLoaded, Priced, PricedEmbedder};

/// Models by the names that vertices use: those that write, those that embed, and those that do both.
#[derive(Clone, Default)]
pub struct Models {
    writing: BTreeMap<VertexName, Arc<dyn Model>>,
    embedding: BTreeMap<VertexName, Arc<dyn Embedder>>,
    /// Those among them that are loaded when they are needed, each by its own name.
    deferred: BTreeMap<String, Deferred>,
}

impl Models {
    /// Adds a model that writes under `name`; a later one of the same name replaces it.
    pub fn insert(&mut self, name: impl Into<VertexName>, model: Arc<dyn Model>) {
        self.writing.insert(name.into(), model);
    }

    /// Adds a model that embeds under `name`; a later one of the same name replaces it.
    pub fn insert_embedder(&mut self, name: impl Into<VertexName>, embedder: Arc<dyn Embedder>) {
        self.embedding.insert(name.into(), embedder);
    }

    /// Says that what is called `name` among those who serve models is loaded when it is needed. Vertices call it by the
    /// names under which it was [inserted](Self::insert).
    pub fn defer(&mut self, name: impl Into<String>, deferred: Deferred) {
        self.deferred.insert(name.into(), deferred);
    }

    /// Loads those of these names that are loaded when they are needed. Others are loaded, or unknown.
    ///
    /// # Errors
    /// One cannot be loaded; those behind it in the order of names are not.
    pub async fn load(&self, names: &BTreeSet<String>) -> Result<(), NotLoadable> {
        for deferred in names.iter().filter_map(|name| self.deferred.get(name)) {
            deferred.load().await?;
        }
        Ok(())
    }

    /// The names of those that were to be loaded when they are needed, and are loaded.
    pub fn loaded(&self) -> impl Iterator<Item = &str> {
        self.deferred.iter().filter(|(_, deferred)| deferred.is_loaded()).map(|(name, _)| name.as_str())
    }

    /// The model of that name that writes.
    pub fn find(&self, name: &VertexName) -> Option<&Arc<dyn Model>> {
        self.writing.get(name)
    }

    /// The model of that name that embeds.
    pub fn find_embedder(&self, name: &VertexName) -> Option<&Arc<dyn Embedder>> {
        self.embedding.get(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&str> =
            self.writing.keys().chain(self.embedding.keys()).map(VertexName::as_str).collect();
        names.into_iter()
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
