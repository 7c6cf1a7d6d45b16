//! PageRank, with the mass of vertices that no edge leaves.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::combine::{Combine, Mass};
use crate::context::Context;
use crate::delivery::{Broadcast, Delivery};
use crate::graph::Graph;
use crate::program::VertexProgram;

/// PageRank (Brin and Page, 1998) as LDBC Graphalytics defines it: ranks are 1 over the number of vertices at first
/// and sum to 1 always; the mass of vertices that no edge leaves goes to all. It is the power iteration, `f64` by
/// vertex, with sums that are exact to 2^-62 ([`Mass`]).
///
/// `D` is how messages travel, which the result does not show.
#[derive(Debug, Clone)]
pub struct PageRank<D = Broadcast> {
    iterations: u64,
    damping: f64,
    tolerance: f64,
    /// By vertex, where a walk begins and begins again; to all alike, if it is empty.
    seeds: Vec<f64>,
    delivery: PhantomData<D>,
}

/// What a vertex holds.
pub type Rank = f64;

impl<D> PageRank<D> {
    /// So many iterations, in each of which a share `damping`, 0 to 1, of the mass follows edges.
    pub fn new(iterations: u64, damping: f64) -> Self {
        Self { iterations, damping, tolerance: 0.0, seeds: Vec::new(), delivery: PhantomData }
    }

    /// Ends earlier, after an iteration that moved at most this much mass: the sum of the differences of all ranks.
    #[must_use]
    pub fn until(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Personalised: walks begin, and begin again, at these vertices, in proportion to their weights; so does the
    /// mass of vertices that no edge leaves. A vertex may be named more than once. Without a positive weight all
    /// vertices are alike.
    ///
    /// # Panics
    ///
    /// If a vertex is not of the graph, or a weight is negative or no number.
    #[must_use]
    pub fn from_seeds(mut self, graph: &Graph, seeds: &[(u32, f64)]) -> Self {
        assert!(seeds.iter().all(|seed| seed.1.is_finite() && seed.1 >= 0.0), "a weight is at least 0");
        let whole: f64 = seeds.iter().map(|seed| seed.1).sum();
        self.seeds.clear();
        if whole > 0.0 {
            self.seeds.resize(graph.vertices(), 0.0);
            seeds.iter().for_each(|(vertex, weight)| self.seeds[*vertex as usize] += weight / whole);
        }
        self
    }

    /// The part of a walk that begins at a vertex.
    fn seed(&self, graph: &Graph, vertex: u32) -> f64 {
        if self.seeds.is_empty() { 1.0 / graph.vertices() as f64 } else { self.seeds[vertex as usize] }
    }
}

/// What is at vertices that no edge leaves, and what moved since the iteration before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    dangling: Mass,
    moved: Mass,
}

impl Combine for Movement {
    const IDENTITY: Self = Self { dangling: Mass::IDENTITY, moved: Mass::IDENTITY };

    #[inline]
    fn combine(&self, other: &Self) -> Self {
        Self { dangling: self.dangling.combine(&other.dangling), moved: self.moved.combine(&other.moved) }
    }
}

impl<D: Delivery<Mass> + Sync> VertexProgram for PageRank<D> {
    type Value = Rank;
    type Message = Mass;
    type Aggregate = Movement;
    type Delivery = D;

    fn initial(&self, graph: &Graph, vertex: u32) -> Rank {
        self.seed(graph, vertex)
    }

    #[inline]
    fn compute(&self, context: &mut Context<'_, Self>, rank: &mut Rank, messages: &[Mass]) {
        let mut movement = Movement::default();
        if context.superstep() > 0 {
            let came = messages.iter().fold(Mass::IDENTITY, |sum, mass| sum.combine(mass)).part();
            let lost = context.aggregate().dangling.part();
            let seed = self.seed(context.graph(), context.vertex());
            let next = self.damping * came + ((1.0 - self.damping) + self.damping * lost) * seed;
            movement.moved = Mass::new((next - *rank).abs());
            *rank = next;
        }
        if context.superstep() == self.iterations {
            context.contribute(&movement);
            return context.vote_to_halt();
        }
        match context.graph().forward().degree(context.vertex()) {
            0 => movement.dangling = Mass::new(*rank),
            degree => context.send_along(Mass::new(*rank / degree as f64)),
        }
        context.contribute(&movement);
    }

    fn finished(&self, superstep: u64, movement: &Movement) -> bool {
        superstep > self.iterations || superstep > 1 && movement.moved.part() <= self.tolerance
    }
}
