use proptest::prelude::*;
use serde_json::json;
use superstep_graph::{GraphSpec, ValidatedGraph};

use super::*;

fn measured(from: &str, to: &str, millis: u64, tokens: u64, failed: bool) -> Measured {
    Measured {
        frame: FrameId::ROOT,
        vertex: to.into(),
        woken_by: vec![(from.into(), Port::default())],
        spent: Spent { micros: millis * 1_000, tokens, money: 0.0 },
        failed,
    }
}

fn learned(all: &[Measured]) -> EdgeCosts {
    let mut costs = Costs::default();
    all.iter().for_each(|measured| costs.learn("g", measured));
    costs.of("g").map(|costs| (**costs).clone()).unwrap_or_default()
}

fn edge<'a>(costs: &'a EdgeCosts, from: &str, to: &str) -> &'a EdgeEstimate {
    costs.of(&from.into(), &Port::default(), &to.into()).unwrap()
}

#[test]
fn an_average_moves_half_way_to_each_measurement() {
    let costs = learned(&[measured("a", "b", 1_000, 10, false), measured("a", "b", 2_000, 20, false)]);
    let edge = edge(&costs, "a", "b");
    assert_eq!((edge.latency_seconds, edge.tokens, edge.measured, edge.last), (1.5, 15.0, 2, 2));
}

#[test]
fn a_failure_makes_nothing_cheaper_and_is_remembered_until_it_passes() {
    let slow = measured("a", "b", 4_000, 100, false);
    let costs = learned(&[slow.clone(), measured("a", "b", 0, 0, true)]);
    let failed = edge(&costs, "a", "b");
    assert_eq!((failed.latency_seconds, failed.tokens, failed.failed), (4.0, 100.0, true));
    assert!(!edge(&costs.clone().forgiven(), "a", "b").failed);
    let costs = learned(&[slow, measured("a", "b", 8_000, 0, true), measured("a", "b", 2_000, 100, false)]);
    let passed = edge(&costs, "a", "b");
    assert_eq!((passed.latency_seconds, passed.failed), (4.0, false));
}

#[test]
fn what_a_run_has_measured_is_added_to_what_others_did_meanwhile() {
    let first = measured("a", "b", 1_000, 10, false);
    let before = learned(std::slice::from_ref(&first));
    let after =
        learned(&[first.clone(), measured("a", "b", 3_000, 10, false), measured("b", "c", 1_000, 0, false)]);
    let mut alone = before.clone();
    alone.merge(&before, &after);
    assert_eq!(alone, after);
    let mut shared =
        learned(&[first, measured("a", "b", 5_000, 10, false), measured("x", "y", 1_000, 0, false)]);
    shared.merge(&before, &after);
    let both = edge(&shared, "a", "b");
    assert_eq!((both.latency_seconds, both.measured), (2.5, 3));
    assert_eq!(edge(&shared, "x", "y").measured, 1);
    assert_eq!(edge(&shared, "b", "c").latency_seconds, 1.0);
    let mut unchanged = after.clone();
    unchanged.merge(&after, &after);
    assert_eq!(unchanged, after);
    assert!(shared.is_sound());
}

/// A router `r`, three vertices, and `end`; edges cost whole numbers, so that sums are exact.
fn graph(rule: &serde_json::Value, edges: &[(usize, usize, u8, u8, u8)]) -> ValidatedGraph {
    const NAMES: [&str; 5] = ["a", "b", "c", "end", "r"];
    let mut seen = std::collections::BTreeSet::new();
    let edges: Vec<_> = edges
        .iter()
        .filter(|(from, to, ..)| seen.insert((from, to)))
        .map(|(from, to, tokens, money, time)| {
            let cost = json!({"tokens": tokens, "money": money, "latencySeconds": time});
            json!({"from": NAMES[*from], "to": NAMES[*to], "port": NAMES[*to], "cost": cost})
        })
        .collect();
    let mut vertices: Vec<_> =
        NAMES[..4].iter().map(|name| json!({"name": name, "custom": {"name": "x"}})).collect();
    vertices.push(json!({"name": "r", "router": rule}));
    let spec: GraphSpec =
        serde_json::from_value(json!({"entry": ["r"], "vertices": vertices, "edges": edges})).unwrap();
    ValidatedGraph::after_mutation(spec)
}

/// The receiver of the first edge of the path with the least weight, of all paths one by one.
fn brute_force(topology: &Topology, weight: &dyn Fn(EdgeCost) -> f64) -> Option<String> {
    fn walk(
        topology: &Topology,
        path: &mut Vec<EdgeIx>,
        seen: &mut Vec<u32>,
        weight: &dyn Fn(EdgeCost) -> f64,
        found: &mut Vec<(f64, String)>,
    ) {
        let at = *seen.last().unwrap();
        for (ix, edge) in topology.out(superstep_graph::VertexIx(at)) {
            let Some(to) = edge.to.filter(|to| !seen.contains(&to.0)) else { continue };
            path.push(ix);
            if topology.vertex(to).name.as_str() == "end" {
                let whole = path.iter().map(|ix| weight(topology.edge(*ix).cost)).sum();
                found.push((whole, topology.edge(path[0]).to_name.to_string()));
            } else {
                seen.push(to.0);
                walk(topology, path, seen, weight, found);
                seen.pop();
            }
            path.pop();
        }
    }
    let mut found = Vec::new();
    let start = topology.find(&"r".into()).unwrap();
    walk(topology, &mut Vec::new(), &mut vec![start.0], weight, &mut found);
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    found.into_iter().next().map(|(_, to)| to)
}

