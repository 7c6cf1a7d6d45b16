//! One partition of an execution whose other partitions are elsewhere.

mod arrivals;

use std::mem;
use std::num::NonZeroUsize;
use std::ops::Range;

use thiserror::Error;

use crate::barrier::Report;
use crate::boundary::BoundaryError;
use crate::columns::{Letters, Stamp};
use crate::combine::Combine;
use crate::context::OutboxOf;
use crate::cuts::Cuts;
use crate::delivery::Route;
use crate::delivery::travel::Travel;
use crate::execution::BoundaryOf;
use crate::graph::Graph;
use crate::partition::{InboxOf, Partition, Superstep};
use crate::program::VertexProgram;
use arrivals::Arrivals;

/// Which part of an execution it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Into how many partitions the vertices are cut.
    pub partitions: NonZeroUsize,
    /// The partition, from 0.
    pub me: usize,
    /// The attempt at the execution, a number that no other attempt at it has.
    pub term: u64,
}

/// What became of messages that were handed to a [`Share`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// They are delivered in their superstep.
    New,
    /// They came before.
    Repeated,
    /// They are of another attempt, and dropped.
    Stale,
}

/// Messages make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShareError {
    /// The partition does not exist.
    #[error("partition {0} does not exist, or sends by itself")]
    Partition(u32),
    /// They are for a superstep that nobody can have computed for yet.
    #[error("messages for superstep {found} came before superstep {present}")]
    Superstep {
        /// Theirs.
        found: u64,
        /// The one to come.
        present: u64,
    },
    /// They name a vertex that their sender, or receiver, does not have.
    #[error("messages of partition {from} name the vertex {vertex}")]
    Vertex {
        /// The sender.
        from: u32,
        /// The vertex.
        vertex: u32,
    },
    /// Another part of the same messages says that there is another number of them.
    #[error("messages of partition {from} have {found} parts, and {known} before")]
    Parts {
        /// The sender.
        from: u32,
        /// How many there are to be.
        found: u32,
        /// How many there were to be.
        known: u32,
    },
}

/// A superstep of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed<M, A> {
    /// For the [`Barrier`](crate::Barrier).
    pub report: Report<A>,
    /// What goes to each other partition, those that get nothing among them: it is said to all.
    pub letters: Vec<(usize, Letters<M>)>,
    /// How that is stamped; parts apart.
    pub stamp: Stamp,
}

/// What a share computes in a superstep.
pub type ComputedOf<P> = Computed<<P as VertexProgram>::Message, <P as VertexProgram>::Aggregate>;

/// One partition of an execution whose other partitions are elsewhere, as a state machine without IO: it is told of
/// supersteps and messages, and says what to send.
///
/// Its vertices are computed as those of an [`Execution`](crate::Execution) are: what all shares hold in the end is to
/// the bit what that comes to. Whatever order messages come in, and however often, each is delivered once, and a
/// superstep is not computed before all of its messages are here.
pub struct Share<'a, P: VertexProgram> {
    program: &'a P,
    route: Route<'a>,
    split: Split,
    partition: Partition<P>,
    outbox: OutboxOf<P>,
    inbox: InboxOf<P>,
    /// The one to come.
    superstep: u64,
    here: Arrivals<P::Message>,
    /// For the superstep behind that: others may have computed this one already.
    ahead: Arrivals<P::Message>,
}

impl<'a, P: VertexProgram> Share<'a, P> {
    /// Before superstep 0, with what is to be reported before it.
    ///
    /// # Panics
    /// The partition is none of those that there are.
    pub fn new(program: &'a P, graph: &'a Graph, split: Split) -> (Self, Report<P::Aggregate>) {
        let route = route(program, graph, split);
        let range = route.cuts.range(split.me);
        let values = range.clone().map(|vertex| program.initial(graph, vertex)).collect();
        let halted = vec![false; range.len()];
        let partition = Partition::new(range, values, halted);
        Self::standing(program, route, split, partition, (0, Vec::new()))
    }

    /// Where an execution of the same program over the same graph stood, with what is to be reported before the superstep
    /// to come.
    ///
    /// # Errors
    /// The boundary is one of another graph.
    ///
    /// # Panics
    /// The partition is none of those that there are.
    pub fn resume(
        program: &'a P,
        graph: &'a Graph,
        split: Split,
        boundary: &BoundaryOf<P>,
    ) -> Result<(Self, Report<P::Aggregate>), BoundaryError> {
        boundary.check(graph.vertices())?;
        let route = route(program, graph, split);
        let range = route.cuts.range(split.me);
        let mut halted = vec![boundary.awake.is_some(); range.len()];
        let own = boundary.awake.iter().flatten().filter(|vertex| range.contains(vertex));
        own.for_each(|vertex| halted[(vertex - range.start) as usize] = false);
        let values = boundary.values[range.start as usize..range.end as usize].to_vec();
        let partition = Partition::new(range, values, halted);
        let stood = (boundary.superstep, boundary.pending.clone());
        Ok(Self::standing(program, route, split, partition, stood))
    }

