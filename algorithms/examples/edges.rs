//! How many edges per second an algorithm walks on a generated graph, on one thread unless told otherwise.
//!
//! It prints one line of JSON. The graph lies in the folder for temporary files, made when it is missing, and what
//! was found is written beside it, so that what others find can be compared with it:
//! `rmat-SCALE/{src,dst}.u32`, the ends of the edges in their order, and `rmat-SCALE/SHAPE.f64`, the values by
//! vertex.

#![expect(clippy::print_stdout, reason = "what it measured is its output")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use superstep_algorithms::{
    Broadcast, Combined, Components, Each, Execution, Graph, Hops, LabelPropagation, Layout, PageRank,
    ShortestPaths, Triangles, VertexProgram, rmat,
};

const EDGE_FACTOR: u32 = 16;
const SEED: u64 = 1;
const ITERATIONS: u64 = 20;

#[derive(Parser)]
struct Arguments {
    /// What is computed.
    #[arg(long, value_enum, default_value = "pagerank")]
    shape: Shape,
    /// How the messages of `pagerank` travel.
    #[arg(long, value_enum, default_value = "broadcast")]
    delivery: Delivery,
    /// 2^scale vertices, with 16 edges each.
    #[arg(long, default_value_t = 18)]
    scale: u32,
    /// Partitions, each with a thread.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
    /// The median run is reported, by CPU time.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Every shape once on a small graph, on one partition and on three, whose results must be equal.
    #[arg(long)]
    smoke: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shape {
    Pagerank,
    Components,
    Hops,
    Paths,
    Labels,
    Triangles,
}

#[derive(Clone, Copy, ValueEnum)]
enum Delivery {
    Broadcast,
    Combined,
    Each,
}

/// One run.
struct Measured {
    wall: f64,
    cpu: f64,
    supersteps: u64,
    values: Vec<f64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.smoke { smoke() } else { measure(&arguments) }
}

fn smoke() -> Result<()> {
    let graph = Graph::directed(1 << 10, &rmat(10, EDGE_FACTOR, SEED))?;
    let three = NonZeroUsize::MIN.saturating_add(2);
    for shape in Shape::value_variants() {
        for delivery in Delivery::value_variants() {
            let values = |delivery, layout| run(*shape, delivery, &graph, layout).values;
            let name = shape.to_possible_value().map(|value| value.get_name().to_owned());
            let whole = values(Delivery::Broadcast, Layout::default());
            ensure!(values(*delivery, Layout::default()) == whole, "{name:?} depends on the delivery");
            ensure!(values(*delivery, Layout::of(three)) == whole, "{name:?} depends on the partitions");
        }
    }
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("rmat-{}", arguments.scale));
    let started = status_bytes("VmRSS:");
    let graph = read(&folder, arguments.scale)?;
    // Of an algorithm that looks at edges backwards, they are part of the graph.
    graph.backward();
    let layout = Layout::of(arguments.threads);
    reset_peak();
    let mut runs: Vec<Measured> =
        (0..arguments.runs).map(|_| run(arguments.shape, arguments.delivery, &graph, layout)).collect();
    let grown = status_bytes("VmHWM:").saturating_sub(started);
    runs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    let median = &runs[runs.len() / 2];
    let shape = arguments.shape.to_possible_value().context("every shape has a name")?;
    let bytes: Vec<u8> = median.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(folder.join(format!("{}.f64", shape.get_name())), bytes)?;
    let walked =
        graph.edges() as u64 * if matches!(arguments.shape, Shape::Pagerank) { ITERATIONS } else { 1 };
    let line = serde_json::json!({
        "peer": "superstep",
        "shape": shape.get_name(),
        "scale": arguments.scale,
        "edges": graph.edges(),
        "walked_edges": walked,
        "supersteps": median.supersteps,
        "wall_s": median.wall,
        "cpu_s": median.cpu,
        "graph_bytes": graph.bytes(),
        "grown_bytes": grown,
        "rss_mb": status_bytes("VmHWM:") as f64 / 1048576.0,
    });
    println!("{line}");
    Ok(())
}

/// The graph in a folder, which is made there if there is none.
fn read(folder: &Path, scale: u32) -> Result<Graph> {
    let files = ["src.u32", "dst.u32"].map(|name| folder.join(name));
    if !files[1].exists() {
        fs::create_dir_all(folder)?;
        let edges = rmat(scale, EDGE_FACTOR, SEED);
        write(&files[0], edges.iter().map(|edge| edge.0))?;
        write(&files[1], edges.iter().map(|edge| edge.1))?;
    }
    let [from, to] = files.map(|file| ends(&file));
    let edges: Vec<(u32, u32)> = from?.into_iter().zip(to?).collect();
    Ok(Graph::directed(1 << scale, &edges)?)
}

fn write(file: &PathBuf, ends: impl Iterator<Item = u32>) -> Result<()> {
    let bytes: Vec<u8> = ends.flat_map(u32::to_le_bytes).collect();
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

fn ends(file: &PathBuf) -> Result<Vec<u32>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (ends, rest) = bytes.as_chunks::<4>();
    ensure!(rest.is_empty(), "{} is cut off", file.display());
    Ok(ends.iter().map(|end| u32::from_le_bytes(*end)).collect())
}

fn run(shape: Shape, delivery: Delivery, graph: &Graph, layout: Layout) -> Measured {
    let source = (0..).zip(0..graph.vertices()).map(|(vertex, _)| vertex);
    let source = source.max_by_key(|vertex| graph.forward().degree(*vertex)).unwrap_or_default();
    match (shape, delivery) {
        (Shape::Pagerank, Delivery::Broadcast) => {
            walk(&PageRank::<Broadcast>::new(ITERATIONS, 0.85), graph, layout, |_, rank| rank)
        }
        (Shape::Pagerank, Delivery::Combined) => {
            walk(&PageRank::<Combined>::new(ITERATIONS, 0.85), graph, layout, |_, rank| rank)
        }
        (Shape::Pagerank, Delivery::Each) => {
            walk(&PageRank::<Each>::new(ITERATIONS, 0.85), graph, layout, |_, rank| rank)
        }
        (Shape::Components, _) => walk(&Components, graph, layout, |_, label| f64::from(label)),
        (Shape::Hops, _) => walk(&Hops { source }, graph, layout, |_, hops| f64::from(hops)),
        (Shape::Paths, _) => walk(&ShortestPaths { source }, graph, layout, |_, distance| distance),
        (Shape::Labels, _) => {
            walk(&LabelPropagation { iterations: 10 }, graph, layout, |_, label| f64::from(label))
        }
        (Shape::Triangles, _) => {
            let triangles = Triangles::new(graph);
            walk(&triangles, graph, layout, |vertex, corner| triangles.clustering(vertex, corner))
        }
    }
}

fn walk<P: VertexProgram>(
    program: &P,
    graph: &Graph,
    layout: Layout,
    figure: impl Fn(u32, P::Value) -> f64,
) -> Measured {
    let (cpu, wall) = (cpu_time(), Instant::now());
    let outcome = Execution::new(program, graph, layout).run();
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
    let values = (0..).zip(outcome.values).map(|(vertex, value)| figure(vertex, value)).collect();
    Measured { wall, cpu, supersteps: outcome.supersteps, values }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// Lets the peak begin anew. Where that is not possible, it is that of the whole process.
fn reset_peak() {
    drop(fs::write("/proc/self/clear_refs", "5"));
}

fn status_bytes(member: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(member));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
