//! Edges as written.

use serde::{Deserialize, Serialize};

use crate::name::{Port, VertexName};

/// A directed edge: messages that leave `from` on `port` reach `to`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EdgeSpec {
    /// The sending vertex.
    pub from: VertexName,
    /// The receiving vertex.
    pub to: VertexName,
    /// The port of `from` that the edge listens to.
    #[serde(default, skip_serializing_if = "Port::is_default")]
    pub port: Port,
    /// Whether a message wakes the receiver.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delivery: Delivery,
    /// On an active edge: the last message stays visible as `from.X` in later activations, where it
    /// fills no slot again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retain: bool,
    /// CEL over `message` (the payload), `superstep`: only where it is true does a message pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// CEL over `message` (the payload): what the receiver gets in place of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// What a message over it costs, as long as nothing was measured. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<EdgeCost>,
}

/// What it costs to get a message over an edge and through the vertex that receives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EdgeCost {
    /// Tokens, read and written.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub tokens: f64,
    /// In units of the models' prices (dollars, by custom).
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub money: f64,
    /// Seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub latency_seconds: f64,
}

impl EdgeCost {
    /// Each cost with the name of its member.
    pub fn members(&self) -> [(&'static str, f64); 3] {
        [("tokens", self.tokens), ("money", self.money), ("latencySeconds", self.latency_seconds)]
    }
}

impl std::ops::Add for EdgeCost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            money: self.money + other.money,
            latency_seconds: self.latency_seconds + other.latency_seconds,
        }
    }
}

impl EdgeSpec {
    /// What identifies the edge, and its place in every order of edges.
    pub fn key(&self) -> (&VertexName, &Port, &VertexName) {
        (&self.from, &self.port, &self.to)
    }
}

/// Whether a message wakes its receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Delivery {
    /// It does, as the receiver's join decides.
    #[default]
    Active,
    /// It never does and fills no slot; the last one is kept and seen as `from.X`.
    Passive,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
