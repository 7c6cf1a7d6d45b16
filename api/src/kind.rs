//! The kinds of resources that a local run reads.

use std::fmt;

/// The group of all kinds.
pub(crate) const GROUP: &str = "superstep.dev";
/// The group and the version that this build reads.
pub(crate) const API_VERSION: &str = "superstep.dev/v1alpha1";

/// A kind of resource that a local run reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A graph.
    AgentGraph,
    /// A served model.
    ModelServer,
    /// Changes to a graph.
    AgentGraphPatch,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::AgentGraph, Self::ModelServer, Self::AgentGraphPatch];

    /// What stands in the field `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentGraph => "AgentGraph",
            Self::ModelServer => "ModelServer",
            Self::AgentGraphPatch => "AgentGraphPatch",
        }
    }

    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
