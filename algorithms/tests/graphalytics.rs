//! The example graphs of LDBC Graphalytics against their reference outputs, with crashes.
//!
//! The data is not part of this repository: `SUPERSTEP_GRAPHALYTICS` names the folder with `example-directed.v`,
//! `example-directed.e`, `example-directed-BFS` and so on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use superstep_algorithms::{
    Broadcast, Components, Graph, Hops, LabelPropagation, PageRank, ShortestPaths, Triangles,
};

use crate::crash::crashed;

const FOLDER: &str = "SUPERSTEP_GRAPHALYTICS";

/// One of the example graphs, with its ids as they are written.
struct Example {
    folder: PathBuf,
    name: &'static str,
    /// Ids in ascending order: a vertex is a place here.
    ids: Vec<u64>,
    graph: Graph,
    properties: BTreeMap<String, String>,
}

impl Example {
    fn read(folder: &Path, name: &'static str, directed: bool) -> Self {
        let text = |end: &str| fs::read_to_string(folder.join(format!("{name}{end}"))).unwrap();
        let mut ids: Vec<u64> = text(".v").lines().map(|line| line.parse().unwrap()).collect();
        ids.sort_unstable();
        let vertex = |id: &str| u32::try_from(ids.binary_search(&id.parse().unwrap()).unwrap()).unwrap();
        let edges: Vec<(u32, u32, f64)> = text(".e")
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                (vertex(words[0]), vertex(words[1]), words[2].parse().unwrap())
            })
            .collect();
        let properties = text(".properties");
        let prefix = format!("graph.{name}.");
        let pairs = properties.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once(" = "));
        let properties = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let graph = Graph::weighted(ids.len(), &edges, directed).unwrap();
        Self { folder: folder.to_owned(), name, ids, graph, properties }
    }

    fn source(&self, algorithm: &str) -> u32 {
        let id: u64 = self.parameter(&format!("{algorithm}.source-vertex"));
        u32::try_from(self.ids.binary_search(&id).unwrap()).unwrap()
    }

    fn parameter<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, key: &str) -> T {
        self.properties[key].parse().unwrap()
    }

    /// The reference output, in the order of vertices.
    fn reference(&self, algorithm: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join(format!("{}-{algorithm}", self.name))).unwrap();
        let mut lines: Vec<(u64, String)> = text
            .lines()
            .map(|line| {
                let (id, value) = line.split_once(' ').unwrap();
                (id.parse().unwrap(), value.to_owned())
            })
            .collect();
        lines.sort();
        assert!(lines.iter().map(|line| line.0).eq(self.ids.iter().copied()), "the vertices of {algorithm}");
        lines.into_iter().map(|line| line.1).collect()
    }

    /// Real numbers agree to 0.01 %, as Graphalytics has it.
    fn near(&self, algorithm: &str, found: &[f64]) {
        let expected: Vec<f64> = self
            .reference(algorithm)
            .iter()
            .map(|value| value.replace("infinity", "inf").parse().unwrap())
            .collect();
        let close = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-4 * b.abs();
        let all = found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| close(*a, *b));
        assert!(all, "{} {algorithm}: {found:?}, and not {expected:?}", self.name);
    }

    fn equal(&self, algorithm: &str, found: impl Iterator<Item = u64>) {
        let expected: Vec<u64> =
            self.reference(algorithm).iter().map(|value| value.parse().unwrap()).collect();
        assert_eq!(found.collect::<Vec<u64>>(), expected, "{} {algorithm}", self.name);
    }

    /// Labels agree up to their names.
    fn same_parts(&self, algorithm: &str, found: &[u32]) {
        let expected = self.reference(algorithm);
        let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
        for (a, b) in found.iter().zip(&expected) {
            assert_eq!(there.entry(a).or_insert(b), &b, "{} {algorithm}", self.name);
            assert_eq!(back.entry(b).or_insert(a), &a, "{} {algorithm}", self.name);
        }
    }
}

#[test]
fn the_six_algorithms_give_the_reference_outputs_on_both_graphs() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        println!("skipped: {FOLDER} names no folder with the example graphs of LDBC Graphalytics");
        return;
    };
    let folder = PathBuf::from(folder);
    let (mut agreed, mut between, mut within) = (0, 0, 0);
    for (name, directed) in [("example-directed", true), ("example-undirected", false)] {
        let example = Example::read(&folder, name, directed);
        let graph = &example.graph;
        let mut count = |crashes: crate::crash::Crashes| {
            agreed += 1;
            between += crashes.between;
            within += crashes.within;
        };

        let (hops, crashes) = crashed(&Hops { source: example.source("bfs") }, graph);
        let far = |hops: &u32| if *hops == u32::MAX { i64::MAX.unsigned_abs() } else { u64::from(*hops) };
        example.equal("BFS", hops.iter().map(far));
        count(crashes);

        let iterations = example.parameter("cdlp.max-iterations");
        let (labels, crashes) = crashed(&LabelPropagation { iterations }, graph);
        example.equal("CDLP", labels.iter().map(|label| example.ids[*label as usize]));
        count(crashes);

        let triangles = Triangles::new(graph);
        let (corners, crashes) = crashed(&triangles, graph);
        let clustering: Vec<f64> =
            (0..).zip(corners).map(|(vertex, corner)| triangles.clustering(vertex, corner)).collect();
        example.near("LCC", &clustering);
        count(crashes);

        let iterations = example.parameter("pr.num-iterations");
        let damping = example.parameter("pr.damping-factor");
        let (ranks, crashes) = crashed(&PageRank::<Broadcast>::new(iterations, damping), graph);
        example.near("PR", &ranks);
        count(crashes);

        let (distances, crashes) = crashed(&ShortestPaths { source: example.source("sssp") }, graph);
        example.near("SSSP", &distances);
        count(crashes);

        let (components, crashes) = crashed(&Components, graph);
        example.same_parts("WCC", &components);
        count(crashes);
    }
    println!("Graphalytics: {agreed} of 12, with {between} crashes between supersteps and {within} within");
    assert_eq!(agreed, 12);
}
