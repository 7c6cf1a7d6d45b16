//! Requests to change a running graph.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::{Port, VertexName};
use crate::spec::{AnyVertex, EdgeSpec, GraphSpec, OnUnknown, Sends, VertexSpec};

/// One change, as a patch or a vertex writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Mutation {
    /// Removes an edge.
    RemoveEdge(EdgeRef),
    /// Removes a vertex; its edges stay, inert.
    RemoveVertex(VertexRef),
    /// Adds a vertex.
    AddVertex(Box<VertexSpec>),
    /// Adds an edge; its ends need not exist.
    AddEdge(EdgeSpec),
    /// Sets one field of a vertex or an edge.
    Set(SetField),
    /// Takes another graph in place of the one that the run began with, and makes the changes of its barriers to that
    /// one again. It is what a changed document asks for, never a patch or a vertex.
    #[cfg_attr(feature = "schema", schemars(skip))]
    Adopt(Box<GraphSpec>),
    /// What a vertex has proposed and somebody has denied. It is how a run keeps that, never what anybody asks for: it
    /// changes nothing and is refused.
    #[cfg_attr(feature = "schema", schemars(skip))]
    Denied(Box<Denied>),
}

/// A proposed mutation that was denied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Denied {
    /// What was proposed.
    pub mutation: Mutation,
    /// Why it was denied, in the words of whoever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An edge by its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EdgeRef {
    /// The sending vertex.
    pub from: VertexName,
    /// The port; left out, the default port.
    #[serde(default, skip_serializing_if = "Port::is_default")]
    pub port: Port,
    /// The receiving vertex.
    pub to: VertexName,
}

/// A vertex by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VertexRef {
    /// The name.
    pub name: VertexName,
}

/// Sets one field of a vertex or an edge; exactly one of `vertex` and `edge` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_object))]
pub struct SetField {
    /// The vertex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertex: Option<VertexName>,
    /// The edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<EdgeRef>,
    /// The path of the field, as in `prompt.template`.
    pub field: String,
    /// The new value; null removes the field.
    pub value: Value,
}

/// The kind of a mutation, in the order in which kinds are applied (Pregel §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum MutationKind {
    /// Edges go first.
    RemoveEdge,
    /// Then vertices.
    RemoveVertex,
    /// Then vertices come.
    AddVertex,
    /// Then edges.
    AddEdge,
    /// Fields are set last.
    Set,
    /// Another graph comes before all of these.
    #[cfg_attr(feature = "schema", schemars(skip))]
    Adopt,
}

impl Mutation {
    /// The kind.
    pub fn kind(&self) -> MutationKind {
        match self {
            Self::RemoveEdge(_) => MutationKind::RemoveEdge,
            Self::RemoveVertex(_) => MutationKind::RemoveVertex,
            Self::AddVertex(_) => MutationKind::AddVertex,
            Self::AddEdge(_) => MutationKind::AddEdge,
            Self::Set(_) => MutationKind::Set,
            Self::Adopt(_) => MutationKind::Adopt,
            Self::Denied(denied) => denied.mutation.kind(),
        }
    }

    /// What was asked for, also where it was denied.
    pub fn asked(&self) -> &Self {
        match self {
            Self::Denied(denied) => denied.mutation.asked(),
            Self::RemoveEdge(_)
            | Self::RemoveVertex(_)
            | Self::AddVertex(_)
            | Self::AddEdge(_)
            | Self::Set(_)
            | Self::Adopt(_) => self,
        }
    }
}

/// Who asks, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PriorityClass {
    /// A person or a tool that acts for one.
    Person,
    /// An optimiser.
    Optimiser,
    /// A vertex of the run.
    Vertex,
}

/// The place of a request among those of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MutationOrder {
    /// Who asks.
    pub class: PriorityClass,
    /// Which of them: a patch's name, or the activation's name.
    pub requester: String,
    /// The position among the mutations of this requester.
    pub request: u32,
}

/// One mutation, asked for by someone.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its place in the order.
    pub order: MutationOrder,
    /// What is asked for.
    pub mutation: Mutation,
    /// What the requester may use, and hence hand on.
    pub capabilities: Capabilities,
}

