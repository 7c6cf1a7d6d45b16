//! What edges cost: measured of the activations that their messages woke, and kept as moving averages.

mod choice;
mod stopwatch;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use superstep_graph::{Edge, EdgeCost, EdgeIx, Port, Topology, VertexName};

use crate::ids::FrameId;
use crate::program::Usage;

pub use choice::{Route, choose};
pub(crate) use stopwatch::Stopwatch;

/// How much of an average the newest measurement is: after one that is twice as high, the average is half
/// as high again.
const NEWEST: f64 = 0.5;

/// What was measured of the edges of graphs, by the names of the graphs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Costs(BTreeMap<String, Arc<EdgeCosts>>);

/// What was measured of the edges of one graph, whatever its revision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeCosts {
    /// How often something was measured.
    clock: u64,
    /// In order of (from, port, to).
    edges: Vec<EdgeEstimate>,
}

/// What it costs to get a message over an edge and through the vertex that receives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeEstimate {
    /// The sender.
    pub from: VertexName,
    /// The port.
    pub port: Port,
    /// The receiver.
    pub to: VertexName,
    /// Average of the tokens, read and written.
    pub tokens: f64,
    /// Average of the money, in units of the models' prices.
    pub money: f64,
    /// Average of the seconds.
    pub latency_seconds: f64,
    /// How often it was measured.
    pub measured: u64,
    /// When it was measured last, as a number of measurements of its graph.
    pub last: u64,
    /// Whether the last activation that it woke failed.
    pub failed: bool,
}

/// What one committed activation, or one group, has cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its frame.
    pub frame: FrameId,
    /// Its vertex.
    pub vertex: VertexName,
    /// Whose messages it took, over which ports, in order.
    pub woken_by: Vec<(VertexName, Port)>,
    /// What it has cost.
    pub spent: Spent,
    /// Whether it failed.
    pub failed: bool,
}

/// Time and usage of an activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// From its start to its end, without the time in which it waited for an answer from outside.
    pub micros: u64,
    /// Tokens, read and written.
    pub tokens: u64,
    /// Money, in units of the models' prices.
    pub money: f64,
}

impl Costs {
    /// What was measured of the edges of a graph.
    pub fn of(&self, graph: &str) -> Option<&Arc<EdgeCosts>> {
        self.0.get(graph)
    }

    /// What was measured, graph by graph, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<EdgeCosts>)> {
        self.0.iter().map(|(name, costs)| (name.as_str(), costs))
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts in what is known of a graph, in place of what was known before.
    pub fn insert(&mut self, graph: impl Into<String>, costs: EdgeCosts) {
        if !costs.edges.is_empty() {
            self.0.insert(graph.into(), Arc::new(costs));
        }
    }

    /// Takes a measurement of an activation of `graph` in.
    pub(crate) fn learn(&mut self, graph: &str, measured: &Measured) {
        if !self.0.contains_key(graph) {
            self.0.insert(graph.to_owned(), Arc::default());
        }
        if let Some(costs) = self.0.get_mut(graph) {
            Arc::make_mut(costs).learn(measured);
        }
    }
}

impl EdgeCosts {
    /// What was measured of an edge, in order of (from, port, to).
    pub fn edges(&self) -> &[EdgeEstimate] {
        &self.edges
    }

    /// What was measured of the edge of that key.
    pub fn of(&self, from: &VertexName, port: &Port, to: &VertexName) -> Option<&EdgeEstimate> {
        self.find(from, port, to).ok().map(|at| &self.edges[at])
    }

    /// Whether it is what measurements lead to: in order, and numbers that costs can be.
    pub fn is_sound(&self) -> bool {
        let cost = |number: f64| number.is_finite() && number >= 0.0;
        let costs = |edge: &EdgeEstimate| cost(edge.tokens) && cost(edge.money) && cost(edge.latency_seconds);
        self.edges.is_sorted_by(|one, other| one.key() < other.key()) && self.edges.iter().all(costs)
    }

    /// The same without what failures have left, for a new run: it tries again what failed.
    #[must_use]
    pub fn forgiven(mut self) -> Self {
        self.edges.iter_mut().for_each(|edge| edge.failed = false);
        self
    }

