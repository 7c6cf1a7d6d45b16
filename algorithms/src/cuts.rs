//! Where the vertices are cut into partitions.

use std::ops::Range;

use crate::graph::Graph;

/// Partitions as ranges of vertices, with about as many vertices and edges in each.
#[derive(Debug)]
pub(crate) struct Cuts {
    /// One more than there are partitions, from 0 to the number of vertices.
    bounds: Vec<u32>,
}

impl Cuts {
    pub(crate) fn new(graph: &Graph, partitions: usize) -> Self {
        let vertices = graph.vertices();
        let load = |vertex: usize| vertex + graph.forward().before(vertex);
        let whole = load(vertices);
        let bound = |part: usize| {
            let share = whole / partitions * part + whole % partitions * part / partitions;
            let (mut low, mut high) = (0, vertices);
            while low < high {
                let middle = low + (high - low) / 2;
                if load(middle) < share { low = middle + 1 } else { high = middle }
            }
            if part == partitions { vertices } else { low }
        };
        let id = |vertex| u32::try_from(vertex).expect("a graph has no more vertices than ids");
        Self { bounds: (0..=partitions).map(|part| id(bound(part))).collect() }
    }

    pub(crate) fn partitions(&self) -> usize {
        self.bounds.len() - 1
    }

    pub(crate) fn range(&self, partition: usize) -> Range<u32> {
        self.bounds[partition]..self.bounds[partition + 1]
    }

    pub(crate) fn vertices(&self) -> usize {
        self.bounds[self.partitions()] as usize
    }

    /// The partition of a vertex.
    #[inline]
    pub(crate) fn owner(&self, vertex: u32) -> usize {
        self.bounds.partition_point(|bound| *bound <= vertex) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vertex_has_one_owner() {
        let edges: Vec<(u32, u32)> = (0..50).map(|v| (v % 3, v)).collect();
        let graph = Graph::directed(50, &edges).unwrap();
        for partitions in [1, 2, 5, 60] {
            let cuts = Cuts::new(&graph, partitions);
            let owned: Vec<u32> = (0..partitions).flat_map(|partition| cuts.range(partition)).collect();
            assert_eq!(owned, (0..50).collect::<Vec<u32>>());
            for partition in 0..partitions {
                assert!(cuts.range(partition).all(|vertex| cuts.owner(vertex) == partition));
            }
        }
        // Vertices 0 to 2 have all the edges, so that the second half begins among the first vertices.
        assert_eq!(Cuts::new(&graph, 2).range(0), 0..3);
    }
}
