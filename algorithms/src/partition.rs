//! A part of the vertices, and a superstep of it.

use std::ops::Range;

use crate::combine::Combine;
use crate::context::{Context, OutboxOf};
use crate::delivery::Route;
use crate::delivery::travel::Travel;
use crate::program::VertexProgram;

/// The inside of a program's delivery.
pub(crate) type InboxOf<P> = <<P as VertexProgram>::Delivery as Travel<<P as VertexProgram>::Message>>::Inbox;

/// The vertices of a range.
pub(crate) struct Partition<P: VertexProgram> {
    pub(crate) range: Range<u32>,
    /// By vertex of the partition.
    pub(crate) values: Vec<P::Value>,
    /// By vertex of the partition, whether it voted to halt.
    pub(crate) halted: Vec<bool>,
    /// How many did not.
    pub(crate) awake: usize,
    /// What its vertices folded in this superstep.
    pub(crate) contribution: P::Aggregate,
}

/// What all partitions of a superstep share.
pub(crate) struct Superstep<'a, P: VertexProgram> {
    pub(crate) program: &'a P,
    pub(crate) number: u64,
    pub(crate) route: &'a Route<'a>,
    pub(crate) aggregate: &'a P::Aggregate,
}

impl<P: VertexProgram> Partition<P> {
    pub(crate) fn new(range: Range<u32>, values: Vec<P::Value>, halted: Vec<bool>) -> Self {
        let awake = halted.iter().filter(|halted| !**halted).count();
        Self { range, values, halted, awake, contribution: P::Aggregate::IDENTITY }
    }

    /// Computes the vertices that are awake or get messages.
    ///
    /// The cost is that of the vertices that get messages, unless some vertex is awake or messages are dense; then
    /// every vertex is looked at.
    pub(crate) fn compute(
        &mut self,
        superstep: &Superstep<'_, P>,
        inbox: &mut InboxOf<P>,
        outbox: &mut OutboxOf<P>,
    ) {
        self.contribution = P::Aggregate::IDENTITY;
        if self.awake > 0 || P::Delivery::scans(inbox) {
            for vertex in self.range.clone() {
                self.visit(superstep, vertex, inbox, outbox);
            }
            return;
        }
        let mut index = 0;
        while let Some(vertex) = P::Delivery::arrived(inbox, index) {
            self.visit(superstep, vertex, inbox, outbox);
            index += 1;
        }
    }

    #[inline]
    fn visit(
        &mut self,
        superstep: &Superstep<'_, P>,
        vertex: u32,
        inbox: &mut InboxOf<P>,
        outbox: &mut OutboxOf<P>,
    ) {
        let index = (vertex - self.range.start) as usize;
        let messages = P::Delivery::take(inbox, superstep.route, vertex);
        if messages.is_empty() && self.halted[index] {
            return;
        }
        let mut context = Context::<P> {
            superstep: superstep.number,
            vertex,
            route: superstep.route,
            aggregate: superstep.aggregate,
            contribution: &mut self.contribution,
            outbox,
            halted: false,
        };
        superstep.program.compute(&mut context, &mut self.values[index], messages);
        let halted = context.halted;
        self.awake = self.awake + usize::from(!halted) - usize::from(!self.halted[index]);
        self.halted[index] = halted;
    }
}