/// Why a mutation was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The graph's policy does not allow this kind to vertices.
    #[error("the graph allows its vertices no {0:?}")]
    NotAllowed(MutationKind),
    /// The graph's policy takes no mutation from its vertices.
    #[error("the graph says `governance: Deny`: what its vertices ask for is refused")]
    Forbidden,
    /// Somebody has denied what was proposed.
    #[error("it was proposed, and denied{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Denied(Option<String>),
    /// What should be changed or removed is not there.
    #[error("{0} does not exist")]
    Absent(String),
    /// What should be added is there.
    #[error("{0} exists")]
    Exists(String),
    /// Another request of this barrier has claimed the same object or field.
    #[error("{0} was claimed by another request of the same barrier")]
    Claimed(String),
    /// The result would be no valid vertex or edge.
    #[error("{object} would be invalid: {why}")]
    Invalid {
        /// The vertex or edge.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// The changed vertex would be able to do what the requester may not.
    #[error("vertex {vertex:?} would use {capability}, which the requester may not")]
    Widens {
        /// The changed vertex.
        vertex: VertexName,
        /// What it would use.
        capability: String,
    },
    /// The run has used up its mutations.
    #[error("the run's limit of mutations is reached")]
    Limit,
    /// The run ended before a barrier could judge it.
    #[error("the run has ended")]
    Ended,
    /// The graph keeps its runs to the document that they began with.
    #[error("the graph says `adopt: Pinned`: its runs keep to the document that they began with")]
    Pinned,
}

/// What a vertex can reach outside itself: it may hand on no more by a mutation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    unlimited: bool,
    used: BTreeSet<String>,
}

const SENDS_ANY: &str = "direct sends to Any";

impl Capabilities {
    /// Those of a person: everything that the graph has.
    pub fn unlimited() -> Self {
        Self { unlimited: true, used: BTreeSet::new() }
    }

    /// Those of a vertex: what it uses, and what its `capabilities` add.
    pub fn of(vertex: &VertexSpec) -> Self {
        let mut used = Self::used_by(vertex);
        used.extend(vertex.capabilities.models.iter().map(|model| format!("model {model}")));
        used.extend(vertex.capabilities.tools.iter().map(|tool| format!("tool {tool}")));
        used.extend(vertex.capabilities.graphs.iter().map(|graph| format!("graph {graph}")));
        used.extend(vertex.capabilities.custom.iter().map(|custom| format!("custom program {custom}")));
        Self { unlimited: false, used }
    }

    fn used_by(vertex: &VertexSpec) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        used.extend(vertex.models_used().map(|model| format!("model {model}")));
        for tool in vertex.tools_used() {
            used.insert(format!("tool {tool}"));
            if vertex.on_unknown == Some(OnUnknown::Retry) {
                used.insert(format!("repeated calls of tool {tool}"));
            }
        }
        if let Some(command) = vertex.function.as_ref().and_then(|function| function.command.as_ref()) {
            used.insert(format!("command {:?}", command.argv));
            used.extend(command.environment.iter().map(|name| format!("variable {name} of the environment")));
            if command.idempotent || vertex.on_unknown == Some(OnUnknown::Retry) {
                used.insert(format!("repeated runs of command {:?}", command.argv));
            }
        }
        if let Some(graph) = &vertex.graph {
            used.insert(format!("graph {}", graph.reference.name));
        }
        if let Some(custom) = &vertex.custom {
            used.insert(format!("custom program {}", custom.name));
            if vertex.on_unknown == Some(OnUnknown::Retry) {
                used.insert(format!("repeated calls of custom program {}", custom.name));
            }
        }
        match &vertex.sends {
            Some(Sends::To(targets)) => used.extend(targets.iter().map(|to| format!("direct sends to {to}"))),
            Some(Sends::Any(AnyVertex::Any)) => {
                used.insert(SENDS_ANY.to_owned());
            }
            None => {}
        }
        if vertex.effects.mutations.is_some() {
            used.insert("mutations".to_owned());
        }
        used
    }

    /// The first thing that `vertex` would use, or hand on, and these capabilities do not have.
    pub fn exceeded_by(&self, vertex: &VertexSpec) -> Option<String> {
        if self.unlimited {
            return None;
        }
        let sends_any = self.used.contains(SENDS_ANY);
        let covered = |capability: &String| {
            self.used.contains(capability) || (sends_any && capability.starts_with("direct sends to "))
        };
        Self::of(vertex).used.into_iter().find(|capability| !covered(capability))
    }
}
