//! Connected components.

use crate::combine::{Combine, Smallest};
use crate::context::Context;
use crate::delivery::Broadcast;
use crate::graph::Graph;
use crate::program::{Along, VertexProgram};

/// Weakly connected components: every vertex ends with the smallest vertex that it is connected to, the direction
/// of edges apart. As many supersteps as a component is wide.
#[derive(Debug, Clone, Copy)]
pub struct Components;

impl VertexProgram for Components {
    type Value = u32;
    type Message = Smallest<u32>;
    type Aggregate = ();
    type Delivery = Broadcast;

    fn initial(&self, _: &Graph, vertex: u32) -> u32 {
        vertex
    }

    #[inline]
    fn compute(&self, context: &mut Context<'_, Self>, label: &mut u32, messages: &[Smallest<u32>]) {
        let smallest = messages.first().map_or(Smallest::IDENTITY, Clone::clone).0;
        if context.superstep() == 0 || smallest < *label {
            *label = smallest.min(*label);
            context.send_along(Smallest(*label));
        }
        context.vote_to_halt();
    }

    fn along(&self) -> Along {
        Along::Both
    }
}