    /// Puts into `self` what a run has added to it that began with `before` and ended with `after`. An edge
    /// that only that run has measured is taken as it is; of one that others have measured meanwhile, both
    /// averages count half.
    pub fn merge(&mut self, before: &Self, after: &Self) {
        for edge in &after.edges {
            let known = before.of(&edge.from, &edge.port, &edge.to).map_or(0, |known| known.measured);
            let new = edge.measured.saturating_sub(known);
            if new == 0 {
                continue;
            }
            self.clock += new;
            let clock = self.clock;
            match self.find(&edge.from, &edge.port, &edge.to) {
                Err(at) => self.edges.insert(at, EdgeEstimate { last: clock, ..edge.clone() }),
                Ok(at) if self.edges[at].measured == known => {
                    self.edges[at] = EdgeEstimate { last: clock, ..edge.clone() };
                }
                Ok(at) => {
                    let held = &mut self.edges[at];
                    held.move_towards(edge.cost());
                    held.measured += new;
                    held.last = clock;
                    held.failed = edge.failed;
                }
            }
        }
    }

    fn learn(&mut self, measured: &Measured) {
        let sample = measured.spent.cost();
        for (from, port) in &measured.woken_by {
            self.clock += 1;
            let clock = self.clock;
            let at = match self.find(from, port, &measured.vertex) {
                Ok(at) => {
                    self.edges[at].take(sample, measured.failed);
                    at
                }
                Err(at) => {
                    let key = (from.clone(), port.clone(), measured.vertex.clone());
                    self.edges.insert(at, EdgeEstimate::first(key, sample));
                    at
                }
            };
            let edge = &mut self.edges[at];
            edge.measured += 1;
            edge.last = clock;
            edge.failed = measured.failed;
        }
    }

    fn find(&self, from: &VertexName, port: &Port, to: &VertexName) -> Result<usize, usize> {
        self.edges.binary_search_by(|edge| edge.key().cmp(&(from, port, to)))
    }

    /// What is known of an edge of a graph.
    fn of_edge(&self, topology: &Topology, edge: &Edge) -> Option<&EdgeEstimate> {
        self.of(&topology.vertex(edge.from).name, &edge.port, &edge.to_name)
    }
}

impl EdgeEstimate {
    fn first((from, port, to): (VertexName, Port, VertexName), cost: EdgeCost) -> Self {
        let EdgeCost { tokens, money, latency_seconds } = cost;
        Self { from, port, to, tokens, money, latency_seconds, measured: 0, last: 0, failed: false }
    }

    /// The averages together.
    pub fn cost(&self) -> EdgeCost {
        EdgeCost { tokens: self.tokens, money: self.money, latency_seconds: self.latency_seconds }
    }

    fn key(&self) -> (&VertexName, &Port, &VertexName) {
        (&self.from, &self.port, &self.to)
    }

    /// Takes a measurement in. A failure that came quickly makes nothing look cheaper.
    fn take(&mut self, sample: EdgeCost, failed: bool) {
        let held = self.cost();
        let least = if failed { held } else { EdgeCost::default() };
        self.move_towards(EdgeCost {
            tokens: sample.tokens.max(least.tokens),
            money: sample.money.max(least.money),
            latency_seconds: sample.latency_seconds.max(least.latency_seconds),
        });
    }

    fn move_towards(&mut self, sample: EdgeCost) {
        let moved = |held: &mut f64, sample: f64| *held += NEWEST * (sample - *held);
        moved(&mut self.tokens, sample.tokens);
        moved(&mut self.money, sample.money);
        moved(&mut self.latency_seconds, sample.latency_seconds);
    }
}

impl Spent {
    /// Time and usage together.
    pub(crate) fn of(micros: u64, usage: &Usage) -> Self {
        Self { micros, tokens: usage.tokens(), money: usage.cost }
    }

    /// As an edge is said to cost.
    pub fn cost(&self) -> EdgeCost {
        EdgeCost { tokens: self.tokens as f64, money: self.money, latency_seconds: self.micros as f64 / 1e6 }
    }
}

/// What a message over an edge is taken to cost: as measured, else as the graph says.
pub fn cost_of(topology: &Topology, costs: Option<&EdgeCosts>, ix: EdgeIx) -> EdgeCost {
    let edge = topology.edge(ix);
    let measured = costs.and_then(|costs| costs.of_edge(topology, edge));
    measured.map_or(edge.cost, EdgeEstimate::cost)
}

/// By when they were measured last; what never was comes first.
fn by_age(one: Option<&EdgeEstimate>, other: Option<&EdgeEstimate>) -> Ordering {
    let last = |edge: Option<&EdgeEstimate>| edge.map_or(0, |edge| edge.last);
    last(one).cmp(&last(other))
}

#[cfg(test)]
mod tests;
