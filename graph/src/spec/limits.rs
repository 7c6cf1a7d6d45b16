//! The barrier and the limits of a run.

use serde::{Deserialize, Serialize};

use crate::duration::DurationSpec;

/// When a superstep ends, counted over the unsuspended activations in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BarrierSpec {
    /// How many of them must have completed.
    #[serde(default)]
    pub mode: BarrierMode,
    /// For `Quorum`: the number; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub count: Option<u32>,
}

/// How many activations a barrier waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BarrierMode {
    /// All of them.
    #[default]
    All,
    /// The first; the others carry over.
    Any,
    /// As many as `count` says; the others carry over.
    Quorum,
}

/// What ends a run early, with its partial outputs and a named reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Supersteps; default 1,000.
    pub supersteps: u64,
    /// Activations, each element of a forEach counted; default 100,000.
    pub activations: u64,
    /// Calls of models and tools; default 10,000.
    pub calls: u64,
    /// Tokens of models, read and written together; default no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Cost in units of the models' prices (dollars, by custom); default no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Time that the run is worked on; default no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<DurationSpec>,
    /// Messages that one activation sends, or elements of one forEach; default 10,000.
    pub fan_out: u64,
    /// Sub-graphs inside sub-graphs; default 16.
    pub depth: u32,
    /// Mutations applied; default 10,000.
    pub mutations: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            supersteps: 1_000,
            activations: 100_000,
            calls: 10_000,
            tokens: None,
            cost: None,
            duration: None,
            fan_out: 10_000,
            depth: 16,
            mutations: 10_000,
        }
    }
}
