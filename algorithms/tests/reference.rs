//! The same algorithms in their plainest sequential form, over lists of edges.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

/// A graph as it is written down: parallel edges and loops as they come.
#[derive(Debug, Clone)]
pub(crate) struct Plain {
    pub(crate) vertices: usize,
    pub(crate) edges: Vec<(u32, u32, f64)>,
    pub(crate) directed: bool,
}

impl Plain {
    /// Every way along an edge.
    fn arcs(&self) -> Vec<(usize, usize, f64)> {
        let mut arcs = Vec::new();
        for &(from, to, weight) in &self.edges {
            arcs.push((from as usize, to as usize, weight));
            if !self.directed && from != to {
                arcs.push((to as usize, from as usize, weight));
            }
        }
        arcs
    }

    /// The power iteration in `f64`.
    pub(crate) fn pagerank(&self, iterations: usize, damping: f64, seeds: Option<&[f64]>) -> Vec<f64> {
        let n = self.vertices as f64;
        let seed: Vec<f64> = seeds.map_or_else(|| vec![1.0 / n; self.vertices], <[f64]>::to_vec);
        let arcs = self.arcs();
        let mut out = vec![0.0; self.vertices];
        arcs.iter().for_each(|arc| out[arc.0] += 1.0);
        let mut ranks = seed.clone();
        for _ in 0..iterations {
            let lost: f64 = (0..self.vertices).filter(|v| out[*v] == 0.0).map(|v| ranks[v]).sum();
            let mut next: Vec<f64> =
                seed.iter().map(|seed| (1.0 - damping) * seed + damping * lost * seed).collect();
            for (from, to, _) in &arcs {
                next[*to] += damping * ranks[*from] / out[*from];
            }
            ranks = next;
        }
        ranks
    }

    /// Union-find; the smallest vertex of each component.
    pub(crate) fn components(&self) -> Vec<u32> {
        let mut parent: Vec<usize> = (0..self.vertices).collect();
        fn root(parent: &[usize], mut vertex: usize) -> usize {
            while parent[vertex] != vertex {
                vertex = parent[vertex];
            }
            vertex
        }
        for (from, to, _) in self.arcs() {
            let (a, b) = (root(&parent, from), root(&parent, to));
            parent[a.max(b)] = a.min(b);
        }
        (0..self.vertices).map(|vertex| u32::try_from(root(&parent, vertex)).unwrap()).collect()
    }

    /// A queue.
    pub(crate) fn hops(&self, source: u32) -> Vec<u32> {
        let arcs = self.arcs();
        let mut hops = vec![u32::MAX; self.vertices];
        hops[source as usize] = 0;
        let mut queue = VecDeque::from([source as usize]);
        while let Some(vertex) = queue.pop_front() {
            for (_, to, _) in arcs.iter().filter(|arc| arc.0 == vertex) {
                if hops[*to] == u32::MAX {
                    hops[*to] = hops[vertex] + 1;
                    queue.push_back(*to);
                }
            }
        }
        hops
    }

    /// Dijkstra's algorithm. Weights are at least 0, so that their bits sort as they do.
    pub(crate) fn distances(&self, source: u32) -> Vec<f64> {
        let arcs = self.arcs();
        let mut distances = vec![f64::INFINITY; self.vertices];
        distances[source as usize] = 0.0;
        let mut heap = BinaryHeap::from([(std::cmp::Reverse(0.0_f64.to_bits()), source as usize)]);
        while let Some((std::cmp::Reverse(bits), vertex)) = heap.pop() {
            if f64::from_bits(bits) > distances[vertex] {
                continue;
            }
            for (_, to, weight) in arcs.iter().filter(|arc| arc.0 == vertex) {
                let found = distances[vertex] + weight;
                if found < distances[*to] {
                    distances[*to] = found;
                    heap.push((std::cmp::Reverse(found.to_bits()), *to));
                }
            }
        }
        distances
    }

    pub(crate) fn labels(&self, iterations: usize) -> Vec<u32> {
        let mut labels: Vec<u32> = (0..u32::try_from(self.vertices).unwrap()).collect();
        for _ in 0..iterations {
            let mut counts: Vec<BTreeMap<u32, usize>> = vec![BTreeMap::new(); self.vertices];
            for (from, to, _) in self.arcs() {
                *counts[to].entry(labels[from]).or_default() += 1;
                if self.directed {
                    *counts[from].entry(labels[to]).or_default() += 1;
                }
            }
            for (label, counts) in labels.iter_mut().zip(counts) {
                let most = counts.values().max().copied();
                if let Some((found, _)) = counts.into_iter().find(|(_, count)| Some(*count) == most) {
                    *label = found;
                }
            }
        }
        labels
    }

    /// For each vertex the triangles that it is in, and its local clustering coefficient.
    pub(crate) fn triangles(&self) -> Vec<(u64, f64)> {
        let arcs: BTreeSet<(usize, usize)> =
            self.arcs().into_iter().filter(|arc| arc.0 != arc.1).map(|(from, to, _)| (from, to)).collect();
        let linked = |a, b| arcs.contains(&(a, b)) || arcs.contains(&(b, a));
        let corner = |vertex: usize| {
            let around: Vec<usize> = (0..self.vertices).filter(|other| linked(vertex, *other)).collect();
            let pairs = || around.iter().flat_map(|a| around.iter().map(move |b| (*a, *b)));
            let triangles = pairs().filter(|(a, b)| a < b && linked(*a, *b)).count();
            let links = pairs().filter(|pair| arcs.contains(pair)).count() as f64;
            let degree = around.len() as f64;
            (triangles as u64, if around.len() < 2 { 0.0 } else { links / (degree * (degree - 1.0)) })
        };
        (0..self.vertices).map(corner).collect()
    }
}
