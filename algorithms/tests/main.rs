//! Algorithms against references, whole, crashed and resumed, on several numbers of partitions.

#![expect(clippy::unwrap_used, reason = "what the tests share may fail them as a test may")]

mod crash;
mod generated;
mod graphalytics;
mod model;
mod reference;
mod shares;

use std::num::NonZeroUsize;

use superstep_algorithms::{Execution, Fixed, Graph, Layout, Outcome, VertexProgram};

/// The numbers of partitions that are tried.
const PARTITIONS: [usize; 3] = [1, 2, 5];

fn layout(partitions: usize, threads: usize) -> Layout {
    let some = |count| NonZeroUsize::new(count).unwrap();
    Layout { partitions: some(partitions), threads: some(threads) }
}

/// Runs a program on 1, 2 and 5 partitions, together and apart, and checks that its results are the same.
fn run<P: VertexProgram>(program: &P, graph: &Graph) -> Outcome<P::Value, P::Aggregate>
where
    P::Message: Fixed,
    P::Value: PartialEq + std::fmt::Debug,
    P::Aggregate: std::fmt::Debug,
{
    let outcome = Execution::new(program, graph, layout(1, 1)).run();
    for partitions in PARTITIONS {
        assert_eq!(Execution::new(program, graph, layout(partitions, 2)).run(), outcome, "{partitions}");
    }
    shares::check(program, graph, &outcome);
    outcome
}
