//! Shortest paths from one vertex.

use crate::combine::Smallest;
use crate::context::Context;
use crate::delivery::{Broadcast, Combined};
use crate::graph::Graph;
use crate::program::VertexProgram;

/// The fewest edges from a vertex to each (breadth-first search), `u32::MAX` where none lead.
#[derive(Debug, Clone, Copy)]
pub struct Hops {
    /// Where paths begin.
    pub source: u32,
}

impl VertexProgram for Hops {
    type Value = u32;
    type Message = Smallest<u32>;
    type Aggregate = ();
    type Delivery = Broadcast;

    fn initial(&self, _: &Graph, _: u32) -> u32 {
        u32::MAX
    }

    #[inline]
    fn compute(&self, context: &mut Context<'_, Self>, hops: &mut u32, messages: &[Smallest<u32>]) {
        let origin = (context.superstep() == 0 && context.vertex() == self.source).then_some(0);
        let found = origin.or(messages.first().map(|message| message.0));
        if let Some(found) = found.filter(|found| found < hops) {
            *hops = found;
            context.send_along(Smallest(found + 1));
        }
        context.vote_to_halt();
    }
}

/// The smallest sum of weights of a path from a vertex to each, infinity where none leads. Of a graph without
/// weights each edge counts 1.
///
/// It is that of the distributed Bellman-Ford (*Pregel*, §5.2). Sums are taken from the source on, one edge after
/// another, so that they are the same for any order of relaxation.
#[derive(Debug, Clone, Copy)]
pub struct ShortestPaths {
    /// Where paths begin.
    pub source: u32,
}

impl VertexProgram for ShortestPaths {
    type Value = f64;
    type Message = Smallest<f64>;
    type Aggregate = ();
    type Delivery = Combined;

    fn initial(&self, _: &Graph, _: u32) -> f64 {
        f64::INFINITY
    }

    fn compute(&self, context: &mut Context<'_, Self>, distance: &mut f64, messages: &[Smallest<f64>]) {
        let origin = (context.superstep() == 0 && context.vertex() == self.source).then_some(0.0);
        let found = origin.or(messages.first().map(|message| message.0));
        context.vote_to_halt();
        let Some(found) = found.filter(|found| found < distance) else { return };
        *distance = found;
        let edges = context.graph().forward();
        let weights = edges.weights(context.vertex());
        if weights.is_empty() {
            return context.send_along(Smallest(found + 1.0));
        }
        for (target, weight) in edges.of(context.vertex()).iter().zip(weights) {
            context.send(*target, Smallest(found + weight));
        }
    }
}