fn chosen(graph: &ValidatedGraph, costs: Option<&EdgeCosts>) -> Option<String> {
    let topology = graph.topology();
    let at = topology.find(&"r".into()).unwrap();
    let spec = Arc::clone(&topology.vertex(at).spec);
    let goal = spec.router.as_ref().unwrap().goal().unwrap();
    choose(topology, costs, at, goal).ok().map(|route| route.to.to_string())
}

proptest! {
    #[test]
    fn a_router_takes_the_path_that_a_brute_force_finds(
        edges in prop::collection::vec((0..5usize, 0..5usize, 0..5u8, 0..5u8, 0..5u8), 0..20),
    ) {
        let weigh = json!({"cheapest": {"to": "end", "weigh": {"tokens": 1, "latencySeconds": 3}}});
        let weighing = graph(&weigh, &edges);
        let expected = brute_force(weighing.topology(), &|cost| cost.tokens + 3.0 * cost.latency_seconds);
        prop_assert_eq!(chosen(&weighing, None), expected);
        // Costs are below 100, so that hundreds and ten thousands keep the units apart.
        let fastest = graph(&json!({"fastest": {"to": "end"}}), &edges);
        let by_time = |cost: EdgeCost| cost.latency_seconds * 1e4 + cost.money * 1e2 + cost.tokens;
        prop_assert_eq!(chosen(&fastest, None), brute_force(fastest.topology(), &by_time));
        let cheapest = graph(&json!({"cheapest": {"to": "end"}}), &edges);
        let by_money = |cost: EdgeCost| cost.money * 1e4 + cost.tokens * 1e2 + cost.latency_seconds;
        prop_assert_eq!(chosen(&cheapest, None), brute_force(cheapest.topology(), &by_money));
        let preferring = graph(&json!({"pareto": {"to": "end", "prefer": "Latency"}}), &edges);
        prop_assert_eq!(chosen(&preferring, None).is_some(), chosen(&fastest, None).is_some());
    }
}

/// Three ways to `end`: over `a` quick and dear, over `b` in the middle, over `c` slow and free.
fn three_ways(rule: serde_json::Value) -> ValidatedGraph {
    let edges = [
        (4, 0, 0, 9, 1),
        (4, 1, 0, 3, 3),
        (4, 2, 0, 0, 9),
        (0, 3, 0, 0, 0),
        (1, 3, 0, 0, 0),
        (2, 3, 0, 0, 0),
    ];
    graph(&rule, &edges)
}

#[test]
fn of_unbeaten_paths_the_balanced_or_the_preferred_one_is_taken() {
    for (rule, expected) in [
        (json!({"pareto": {"to": "end"}}), "b"),
        (json!({"pareto": {"to": "end", "prefer": "Latency"}}), "a"),
        (json!({"pareto": {"to": "end", "prefer": "Money"}}), "c"),
        (json!({"pareto": {"to": "end", "prefer": "Tokens"}}), "b"),
        (json!({"fastest": {"to": "end"}}), "a"),
        (json!({"cheapest": {"to": "end"}}), "c"),
    ] {
        assert_eq!(chosen(&three_ways(rule.clone()), None).as_deref(), Some(expected), "{rule}");
    }
}

fn over(port: &str, millis: u64, failed: bool) -> Measured {
    let woken_by = vec![("r".into(), port.into())];
    Measured { woken_by, ..measured("r", port, millis, 0, failed) }
}

#[test]
fn what_failed_last_is_used_only_if_nothing_else_is_left() {
    let graph = three_ways(json!({"fastest": {"to": "end"}}));
    let mut all = vec![over("a", 100, true)];
    assert_eq!(chosen(&graph, Some(&learned(&all))).as_deref(), Some("b"));
    all.extend([over("b", 200, true), over("c", 300, true)]);
    assert_eq!(chosen(&graph, Some(&learned(&all))).as_deref(), Some("a"));
    all.push(over("c", 300, false));
    assert_eq!(chosen(&graph, Some(&learned(&all))).as_deref(), Some("c"));
}

#[test]
fn every_so_many_messages_the_edge_is_tried_that_was_measured_the_longest_ago() {
    let graph = three_ways(json!({"fastest": {"to": "end", "explore": 3}}));
    let mut all = Vec::new();
    let mut taken = Vec::new();
    for _ in 0..9 {
        let next = chosen(&graph, Some(&learned(&all))).unwrap();
        all.push(over(&next, if next == "a" { 1_000 } else { 5_000 }, false));
        taken.push(next);
    }
    assert_eq!(taken.concat(), "aabaacaab");
}

#[test]
fn a_port_that_leads_to_two_vertices_is_refused() {
    let spec = json!({
        "entry": ["r"],
        "vertices": [
            {"name": "r", "router": {"fastest": {"to": "end"}}},
            {"name": "end", "custom": {"name": "x"}}, {"name": "tap", "custom": {"name": "x"}},
        ],
        "edges": [{"from": "r", "to": "end"}, {"from": "r", "to": "tap"}],
    });
    let graph = ValidatedGraph::after_mutation(serde_json::from_value(spec).unwrap());
    assert_eq!(chosen(&graph, None), None);
}