    fn standing(
        program: &'a P,
        route: Route<'a>,
        split: Split,
        partition: Partition<P>,
        (superstep, pending): (u64, Letters<P::Message>),
    ) -> (Self, Report<P::Aggregate>) {
        let partitions = split.partitions.get();
        let (mut outbox, inbox) = (P::Delivery::outbox(&route), P::Delivery::inbox(partition.range.clone()));
        P::Delivery::restore(&mut outbox, &route, pending);
        let sent = !P::Delivery::is_empty(&outbox);
        // Everybody has all that is pending, and takes out what is his. Whoever sent it, it is in the order of delivery.
        let own = P::Delivery::leave(&mut outbox, &route).swap_remove(split.me);
        let mut here = Arrivals::new(partitions);
        (0..partitions).for_each(|from| here.put_whole(from, Letters::new()));
        here.put_whole(0, own);
        let ahead = Arrivals::new(partitions);
        let report =
            Report { superstep, awake: partition.awake as u64, sent, contribution: P::Aggregate::IDENTITY };
        (Self { program, route, split, partition, outbox, inbox, superstep, here, ahead }, report)
    }

    /// Takes messages of another partition.
    ///
    /// # Errors
    /// They make no sense.
    pub fn take(&mut self, stamp: Stamp, letters: Letters<P::Message>) -> Result<Taken, ShareError> {
        if stamp.term != self.split.term {
            return Ok(Taken::Stale);
        }
        let from = stamp.from as usize;
        if from >= self.split.partitions.get() || from == self.split.me {
            return Err(ShareError::Partition(stamp.from));
        }
        let arrivals = match stamp.superstep.checked_sub(self.superstep) {
            // It would not have been computed without them.
            None => return Ok(Taken::Repeated),
            Some(0) => &mut self.here,
            Some(1) => &mut self.ahead,
            Some(_) => {
                let (found, present) = (stamp.superstep, self.superstep);
                return Err(ShareError::Superstep { found, present });
            }
        };
        let named = P::Delivery::named(&self.route, from, self.split.me);
        if let Some((vertex, _)) = letters.iter().find(|(vertex, _)| !named.contains(vertex)) {
            return Err(ShareError::Vertex { from: stamp.from, vertex: *vertex });
        }
        arrivals.put(stamp, letters)
    }

    /// The superstep to come.
    pub fn superstep(&self) -> u64 {
        self.superstep
    }

    /// Whether all messages of the superstep to come are here.
    pub fn is_ready(&self) -> bool {
        self.here.is_whole()
    }

    /// The superstep to come, in which its vertices see `aggregate`; none, and no superstep, before its messages are here.
    pub fn compute(&mut self, aggregate: &P::Aggregate) -> Option<ComputedOf<P>> {
        let next = Arrivals::new(self.split.partitions.get());
        let came = mem::replace(&mut self.here, next);
        match came.whole() {
            Ok(came) => P::Delivery::arrive(&mut self.inbox, &self.route, came),
            Err(came) => {
                self.here = came;
                return None;
            }
        }
        mem::swap(&mut self.here, &mut self.ahead);
        let (program, route, number) = (self.program, &self.route, self.superstep);
        let superstep = Superstep { program, number, route, aggregate };
        self.partition.compute(&superstep, &mut self.inbox, &mut self.outbox);
        self.superstep += 1;
        let report = Report {
            superstep: self.superstep,
            awake: self.partition.awake as u64,
            sent: !P::Delivery::is_empty(&self.outbox),
            contribution: self.partition.contribution.clone(),
        };
        let mut letters: Vec<_> =
            P::Delivery::leave(&mut self.outbox, &self.route).into_iter().enumerate().collect();
        let (me, own) = letters.remove(self.split.me);
        self.here.put_whole(me, own);
        let from = u32::try_from(me).expect("there are fewer than 2^32 partitions");
        let stamp = Stamp { term: self.split.term, superstep: self.superstep, from, part: 0, parts: 1 };
        Some(Computed { report, letters, stamp })
    }

    /// The vertices that it has.
    pub fn range(&self) -> Range<u32> {
        self.partition.range.clone()
    }

    /// Their values.
    pub fn values(&self) -> &[P::Value] {
        &self.partition.values
    }
}

fn route<'a, P: VertexProgram>(program: &P, graph: &'a Graph, split: Split) -> Route<'a> {
    let partitions = split.partitions.get();
    assert!(split.me < partitions, "there is no partition {} of {partitions}", split.me);
    Route { graph, along: program.along(), cuts: Cuts::new(graph, partitions), threads: 1 }
}
