//! What a vertex sees of its execution.

use crate::combine::Combine;
use crate::delivery::travel::{Put, Travel};
use crate::delivery::{Addressed, Route};
use crate::graph::Graph;
use crate::program::VertexProgram;

/// The inside of a program's delivery.
pub(crate) type OutboxOf<P> =
    <<P as VertexProgram>::Delivery as Travel<<P as VertexProgram>::Message>>::Outbox;

/// What a vertex sees of its execution, and where it puts what it sends.
pub struct Context<'a, P: VertexProgram + ?Sized> {
    pub(crate) superstep: u64,
    pub(crate) vertex: u32,
    pub(crate) route: &'a Route<'a>,
    pub(crate) aggregate: &'a P::Aggregate,
    pub(crate) contribution: &'a mut P::Aggregate,
    pub(crate) outbox: &'a mut OutboxOf<P>,
    pub(crate) halted: bool,
}

impl<'a, P: VertexProgram + ?Sized> Context<'a, P> {
    /// The superstep, from 0.
    pub fn superstep(&self) -> u64 {
        self.superstep
    }

    /// The vertex that is computed.
    pub fn vertex(&self) -> u32 {
        self.vertex
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph {
        self.route.graph
    }

    /// What all vertices folded in the superstep before; the identity in superstep 0.
    pub fn aggregate(&self) -> &'a P::Aggregate {
        self.aggregate
    }

    /// Folds into what all vertices see in the next superstep.
    pub fn contribute(&mut self, part: &P::Aggregate) {
        *self.contribution = self.contribution.combine(part);
    }

    /// Sends to all neighbours, along the edges that the program [follows](VertexProgram::along). Parallel edges
    /// carry it once each.
    pub fn send_along(&mut self, message: P::Message) {
        P::Delivery::send_along(self.outbox, self.route, self.vertex, message);
    }

    /// Lets another program compute this vertex, one that sends and aggregates the same, which this one
    /// wraps.
    pub fn delegate<Q>(&mut self, program: &Q, value: &mut Q::Value, messages: &[P::Message])
    where
        Q: VertexProgram<Message = P::Message, Aggregate = P::Aggregate, Delivery = P::Delivery>,
    {
        let mut inner = Context::<Q> {
            superstep: self.superstep,
            vertex: self.vertex,
            route: self.route,
            aggregate: self.aggregate,
            contribution: &mut *self.contribution,
            outbox: &mut *self.outbox,
            halted: self.halted,
        };
        program.compute(&mut inner, value, messages);
        self.halted = inner.halted;
    }

    /// Is not computed again before a message comes.
    pub fn vote_to_halt(&mut self) {
        self.halted = true;
    }
}

impl<P: VertexProgram + ?Sized> Context<'_, P>
where
    P::Delivery: Addressed<P::Message>,
{
    /// Sends to one vertex of the graph.
    #[inline]
    pub fn send(&mut self, target: u32, message: P::Message) {
        <P::Delivery as Put<P::Message>>::put(self.outbox, self.route, target, message);
    }
}
