//! Routers as written: what chooses the ports on which a payload goes on.

use serde::{Deserialize, Serialize};

use super::edge::EdgeCost;
use crate::name::VertexName;

/// Sends a payload on: exactly one of `cel`, `cheapest`, `fastest` and `pareto` says over which ports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_choice))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouterProgram {
    /// CEL that gives a port or a list of ports. A port to which no edge listens fails the vertex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
    /// The path that costs the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheapest: Option<CheapestPath>,
    /// The path that takes the least time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fastest: Option<FastestPath>,
    /// One of the paths that no other path beats in tokens, money and time at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pareto: Option<ParetoPath>,
    /// CEL of the payload. Default: the payload of the one message that woke the router, else the
    /// list of payloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

/// The path that costs the least.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheapestPath {
    /// The vertex that the path leads to.
    pub to: VertexName,
    /// What one of each unit weighs. Default: the least money wins, then the fewest tokens, then the least
    /// time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weigh: Option<Weights>,
    /// Of so many messages one goes over the edge that was measured the longest ago. Default: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub explore: Option<u32>,
}

/// The path that takes the least time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FastestPath {
    /// The vertex that the path leads to.
    pub to: VertexName,
    /// Of so many messages one goes over the edge that was measured the longest ago. Default: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub explore: Option<u32>,
}

/// One of the paths that no other path beats in tokens, money and time at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParetoPath {
    /// The vertex that the path leads to.
    pub to: VertexName,
    /// The unit of which the chosen path needs the least. Default: the path with the least sum when each unit
    /// is measured by the most that one of the unbeaten paths needs of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefer: Option<CostUnit>,
    /// Of so many messages one goes over the edge that was measured the longest ago. Default: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub explore: Option<u32>,
}

/// What costs are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CostUnit {
    /// Tokens, read and written.
    Tokens,
    /// Money, in units of the models' prices.
    Money,
    /// Time.
    Latency,
}

/// What one of each unit weighs; what is left out weighs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Weights {
    /// Of one token.
    #[serde(skip_serializing_if = "super::edge::is_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub tokens: f64,
    /// Of one unit of the models' prices.
    #[serde(skip_serializing_if = "super::edge::is_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub money: f64,
    /// Of one second.
    #[serde(skip_serializing_if = "super::edge::is_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub latency_seconds: f64,
}

/// Where a router that weighs costs sends to, and how it chooses among the paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal<'a> {
    /// The vertex that the path leads to.
    pub to: &'a VertexName,
    /// How it chooses.
    pub rule: PathRule,
    /// Of so many messages one goes over the edge that was measured the longest ago.
    pub explore: Option<u32>,
}

/// How a router that weighs costs chooses a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PathRule {
    /// By the weighted sum; without weights by money, then tokens, then time.
    Cheapest(Option<Weights>),
    /// By time, then money, then tokens.
    Fastest,
    /// Among the paths that no other beats: by this unit, or by the balance of all.
    Pareto(Option<CostUnit>),
}

impl RouterProgram {
    /// The ways to choose of which exactly one is given.
    pub const CHOICES: [&'static str; 4] = ["cel", "cheapest", "fastest", "pareto"];

    /// How many ways to choose are given: one, if the document is right.
    pub fn choices(&self) -> usize {
        let given =
            [self.cel.is_some(), self.cheapest.is_some(), self.fastest.is_some(), self.pareto.is_some()];
        given.into_iter().filter(|given| *given).count()
    }

    /// Where it sends to, if it weighs costs.
    pub fn goal(&self) -> Option<Goal<'_>> {
        if let Some(CheapestPath { to, weigh, explore }) = &self.cheapest {
            return Some(Goal { to, rule: PathRule::Cheapest(*weigh), explore: *explore });
        }
        if let Some(FastestPath { to, explore }) = &self.fastest {
            return Some(Goal { to, rule: PathRule::Fastest, explore: *explore });
        }
        let ParetoPath { to, prefer, explore } = self.pareto.as_ref()?;
        Some(Goal { to, rule: PathRule::Pareto(*prefer), explore: *explore })
    }

    /// The member that says how it chooses by cost, for messages.
    pub fn goal_field(&self) -> &'static str {
        match (&self.cheapest, &self.fastest) {
            (Some(_), _) => "cheapest",
            (None, Some(_)) => "fastest",
            (None, None) => "pareto",
        }
    }
}

impl Weights {
    /// What `cost` weighs.
    pub fn of(&self, cost: &EdgeCost) -> f64 {
        self.tokens * cost.tokens + self.money * cost.money + self.latency_seconds * cost.latency_seconds
    }

    /// Each weight with the name of its member.
    pub fn members(&self) -> [(&'static str, f64); 3] {
        [("tokens", self.tokens), ("money", self.money), ("latencySeconds", self.latency_seconds)]
    }
}
