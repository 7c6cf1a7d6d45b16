use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{GraphSpec, ValidatedGraph};

/// A graph of `count` vertices whose edges cost whole numbers, so that sums are exact.
fn graph(count: usize, edges: &[(usize, usize, u8, u8, u8)]) -> ValidatedGraph {
    let vertices: Vec<_> =
        (0..count).map(|at| json!({"name": format!("v{at}"), "custom": {"name": "x"}})).collect();
    let mut seen = std::collections::BTreeSet::new();
    let edges: Vec<_> = edges
        .iter()
        .map(|(from, to, tokens, money, time)| (from % count, to % count, tokens, money, time))
        .filter(|(from, to, ..)| seen.insert((*from, *to)))
        .map(|(from, to, tokens, money, time)| {
            let cost = json!({"tokens": tokens, "money": money, "latencySeconds": time});
            json!({"from": format!("v{from}"), "to": format!("v{to}"), "cost": cost})
        })
        .collect();
    let spec: GraphSpec =
        serde_json::from_value(json!({"entry": ["v0"], "vertices": vertices, "edges": edges})).unwrap();
    ValidatedGraph::after_mutation(spec)
}

/// Every simple path from `from` to `to`: its first edge and its cost.
fn all_paths(topology: &Topology, from: VertexIx, to: VertexIx) -> Vec<(EdgeIx, EdgeCost)> {
    fn walk(
        topology: &Topology,
        path: &mut Vec<(EdgeIx, VertexIx)>,
        seen: &mut Vec<VertexIx>,
        to: VertexIx,
        found: &mut Vec<(EdgeIx, EdgeCost)>,
    ) {
        let at = seen.last().copied().unwrap();
        for (ix, edge) in topology.out(at) {
            let Some(next) = edge.to else { continue };
            if seen.contains(&next) {
                continue;
            }
            path.push((ix, next));
            if next == to {
                let cost =
                    path.iter().rev().fold(EdgeCost::default(), |sum, (ix, _)| topology.edge(*ix).cost + sum);
                found.push((path[0].0, cost));
            } else {
                seen.push(next);
                walk(topology, path, seen, to, found);
                seen.pop();
            }
            path.pop();
        }
    }
    let mut found = Vec::new();
    walk(topology, &mut Vec::new(), &mut vec![from], to, &mut found);
    found
}

fn edges() -> impl Strategy<Value = Vec<(usize, usize, u8, u8, u8)>> {
    prop::collection::vec((0..7usize, 0..7usize, 0..4u8, 0..4u8, 0..4u8), 0..24)
}

proptest! {
    #[test]
    fn the_lightest_path_over_each_edge_is_that_of_a_brute_force(count in 2..8usize, edges in edges()) {
        let graph = graph(count, &edges);
        let topology = graph.topology();
        let (from, to) = (VertexIx(0), VertexIx(1));
        let weight = |ix: EdgeIx| {
            let cost = topology.edge(ix).cost;
            Some(Weight([cost.money, cost.tokens, cost.latency_seconds]))
        };
        let mut found = lightest(topology, from, to, &weight);
        let mut expected: std::collections::BTreeMap<EdgeIx, Weight> = std::collections::BTreeMap::new();
        for (first, cost) in all_paths(topology, from, to) {
            let weight = order_of(&cost);
            let least = expected.entry(first).or_insert(weight);
            *least = (*least).min(weight);
        }
        found.sort_by_key(|(ix, _)| *ix);
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_unbeaten_paths_are_those_of_a_brute_force(count in 2..7usize, edges in edges()) {
        let graph = graph(count, &edges);
        let topology = graph.topology();
        let (from, to) = (VertexIx(0), VertexIx(1));
        let found = unbeaten(topology, from, to, &|ix| Some(topology.edge(ix).cost));
        let all = all_paths(topology, from, to);
        let mut expected: Vec<(EdgeIx, EdgeCost)> = all
            .iter()
            .filter(|(_, cost)| !all.iter().any(|(_, other)| beats(other, cost)))
            .copied()
            .collect();
        expected.sort_by_key(|(ix, cost)| (*ix, order_of(cost)));
        expected.dedup();
        let mut sorted = found;
        sorted.sort_by_key(|(ix, cost)| (*ix, order_of(cost)));
        prop_assert_eq!(sorted, expected);
    }
}

#[test]
fn passive_edges_and_those_for_failures_are_no_way() {
    let spec: GraphSpec = serde_json::from_value(json!({
        "entry": ["a"],
        "vertices": [
            {"name": "a", "custom": {"name": "x"}}, {"name": "b", "custom": {"name": "x"}},
            {"name": "c", "custom": {"name": "x"}}, {"name": "d", "custom": {"name": "x"}},
        ],
        "edges": [
            {"from": "a", "to": "b"}, {"from": "b", "to": "d", "delivery": "Passive"},
            {"from": "a", "to": "c"}, {"from": "c", "to": "d", "port": "error"},
        ],
    }))
    .unwrap();
    let graph = ValidatedGraph::after_mutation(spec);
    let ends = (VertexIx(0), VertexIx(3));
    assert!(lightest(graph.topology(), ends.0, ends.1, &|_| Some(Weight::default())).is_empty());
    assert!(unbeaten(graph.topology(), ends.0, ends.1, &|_| Some(EdgeCost::default())).is_empty());
}
