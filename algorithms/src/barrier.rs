//! What decides whether the partitions of an execution go on.

use serde::{Deserialize, Serialize};

use crate::combine::Combine;
use crate::program::VertexProgram;

/// What a partition says between two supersteps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report<A> {
    /// The superstep to come.
    pub superstep: u64,
    /// How many of its vertices are awake.
    pub awake: u64,
    /// Whether messages are on their way that it sent.
    pub sent: bool,
    /// What its vertices folded in the superstep before.
    pub contribution: A,
}

/// How all partitions go on.
#[derive(Debug, Clone, PartialEq)]
pub enum Next<A> {
    /// With a superstep, whose vertices see this aggregate.
    Superstep(A),
    /// There is nothing left to do.
    Ended {
        /// How many supersteps there were.
        supersteps: u64,
        /// What the vertices folded together in the last of them.
        aggregate: A,
    },
}

/// Waits for what all partitions of an execution say, and decides as an [`Execution`](crate::Execution) does. A pure
/// function of the reports: everybody who has all of them comes to the same.
pub struct Barrier<'a, P: VertexProgram> {
    program: &'a P,
    superstep: u64,
    /// What was folded before the execution was resumed.
    carried: P::Aggregate,
    reports: Vec<Option<Report<P::Aggregate>>>,
}

impl<'a, P: VertexProgram> Barrier<'a, P> {
    /// Before superstep 0.
    pub fn new(program: &'a P, partitions: usize) -> Self {
        Self::standing(program, partitions, 0, P::Aggregate::IDENTITY)
    }

    /// Before `superstep` of an execution that is resumed, whose vertices folded `aggregate` in the one before.
    pub fn standing(program: &'a P, partitions: usize, superstep: u64, aggregate: P::Aggregate) -> Self {
        Self { program, superstep, carried: aggregate, reports: vec![None; partitions] }
    }

    /// Takes what a partition says; how all go on, if it was the last. What it has said before, or of another superstep,
    /// or who is no partition, changes nothing.
    pub fn report(&mut self, from: usize, report: Report<P::Aggregate>) -> Option<Next<P::Aggregate>> {
        let place = self.reports.get_mut(from).filter(|place| place.is_none())?;
        if report.superstep != self.superstep {
            return None;
        }
        *place = Some(report);
        if self.reports.iter().any(Option::is_none) {
            return None;
        }
        let carried = std::mem::replace(&mut self.carried, P::Aggregate::IDENTITY);
        let reports = || self.reports.iter().flatten();
        let aggregate = reports().fold(carried, |all, report| all.combine(&report.contribution));
        let asleep = reports().all(|report| report.awake == 0 && !report.sent);
        if asleep || self.program.finished(self.superstep, &aggregate) {
            return Some(Next::Ended { supersteps: self.superstep, aggregate });
        }
        self.superstep += 1;
        self.reports.fill(None);
        Some(Next::Superstep(aggregate))
    }
}
