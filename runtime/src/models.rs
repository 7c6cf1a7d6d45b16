//! The models of a run, by the names that its graph uses.

mod fallbacks;
#[cfg(feature = "inference")]
mod local;
mod scripted;
mod wrapped;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use superstep_graph::VertexName;

use crate::model::Model;

pub use fallbacks::{Fallbacks, Member};
#[cfg(feature = "inference")]
pub use local::{LocalModel, LocalModelError};
pub use scripted::{Scripted, ScriptedCall, ScriptedFailure, ScriptedModel, ScriptedRule};
pub use wrapped::{NotLoaded, Priced};

/// Models by the names that prompts use.
#[derive(Clone, Default)]
pub struct Models(BTreeMap<VertexName, Arc<dyn Model>>);

impl Models {
    /// Adds `model` under `name`; a later one of the same name replaces it.
    pub fn insert(&mut self, name: impl Into<VertexName>, model: Arc<dyn Model>) {
        self.0.insert(name.into(), model);
    }

    /// The model of that name.
    pub fn find(&self, name: &VertexName) -> Option<&Arc<dyn Model>> {
        self.0.get(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(VertexName::as_str)
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
