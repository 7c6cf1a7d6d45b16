//! Paths over active edges: which first edges lead to a vertex, and what the rest of the way costs at least.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::name::Port;
use crate::spec::{Delivery, EdgeCost};
use crate::topology::{Edge, EdgeIx, Topology, VertexIx};

/// How many ways [`unbeaten`] keeps for each vertex.
const MOST_WAYS: usize = 64;

/// What a path weighs: compared part by part, the first one first. Parts are not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weight(pub [f64; 3]);

impl Eq for Weight {}

impl PartialOrd for Weight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Weight {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = self.0.iter().zip(&other.0);
        parts.map(|(one, other)| one.total_cmp(other)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl std::ops::Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        Self([a + x, b + y, c + z])
    }
}

/// The edges of `from` over which a path leads to `to` and does not come back to `from`, each with the
/// weight of the lightest such path, in order of (receiver, port). `weight` is that of an edge; one without
/// a weight is not used, nor is one that is passive or takes failures.
pub fn lightest(
    topology: &Topology,
    from: VertexIx,
    to: VertexIx,
    weight: &dyn Fn(EdgeIx) -> Option<Weight>,
) -> Vec<(EdgeIx, Weight)> {
    let rest = distances(topology, from, to, weight);
    let mut found: Vec<(EdgeIx, Weight)> = ways_out(topology, from)
        .filter_map(|(ix, edge)| {
            let beyond = rest[edge.to?.0 as usize]?;
            Some((ix, weight(ix)? + beyond))
        })
        .collect();
    found.sort_by(|a, b| by_receiver(topology, a.0, b.0));
    found
}

/// Dijkstra's algorithm from `to` backwards: the least weight of a path from each vertex to `to` that does
/// not touch `from`.
fn distances(
    topology: &Topology,
    from: VertexIx,
    to: VertexIx,
    weight: &dyn Fn(EdgeIx) -> Option<Weight>,
) -> Vec<Option<Weight>> {
    let mut least: Vec<Option<Weight>> = vec![None; topology.vertices().len()];
    let mut open = BinaryHeap::from([Reverse((Weight::default(), to))]);
    while let Some(Reverse((so_far, at))) = open.pop() {
        if at == from || least[at.0 as usize].is_some() {
            continue;
        }
        least[at.0 as usize] = Some(so_far);
        for (ix, edge) in ways_in(topology, at) {
            let known = least[edge.from.0 as usize].is_some();
            if let (false, Some(own)) = (known, weight(ix)) {
                open.push(Reverse((own + so_far, edge.from)));
            }
        }
    }
    least
}

/// The first edges of the paths from `from` to `to` that no other path beats: that is at most as costly in
/// every unit, and less so in one. Each stands beside the whole cost of such a path, in order of (receiver,
/// port, cost). Of paths from one vertex that beat each other in nothing only 64 are followed: those of the
/// least money, tokens and time, in this order.
pub fn unbeaten(
    topology: &Topology,
    from: VertexIx,
    to: VertexIx,
    cost: &dyn Fn(EdgeIx) -> Option<EdgeCost>,
) -> Vec<(EdgeIx, EdgeCost)> {
    let rest = ways_to(topology, from, to, cost);
    let mut all: Vec<(EdgeIx, EdgeCost)> = Vec::new();
    for (ix, edge) in ways_out(topology, from) {
        let (Some(next), Some(own)) = (edge.to, cost(ix)) else { continue };
        all.extend(rest[next.0 as usize].iter().map(|beyond| (ix, own + *beyond)));
    }
    let costs: Vec<EdgeCost> = all.iter().map(|(_, cost)| *cost).collect();
    all.retain(|(_, cost)| !costs.iter().any(|other| beats(other, cost)));
    all.sort_by(|a, b| by_receiver(topology, a.0, b.0).then_with(|| order_of(&a.1).cmp(&order_of(&b.1))));
    all.dedup();
    all
}

/// For each vertex the costs of the paths to `to` that beat each other in nothing.
fn ways_to(
    topology: &Topology,
    from: VertexIx,
    to: VertexIx,
    cost: &dyn Fn(EdgeIx) -> Option<EdgeCost>,
) -> Vec<Vec<EdgeCost>> {
    let mut ways: Vec<Vec<EdgeCost>> = vec![Vec::new(); topology.vertices().len()];
    let mut changed = vec![to];
    ways[to.0 as usize].push(EdgeCost::default());
    while let Some(at) = changed.pop() {
        let known = ways[at.0 as usize].clone();
        for (ix, edge) in ways_in(topology, at) {
            if edge.from == from || edge.from == to {
                continue;
            }
            let Some(own) = cost(ix) else { continue };
            let before = &mut ways[edge.from.0 as usize];
            let mut added = false;
            for way in &known {
                added |= keep(before, own + *way);
            }
            if added && !changed.contains(&edge.from) {
                changed.push(edge.from);
            }
        }
    }
    ways
}

/// Adds a way unless one that is known is as good; whether it was added.
fn keep(known: &mut Vec<EdgeCost>, way: EdgeCost) -> bool {
    if known.iter().any(|other| *other == way || beats(other, &way)) {
        return false;
    }
    known.retain(|other| !beats(&way, other));
    known.push(way);
    known.sort_by_key(order_of);
    known.truncate(MOST_WAYS);
    known.contains(&way)
}

fn beats(one: &EdgeCost, other: &EdgeCost) -> bool {
    let pairs = || one.members().into_iter().zip(other.members());
    pairs().all(|((_, one), (_, other))| one <= other) && pairs().any(|((_, one), (_, other))| one < other)
}

/// By money, then tokens, then time.
fn order_of(cost: &EdgeCost) -> Weight {
    Weight([cost.money, cost.tokens, cost.latency_seconds])
}

fn by_receiver(topology: &Topology, one: EdgeIx, other: EdgeIx) -> Ordering {
    let key = |ix| {
        let edge: &Edge = topology.edge(ix);
        (&edge.to_name, &edge.port)
    };
    key(one).cmp(&key(other))
}

fn ways_out(topology: &Topology, from: VertexIx) -> impl Iterator<Item = (EdgeIx, &Edge)> {
    topology.out(from).filter(|(_, edge)| is_way(edge))
}

fn ways_in(topology: &Topology, to: VertexIx) -> impl Iterator<Item = (EdgeIx, &Edge)> {
    let incoming = topology.vertex(to).incoming.iter();
    incoming.map(|ix| (*ix, topology.edge(*ix))).filter(|(_, edge)| is_way(edge))
}

/// Whether results go over it and wake the receiver.
pub(crate) fn is_way(edge: &Edge) -> bool {
    edge.delivery == Delivery::Active && edge.port.as_str() != Port::ERROR
}

#[cfg(test)]
mod tests;
