//! A graph with dense vertex ids, as compressed rows.

use std::sync::OnceLock;

use thiserror::Error;

/// The most vertices of a graph.
pub const MAX_VERTICES: usize = u32::MAX as usize;

/// A graph of vertices `0..vertices`. Parallel edges and self-loops are kept as they are given.
///
/// It takes 4 bytes per edge and 8 per vertex, and 8 more per edge with weights; the same again for the edges
/// backwards, which are made when they are first asked for.
#[derive(Debug)]
pub struct Graph {
    forward: Adjacency,
    backward: OnceLock<Adjacency>,
    directed: bool,
}

/// The neighbours of each vertex, in the order of their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjacency {
    /// One more than there are vertices: row `v` is `starts[v]..starts[v + 1]`.
    starts: Vec<usize>,
    targets: Vec<u32>,
    /// As long as `targets`, or empty.
    weights: Vec<f64>,
}

/// What is wrong with the edges of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum GraphError {
    /// More vertices than ids.
    #[error("a graph holds at most {MAX_VERTICES} vertices, and {vertices} were asked for")]
    TooManyVertices {
        /// How many were asked for.
        vertices: usize,
    },
    /// An edge whose end is no vertex.
    #[error("edge {edge} has the end {vertex}, and there are {vertices} vertices")]
    NoSuchVertex {
        /// Its place among the edges, from 0.
        edge: usize,
        /// The end.
        vertex: u32,
        /// How many vertices there are.
        vertices: usize,
    },
    /// A weight that is negative, infinite or no number.
    #[error("edge {edge} has the weight {weight}, which is no number of at least 0")]
    BadWeight {
        /// Its place among the edges, from 0.
        edge: usize,
        /// The weight.
        weight: f64,
    },
}

impl Graph {
    /// A graph whose edges lead from the first to the second vertex.
    pub fn directed(vertices: usize, edges: &[(u32, u32)]) -> Result<Self, GraphError> {
        check(vertices, edges.iter().copied())?;
        Ok(Self::of(Adjacency::sorted(vertices, || edges.iter().map(|&(from, to)| (from, to, None))), true))
    }

    /// A graph whose edges lead both ways.
    pub fn undirected(vertices: usize, edges: &[(u32, u32)]) -> Result<Self, GraphError> {
        check(vertices, edges.iter().copied())?;
        let both = || edges.iter().flat_map(|&(from, to)| ways(from, to)).map(|(from, to)| (from, to, None));
        Ok(Self::of(Adjacency::sorted(vertices, both), false))
    }

    /// A graph whose edges have weights of at least 0.
    pub fn weighted(vertices: usize, edges: &[(u32, u32, f64)], directed: bool) -> Result<Self, GraphError> {
        check(vertices, edges.iter().map(|&(from, to, _)| (from, to)))?;
        let bad = |weight: f64| !(weight.is_finite() && weight >= 0.0);
        if let Some((edge, found)) = edges.iter().enumerate().find(|(_, found)| bad(found.2)) {
            return Err(GraphError::BadWeight { edge, weight: found.2 });
        }
        let forward = if directed {
            Adjacency::sorted(vertices, || edges.iter().map(|&(from, to, weight)| (from, to, Some(weight))))
        } else {
            Adjacency::sorted(vertices, || {
                edges.iter().flat_map(|&(from, to, weight)| {
                    ways(from, to).map(move |(from, to)| (from, to, Some(weight)))
                })
            })
        };
        Ok(Self::of(forward, directed))
    }

    fn of(forward: Adjacency, directed: bool) -> Self {
        Self { forward, backward: OnceLock::new(), directed }
    }

    /// How many vertices there are.
    #[inline]
    pub fn vertices(&self) -> usize {
        self.forward.starts.len() - 1
    }

    /// How many edges lead away from vertices: one for each edge, two for each undirected one that is no loop.
    pub fn edges(&self) -> usize {
        self.forward.targets.len()
    }

    /// Whether edges lead one way only.
    #[inline]
    pub fn is_directed(&self) -> bool {
        self.directed
    }

    /// The edges that leave each vertex.
    #[inline]
    pub fn forward(&self) -> &Adjacency {
        &self.forward
    }

    /// The edges that come to each vertex. Of an undirected graph they are those that leave it.
    #[inline]
    pub fn backward(&self) -> &Adjacency {
        if self.directed { self.backward.get_or_init(|| self.forward.transposed()) } else { &self.forward }
    }

    /// Bytes that its edges take in memory, those backwards only once they were made.
    pub fn bytes(&self) -> usize {
        self.forward.bytes() + self.backward.get().map_or(0, Adjacency::bytes)
    }
}

/// Both ways of an undirected edge; a loop has one.
fn ways(from: u32, to: u32) -> impl Iterator<Item = (u32, u32)> {
    std::iter::once((from, to)).chain((from != to).then_some((to, from)))
}

fn check(vertices: usize, edges: impl Iterator<Item = (u32, u32)>) -> Result<(), GraphError> {
    if vertices > MAX_VERTICES {
        return Err(GraphError::TooManyVertices { vertices });
    }
    for (edge, (from, to)) in edges.enumerate() {
        let vertex = from.max(to);
        if vertex as usize >= vertices {
            return Err(GraphError::NoSuchVertex { edge, vertex, vertices });
        }
    }
    Ok(())
}

