//! Generated graphs: what the programs find is what the plain references find.

use proptest::prelude::*;
use superstep_algorithms::{
    Broadcast, Combined, Components, Each, Execution, Graph, Hops, LabelPropagation, Mass, PageRank,
    ShortestPaths, Triangles, rmat,
};

use crate::reference::Plain;
use crate::{layout, run};

/// Graphs of every density, loops and parallel edges among them; weights are multiples of 1/8, so that equal paths
/// are equal.
fn plain() -> impl Strategy<Value = Plain> {
    (1_usize..40, any::<bool>()).prop_flat_map(|(vertices, directed)| {
        let vertex = 0..u32::try_from(vertices).unwrap();
        let edge = (vertex.clone(), vertex, (0_u32..64).prop_map(|eighths| f64::from(eighths) / 8.0));
        proptest::collection::vec(edge, 0..120).prop_map(move |edges| Plain { vertices, edges, directed })
    })
}

fn compressed(plain: &Plain) -> Graph {
    Graph::weighted(plain.vertices, &plain.edges, plain.directed).unwrap()
}

fn near(left: &[f64], right: &[f64]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| a == b || (a - b).abs() < 1e-12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_program_finds_what_its_reference_finds(plain in plain(), source in 0_u32..40, rounds in 0_usize..12) {
        let graph = compressed(&plain);
        let source = source % u32::try_from(plain.vertices).unwrap();
        let ranks = run(&PageRank::<Broadcast>::new(rounds as u64, 0.85), &graph).values;
        prop_assert!(near(&ranks, &plain.pagerank(rounds, 0.85, None)), "{ranks:?}");
        prop_assert!((ranks.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        prop_assert_eq!(run(&Components, &graph).values, plain.components());
        prop_assert_eq!(run(&Hops { source }, &graph).values, plain.hops(source));
        prop_assert_eq!(run(&ShortestPaths { source }, &graph).values, plain.distances(source));
        let labels = run(&LabelPropagation { iterations: rounds as u64 }, &graph).values;
        prop_assert_eq!(labels, plain.labels(rounds));
        let triangles = Triangles::new(&graph);
        let corners = run(&triangles, &graph).values;
        let found: Vec<(u64, f64)> =
            (0..).zip(&corners).map(|(v, corner)| (corner.triangles, triangles.clustering(v, *corner))).collect();
        prop_assert_eq!(found, plain.triangles());
    }

    #[test]
    fn walks_may_begin_at_seeds(plain in plain(), weights in proptest::collection::vec(0_u32..4, 40)) {
        let graph = compressed(&plain);
        let seeds: Vec<(u32, f64)> = (0..).zip(&weights).take(plain.vertices).map(|(v, w)| (v, f64::from(*w))).collect();
        let whole: f64 = seeds.iter().map(|seed| seed.1).sum();
        let shares: Vec<f64> = seeds.iter().map(|seed| seed.1 / whole).collect();
        let ranks = run(&PageRank::<Broadcast>::new(9, 0.7).from_seeds(&graph, &seeds), &graph).values;
        prop_assert!(near(&ranks, &plain.pagerank(9, 0.7, (whole > 0.0).then_some(&shares))), "{ranks:?}");
    }

    #[test]
    fn the_delivery_does_not_show_in_the_result(plain in plain()) {
        let graph = compressed(&plain);
        let fetched = run(&PageRank::<Broadcast>::new(10, 0.85), &graph);
        prop_assert_eq!(&fetched, &run(&PageRank::<Combined>::new(10, 0.85), &graph));
        prop_assert_eq!(&fetched, &run(&PageRank::<Each>::new(10, 0.85), &graph));
    }
}

#[test]
fn a_large_graph_has_the_same_result_on_any_number_of_partitions_and_threads() {
    let edges = rmat(12, 16, 3);
    let graph = Graph::directed(1 << 12, &edges).unwrap();
    let fetched = run(&PageRank::<Broadcast>::new(10, 0.85), &graph);
    assert_eq!(fetched, run(&PageRank::<Combined>::new(10, 0.85), &graph));
    let plain = Plain {
        vertices: 1 << 12,
        edges: edges.iter().map(|&(from, to)| (from, to, 1.0)).collect(),
        directed: true,
    };
    assert!(near(&fetched.values, &plain.pagerank(10, 0.85, None)));
    assert_eq!(run(&Components, &graph).values, plain.components());
    assert_eq!(run(&LabelPropagation { iterations: 5 }, &graph).values, plain.labels(5));
}

#[test]
fn a_tolerance_ends_it_when_little_moves() {
    let graph = Graph::directed(1 << 10, &rmat(10, 8, 5)).unwrap();
    let early = run(&PageRank::<Broadcast>::new(1000, 0.85).until(1e-9), &graph);
    let late = run(&PageRank::<Broadcast>::new(200, 0.85), &graph);
    assert!((10..150).contains(&early.supersteps), "{}", early.supersteps);
    assert!(early.values.iter().zip(&late.values).all(|(a, b)| (a - b).abs() < 1e-8));
}

#[test]
fn a_long_path_takes_as_many_supersteps_and_pushes() {
    let vertices = 3_000;
    let edges: Vec<(u32, u32)> = (1..vertices).map(|v| (v - 1, v)).collect();
    let graph = Graph::directed(vertices as usize, &edges).unwrap();
    let outcome = Execution::new(&Hops { source: 0 }, &graph, layout(5, 2)).run();
    assert_eq!(outcome.values, (0..vertices).collect::<Vec<u32>>());
    assert_eq!(outcome.supersteps, u64::from(vertices));
}

#[test]
fn a_graph_without_edges_or_vertices_ends() {
    for vertices in [0, 1, 7] {
        let graph = Graph::directed(vertices, &[]).unwrap();
        let ranks = run(&PageRank::<Each>::new(3, 0.85), &graph).values;
        assert!(ranks.iter().all(|rank| (rank * vertices as f64 - 1.0).abs() < 1e-12), "{ranks:?}");
        assert_eq!(run(&Components, &graph).supersteps, u64::from(vertices > 0));
    }
    assert_eq!(Mass::new(1.0).part(), 1.0);
}
