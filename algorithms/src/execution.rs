//! A program that runs over a graph, superstep by superstep.

use std::num::NonZeroUsize;

use crate::boundary::{Boundary, BoundaryError};
use crate::combine::Combine;
use crate::context::OutboxOf;
use crate::cuts::Cuts;
use crate::delivery::Route;
use crate::delivery::travel::Travel;
use crate::graph::Graph;
use crate::partition::{InboxOf, Partition, Superstep};
use crate::program::VertexProgram;
use crate::workers;

/// Into how many partitions the vertices are cut, and how many threads work on them. It has no effect on results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// At least as many as threads, or some threads have no work.
    pub partitions: NonZeroUsize,
    /// Supersteps with little to do are left to the calling thread.
    pub threads: NonZeroUsize,
}

impl Layout {
    /// One partition for each of so many threads.
    pub const fn of(threads: NonZeroUsize) -> Self {
        Self { partitions: threads, threads }
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self::of(NonZeroUsize::MIN)
    }
}

/// The boundary of a program.
pub type BoundaryOf<P> =
    Boundary<<P as VertexProgram>::Value, <P as VertexProgram>::Message, <P as VertexProgram>::Aggregate>;

/// A program that runs over a graph.
///
/// A panic in the program leaves the execution between nothing: it is to be dropped, and resumed from its last
/// boundary.
pub struct Execution<'a, P: VertexProgram> {
    program: &'a P,
    route: Route<'a>,
    partitions: Vec<Partition<P>>,
    outboxes: Vec<OutboxOf<P>>,
    inboxes: Vec<InboxOf<P>>,
    superstep: u64,
    aggregate: P::Aggregate,
}

/// What an execution came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<V, A> {
    /// By vertex.
    pub values: Vec<V>,
    /// How many supersteps there were.
    pub supersteps: u64,
    /// What the vertices folded together in the last of them.
    pub aggregate: A,
}

impl<'a, P: VertexProgram> Execution<'a, P> {
    /// Before superstep 0.
    pub fn new(program: &'a P, graph: &'a Graph, layout: Layout) -> Self {
        let vertices = 0..u32::try_from(graph.vertices()).expect("a graph has no more vertices than ids");
        let start = Boundary {
            superstep: 0,
            values: vertices.map(|vertex| program.initial(graph, vertex)).collect(),
            awake: None,
            pending: Vec::new(),
            aggregate: P::Aggregate::IDENTITY,
        };
        Self::standing(program, graph, layout, start)
    }

    /// Where an execution of the same program over the same graph stood.
    pub fn resume(
        program: &'a P,
        graph: &'a Graph,
        layout: Layout,
        boundary: BoundaryOf<P>,
    ) -> Result<Self, BoundaryError> {
        boundary.check(graph.vertices())?;
        Ok(Self::standing(program, graph, layout, boundary))
    }

    fn standing(program: &'a P, graph: &'a Graph, layout: Layout, boundary: BoundaryOf<P>) -> Self {
        let cuts = Cuts::new(graph, layout.partitions.get());
        let route = Route { graph, along: program.along(), cuts, threads: layout.threads.get() };
        let mut halted = vec![boundary.awake.is_some(); graph.vertices()];
        boundary.awake.into_iter().flatten().for_each(|vertex| halted[vertex as usize] = false);
        let mut values = boundary.values.into_iter();
        let ranges = (0..route.cuts.partitions()).map(|partition| route.cuts.range(partition));
        let partitions: Vec<Partition<P>> = ranges
            .map(|range| {
                let values = values.by_ref().take(range.len()).collect();
                let halted = halted[range.start as usize..range.end as usize].to_vec();
                Partition::new(range, values, halted)
            })
            .collect();
        let mut outboxes: Vec<_> = partitions.iter().map(|_| P::Delivery::outbox(&route)).collect();
        let inboxes =
            partitions.iter().map(|partition| P::Delivery::inbox(partition.range.clone())).collect();
        // Whichever partition sends, a message arrives in the same order: pending ones are in the order of delivery.
        P::Delivery::restore(&mut outboxes[0], &route, boundary.pending);
        let (superstep, aggregate) = (boundary.superstep, boundary.aggregate);
        Self { program, route, partitions, outboxes, inboxes, superstep, aggregate }
    }

    /// The superstep to come.
    pub fn superstep(&self) -> u64 {
        self.superstep
    }

    /// Whether there is nothing left to do.
    pub fn is_finished(&self) -> bool {
        let asleep = self.partitions.iter().all(|partition| partition.awake == 0);
        asleep && self.outboxes.iter().all(P::Delivery::is_empty)
            || self.program.finished(self.superstep, &self.aggregate)
    }

    /// One superstep. False, and no superstep, if there is nothing left to do.
    pub fn step(&mut self) -> bool {
        if self.is_finished() {
            return false;
        }
        P::Delivery::exchange(&self.route, &mut self.outboxes, &mut self.inboxes);
        let superstep = Superstep {
            program: self.program,
            number: self.superstep,
            route: &self.route,
            aggregate: &self.aggregate,
        };
        let boxes = self.inboxes.iter_mut().zip(&mut self.outboxes);
        let mut work: Vec<_> = self.partitions.iter_mut().zip(boxes).collect();
        let awake: usize = work.iter().map(|(partition, _)| partition.awake).sum();
        let scan = awake > 0 || work.iter().any(|(_, (inbox, _))| P::Delivery::scans(inbox));
        let load = if scan { self.route.graph.vertices() + self.route.links() } else { 0 };
        workers::each(self.route.threads, load, &mut work, |_, (partition, (inbox, outbox))| {
            partition.compute(&superstep, inbox, outbox);
        });
        let parts = self.partitions.iter().map(|partition| &partition.contribution);
        self.aggregate = parts.fold(P::Aggregate::IDENTITY, |all, part| all.combine(part));
        self.superstep += 1;
        true
    }

    /// All that it needs to go on from here.
    pub fn boundary(&self) -> BoundaryOf<P> {
        let awake =
            self.partitions.iter().flat_map(|partition| partition.range.clone().zip(&partition.halted));
        let awake: Vec<u32> = awake.filter(|(_, halted)| !**halted).map(|(vertex, _)| vertex).collect();
        Boundary {
            superstep: self.superstep,
            values: self.partitions.iter().flat_map(|partition| partition.values.iter().cloned()).collect(),
            awake: (awake.len() < self.route.graph.vertices()).then_some(awake),
            pending: P::Delivery::pending(&self.outboxes),
            aggregate: self.aggregate.clone(),
        }
    }

    /// Every superstep to the end.
    pub fn run(mut self) -> Outcome<P::Value, P::Aggregate> {
        while self.step() {}
        Outcome {
            values: self.partitions.into_iter().flat_map(|partition| partition.values).collect(),
            supersteps: self.superstep,
            aggregate: self.aggregate,
        }
    }
}
