//! Communities by label propagation.

use crate::context::Context;
use crate::delivery::Each;
use crate::graph::Graph;
use crate::program::{Along, VertexProgram};

/// Label propagation (Raghavan et al., 2007) as LDBC Graphalytics makes it deterministic: all vertices at once
/// take the label that most neighbours have, the smallest of several. A label is a vertex at first. A neighbour
/// with edges both ways counts twice, as parallel edges do.
#[derive(Debug, Clone, Copy)]
pub struct LabelPropagation {
    /// How often. It ends earlier if no label changes.
    pub iterations: u64,
}

/// The label that is there most often, and the smallest of several.
fn most_frequent(labels: &[u32]) -> Option<u32> {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|a, b| a == b);
    // The first of equal keys is the smallest label: `max_by_key` takes the last.
    runs.rev().max_by_key(|run| run.len()).map(|run| run[0])
}

impl VertexProgram for LabelPropagation {
    type Value = u32;
    type Message = u32;
    type Aggregate = crate::combine::Sum;
    type Delivery = Each;

    fn initial(&self, _: &Graph, vertex: u32) -> u32 {
        vertex
    }

    fn compute(&self, context: &mut Context<'_, Self>, label: &mut u32, messages: &[u32]) {
        if let Some(found) = most_frequent(messages).filter(|found| found != label) {
            *label = found;
            context.contribute(&crate::combine::Sum(1));
        }
        if context.superstep() < self.iterations {
            context.send_along(*label);
        } else {
            context.vote_to_halt();
        }
    }

    fn along(&self) -> Along {
        Along::Both
    }

    fn finished(&self, superstep: u64, changed: &crate::combine::Sum) -> bool {
        superstep > self.iterations || superstep > 1 && changed.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_label_and_the_smallest_of_several() {
        for (labels, found) in [
            (&[][..], None),
            (&[7], Some(7)),
            (&[9, 2, 9, 2, 5], Some(2)),
            (&[1, 8, 8], Some(8)),
            (&[3, 2, 1], Some(1)),
        ] {
            assert_eq!(most_frequent(labels), found, "{labels:?}");
        }
    }
}