impl Adjacency {
    /// The neighbours of a vertex.
    #[inline]
    pub fn of(&self, vertex: u32) -> &[u32] {
        &self.targets[self.row(vertex)]
    }

    /// The weights of the edges to the neighbours of a vertex, in the same order; empty in a graph without weights.
    #[inline]
    pub fn weights(&self, vertex: u32) -> &[f64] {
        if self.weights.is_empty() { &[] } else { &self.weights[self.row(vertex)] }
    }

    /// How many neighbours a vertex has.
    #[inline]
    pub fn degree(&self, vertex: u32) -> usize {
        self.row(vertex).len()
    }

    /// How many edges vertices `0..vertex` have.
    pub(crate) fn before(&self, vertex: usize) -> usize {
        self.starts[vertex]
    }

    #[inline]
    fn row(&self, vertex: u32) -> std::ops::Range<usize> {
        self.starts[vertex as usize]..self.starts[vertex as usize + 1]
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.targets) + size_of_val(&*self.weights)
    }

    /// Rows sorted by target: edges that are not in order are sorted by transposing them twice.
    fn sorted<I>(vertices: usize, edges: impl Fn() -> I) -> Self
    where
        I: Iterator<Item = (u32, u32, Option<f64>)>,
    {
        if edges().is_sorted_by_key(|(from, to, _)| (from, to)) {
            Self::scattered(vertices, edges)
        } else {
            Self::scattered(vertices, || edges().map(|(from, to, weight)| (to, from, weight))).transposed()
        }
    }

    fn transposed(&self) -> Self {
        let vertices = self.starts.len() - 1;
        let rows = || (0..).zip(self.starts.windows(2));
        Self::scattered(vertices, || {
            rows().flat_map(|(from, row)| {
                let weight = |at| self.weights.get(at).copied();
                (row[0]..row[1]).map(move |at| (self.targets[at], from, weight(at)))
            })
        })
    }

    /// Rows that keep the order of the edges.
    fn scattered<I>(vertices: usize, edges: impl Fn() -> I) -> Self
    where
        I: Iterator<Item = (u32, u32, Option<f64>)>,
    {
        let mut starts = vec![0_usize; vertices + 1];
        let mut weighted = false;
        for (from, _, weight) in edges() {
            starts[from as usize + 1] += 1;
            weighted |= weight.is_some();
        }
        for vertex in 0..vertices {
            starts[vertex + 1] += starts[vertex];
        }
        let count = starts[vertices];
        let mut next = starts[..vertices].to_vec();
        let mut targets = vec![0_u32; count];
        let mut weights = vec![0.0; if weighted { count } else { 0 }];
        for (from, to, weight) in edges() {
            let at = &mut next[from as usize];
            targets[*at] = to;
            if let Some(weight) = weight {
                weights[*at] = weight;
            }
            *at += 1;
        }
        Self { starts, targets, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_turn_round() {
        let graph = Graph::directed(4, &[(2, 1), (0, 3), (2, 0), (0, 3), (3, 3)]).unwrap();
        assert_eq!((graph.vertices(), graph.edges()), (4, 5));
        assert_eq!([0, 1, 2, 3].map(|v| graph.forward().of(v)), [&[3, 3][..], &[], &[0, 1], &[3]]);
        assert_eq!([0, 1, 2, 3].map(|v| graph.backward().of(v)), [&[2][..], &[2], &[], &[0, 0, 3]]);
        assert_eq!(graph.backward().transposed(), *graph.forward());
    }

    #[test]
    fn an_undirected_edge_leads_both_ways_and_a_loop_once() {
        let graph = Graph::weighted(3, &[(1, 0, 2.0), (2, 2, 5.0)], false).unwrap();
        assert_eq!([0, 1, 2].map(|v| graph.forward().of(v)), [&[1][..], &[0], &[2]]);
        assert_eq!([0, 1, 2].map(|v| graph.forward().weights(v)), [&[2.0][..], &[2.0], &[5.0]]);
        assert_eq!(graph.forward(), graph.backward());
    }

    #[test]
    fn what_is_no_graph_is_refused() {
        let error = Graph::directed(2, &[(0, 1), (1, 2)]).unwrap_err();
        assert_eq!(error, GraphError::NoSuchVertex { edge: 1, vertex: 2, vertices: 2 });
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            let error = Graph::weighted(2, &[(0, 1, weight)], true).unwrap_err();
            assert!(matches!(error, GraphError::BadWeight { edge: 0, .. }));
        }
    }

    #[test]
    fn bytes_per_edge() {
        let edges: Vec<(u32, u32)> = (0..1000).map(|v| (v % 10, v / 100)).collect();
        let graph = Graph::directed(10, &edges).unwrap();
        assert_eq!(graph.bytes(), 1000 * 4 + 11 * 8);
        assert_eq!(graph.backward().before(10), 1000);
        assert_eq!(graph.bytes(), 2 * (1000 * 4 + 11 * 8));
    }
}
