//! Triangles, and how closely the neighbours of a vertex are linked.

use serde::{Deserialize, Serialize};

use crate::combine::Combine;
use crate::context::Context;
use crate::delivery::Combined;
use crate::fixed::Fixed;
use crate::graph::Graph;
use crate::program::VertexProgram;

/// Its two counts.
impl Fixed for Corner {
    const BYTES: usize = <(u64, u64)>::BYTES;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        (self.triangles, self.links).put(out);
    }

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        let (triangles, links) = Fixed::read(bytes);
        Self { triangles, links }
    }
}

/// Triangles of the graph, the direction of edges, self-loops and parallel edges apart.
///
/// Each triangle is found once, by the corner with the lowest degree, which tells the other two (Chiba and
/// Nishizeki, 1985): O(edges^1.5) in all.
#[derive(Debug)]
pub struct Triangles {
    /// How many neighbours a vertex has.
    degrees: Vec<u32>,
    /// Neighbours of higher degree, or of the same and with a greater id, in the order of ids, and whether edges
    /// lead both ways.
    above: Vec<Vec<(u32, bool)>>,
}

/// What a vertex knows of its triangles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corner {
    /// The triangles that it is a corner of.
    pub triangles: u64,
    /// Edges between its neighbours, an undirected one twice.
    pub links: u64,
}

impl Combine for Corner {
    const IDENTITY: Self = Self { triangles: 0, links: 0 };

    #[inline]
    fn combine(&self, other: &Self) -> Self {
        Self { triangles: self.triangles + other.triangles, links: self.links + other.links }
    }
}

impl Triangles {
    /// Sorts out the neighbours of each vertex.
    pub fn new(graph: &Graph) -> Self {
        let vertices = 0..u32::try_from(graph.vertices()).expect("a graph has no more vertices than ids");
        let around: Vec<Vec<(u32, bool)>> =
            vertices.clone().map(|vertex| neighbours(graph, vertex)).collect();
        let degrees: Vec<u32> = around
            .iter()
            .map(|row| u32::try_from(row.len()).expect("a vertex has fewer neighbours than there are ids"))
            .collect();
        let rank = |vertex: u32| (degrees[vertex as usize], vertex);
        let above = vertices.zip(around).map(|(vertex, mut row)| {
            row.retain(|(other, _)| rank(*other) > rank(vertex));
            row.shrink_to_fit();
            row
        });
        Self { above: above.collect(), degrees }
    }

    /// The local clustering coefficient: of all edges that there could be between the neighbours of a vertex, the
    /// share that there is. 0 with fewer than two neighbours.
    pub fn clustering(&self, vertex: u32, corner: Corner) -> f64 {
        let degree = f64::from(self.degrees[vertex as usize]);
        if degree < 2.0 { 0.0 } else { corner.links as f64 / (degree * (degree - 1.0)) }
    }
}

/// The neighbours of a vertex, each once, in the order of their ids, and whether edges lead both ways.
fn neighbours(graph: &Graph, vertex: u32) -> Vec<(u32, bool)> {
    let (to, from) = (graph.forward().of(vertex), graph.backward().of(vertex));
    let mut row: Vec<(u32, bool)> = Vec::with_capacity(to.len());
    let (mut i, mut j) = (0, 0);
    while i < to.len() || j < from.len() {
        let other = match (to.get(i), from.get(j)) {
            (Some(to), Some(from)) => *to.min(from),
            (Some(other), None) | (None, Some(other)) => *other,
            (None, None) => break,
        };
        let (at_i, at_j) = (i, j);
        i += to[i..].iter().take_while(|found| **found == other).count();
        j += from[j..].iter().take_while(|found| **found == other).count();
        if other != vertex {
            row.push((other, i > at_i && j > at_j));
        }
    }
    row
}

/// What edges between two vertices count.
fn links(both: bool) -> u64 {
    1 + u64::from(both)
}

impl VertexProgram for Triangles {
    type Value = Corner;
    type Message = Corner;
    type Aggregate = ();
    type Delivery = Combined;

    fn initial(&self, _: &Graph, _: u32) -> Corner {
        Corner::default()
    }

    fn compute(&self, context: &mut Context<'_, Self>, corner: &mut Corner, messages: &[Corner]) {
        context.vote_to_halt();
        if let Some(found) = messages.first() {
            *corner = corner.combine(found);
        }
        if context.superstep() > 0 {
            return;
        }
        let found = |both| Corner { triangles: 1, links: links(both) };
        let own = &self.above[context.vertex() as usize];
        for (second, second_both) in own {
            for ((third, third_both), (_, far_both)) in common(own, &self.above[*second as usize]) {
                *corner = corner.combine(&found(far_both));
                context.send(*second, found(third_both));
                context.send(third, found(*second_both));
            }
        }
    }
}

/// What two sorted rows have in common.
fn common<'a>(
    left: &'a [(u32, bool)],
    right: &'a [(u32, bool)],
) -> impl Iterator<Item = ((u32, bool), (u32, bool))> + 'a {
    let (mut i, mut j) = (0, 0);
    std::iter::from_fn(move || {
        while i < left.len() && j < right.len() {
            let (a, b) = (left[i], right[j]);
            i += usize::from(a.0 <= b.0);
            j += usize::from(b.0 <= a.0);
            if a.0 == b.0 {
                return Some((a, b));
            }
        }
        None
    })
}
