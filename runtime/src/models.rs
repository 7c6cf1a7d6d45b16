//! The models of a run, by the names that its graph uses.

#[cfg(feature = "inference")]
mod cross_encoder;
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
