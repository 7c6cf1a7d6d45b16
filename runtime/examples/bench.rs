//! Measures the runner on no-op graphs, and prints one JSON line: the code path of `superstep run`
//! with registered closures in place of models, a JSON payload, and an observer.
//!
//! `bench --shape chain|loop|fanout --n N [--store memory|file] [--runs R] [--graph-size V]`
#![expect(clippy::print_stdout, reason = "a measurement stops where something is wrong")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use superstep_engine::{Notice, Payload, Record, RunStatus};
use superstep_graph::{GraphSpec, ValidatedGraph, validate};
use superstep_runtime::{Models, NewRun, Observer, Programs, Run, RunEnd, Setup};
use superstep_store::Store;

/// Counts what it is told, as any observer at least does.
#[derive(Default)]
struct Counter(AtomicU64);

impl Observer for Counter {
    fn notice(&self, _: &Notice) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Arguments {
    shape: String,
    n: u64,
    file: bool,
    runs: usize,
    graph_size: u64,
}

struct Measured {
    wall: f64,
    cpu: f64,
    bytes: u64,
    end: RunEnd,
}

fn main() {
    let arguments = arguments();
    let graph = graph(&arguments);
    let programs = Arc::new(programs(&arguments));
    let folder = tempfile::tempdir().expect("the benchmark is set up well");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the benchmark is set up well");
    let mut measured: Vec<Measured> = (0..=arguments.runs)
        .map(|number| {
            let store = if arguments.file {
                Store::folder(folder.path()).expect("the benchmark is set up well")
            } else {
                Store::memory()
            };
            runtime.block_on(measure(&graph, &programs, &store, number, folder.path()))
        })
        .skip(1)
        .collect();
    measured.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    let median = &measured[measured.len() / 2];
    let supersteps = median.end.totals.supersteps;
    let each = |value: f64| (value / supersteps as f64 * 1e3).round() / 1e3;
    println!(
        "{}",
        json!({
            "peer": "superstep",
            "shape": arguments.shape,
            "n": arguments.n,
            "store": if arguments.file { "file" } else { "memory" },
            "supersteps": supersteps,
            "activations": median.end.totals.activations,
            "wall_s": median.wall,
            "cpu_s": median.cpu,
            "us_per_superstep": each(median.wall * 1e6),
            "cpu_us_per_superstep": each(median.cpu * 1e6),
            "stored_bytes_per_superstep": if arguments.file { json!(each(median.bytes as f64)) } else { json!(0) },
            "rss_mb": rss_mb(),
        })
    );
}

async fn measure(
    graph: &ValidatedGraph,
    programs: &Arc<Programs>,
    store: &Store<Record>,
    number: usize,
    folder: &Path,
) -> Measured {
    let setup = Setup {
        programs: Arc::clone(programs),
        observers: vec![Arc::new(Counter::default())],
        owner: "bench".to_owned(),
        leave_when_paused: false,
    };
    let name = format!("bench-{number}");
    let new = NewRun {
        name: name.parse().expect("the benchmark is set up well"),
        root: "bench".to_owned(),
        graphs: BTreeMap::from([("bench".to_owned(), graph.clone())]),
        input: Payload::from(json!({"x": 1})),
        attachment: Payload::null(),
        started_at: 0,
    };
    let run = Run::create(setup, store, new).expect("the benchmark is set up well");
    // What the run begins with is written before the first superstep: it is no cost of a superstep.
    let (cpu, wall) = (cpu_time(), Instant::now());
    let end = run.drive().await.expect("the benchmark is set up well").expect("the benchmark is set up well");
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
    assert_eq!(end.status, RunStatus::Succeeded);
    Measured { wall, cpu, bytes: stored(&folder.join("runs").join(&name)), end }
}

fn graph(arguments: &Arguments) -> ValidatedGraph {
    let n = arguments.n;
    let custom = |name: String, program: &str| json!({"name": name, "custom": {"name": program}});
    let (vertices, edges): (Vec<Value>, Vec<Value>) = match arguments.shape.as_str() {
        "chain" => (
            (0..n).map(|at| custom(format!("n{at}"), "noop")).collect(),
            (1..n).map(|at| json!({"from": format!("n{}", at - 1), "to": format!("n{at}")})).collect(),
        ),
        "loop" => {
            let two = [custom("n0".into(), "step"), custom("n1".into(), "step")].into_iter();
            let others = (2..arguments.graph_size).map(|at| custom(format!("n{at}"), "noop"));
            let mut edges = vec![json!({"from": "n0", "to": "n1"}), json!({"from": "n1", "to": "n0"})];
            edges.extend(
                (2..arguments.graph_size)
                    .map(|at| json!({"from": format!("n{at}"), "to": format!("n{}", at - 1)})),
            );
            (two.chain(others).collect(), edges)
        }
        "fanout" => {
            let mut vertices = vec![custom("n0".into(), "list"), custom("join".into(), "noop")];
            let mut work = custom("work".into(), "noop");
            work["forEach"] = json!({});
            vertices.push(work);
            (vertices, vec![json!({"from": "n0", "to": "work"}), json!({"from": "work", "to": "join"})])
        }
        other => panic_with(&format!("--shape is chain, loop or fanout, not {other}")),
    };
    let spec: GraphSpec = serde_json::from_value(json!({
        "entry": ["n0"],
        "vertices": vertices,
        "edges": edges,
        "limits": {"supersteps": 100_000_000, "activations": 100_000_000, "fanOut": 10_000_000},
    }))
    .expect("the benchmark is set up well");
    validate(&spec).expect("the benchmark is set up well")
}

fn programs(arguments: &Arguments) -> Programs {
    let n = arguments.n;
    let mut programs = Programs::new(Models::default());
    programs.register_fn("noop", |_| Ok(Payload::from(json!({"x": 1}))));
    programs.register_fn("list", move |_| Ok(Payload::from(Value::from((0..n).collect::<Vec<u64>>()))));
    let blob = "x".repeat(1_016);
    // The last step sends on a port to which no edge listens.
    let step = move |view: &superstep_engine::View| {
        let count = view.superstep + 1;
        Ok(Payload::from(json!({"i": count, "blob": format!("{blob}{count:08}")})))
    };
    programs.register("step", Arc::new(Step { n, step }));
    programs
}

struct Step<F> {
    n: u64,
    step: F,
}

impl<F> superstep_runtime::Program for Step<F>
where
    F: Fn(&superstep_engine::View) -> Result<Payload, superstep_engine::Failure> + Send + Sync,
{
    fn start(&self, activation: superstep_runtime::Activation) -> superstep_runtime::Execution {
        let payload = (self.step)(&activation.view).expect("the benchmark is set up well");
        let mut result = superstep_engine::ProgramResult::output(payload);
        if activation.view.superstep + 1 >= self.n {
            result.emissions[0].port = "end".into();
        }
        superstep_runtime::Execution::Ready(superstep_engine::Outcome::Done(result))
    }
}

fn arguments() -> Arguments {
    let mut arguments =
        Arguments { shape: "chain".to_owned(), n: 1_000, file: false, runs: 1, graph_size: 2 };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().unwrap_or_else(|| panic_with(&format!("{flag} needs a value")));
        let number =
            || value.parse::<u64>().unwrap_or_else(|_| panic_with(&format!("{flag} takes a number")));
        match flag.as_str() {
            "--shape" => arguments.shape.clone_from(&value),
            "--n" => arguments.n = number(),
            "--runs" => {
                arguments.runs = usize::try_from(number()).expect("the benchmark is set up well").max(1)
            }
            "--graph-size" => arguments.graph_size = number().max(2),
            "--store" => match value.as_str() {
                "memory" => arguments.file = false,
                "file" => arguments.file = true,
                other => panic_with(&format!("--store is memory or file, not {other}")),
            },
            other => panic_with(&format!("unknown flag {other}")),
        }
    }
    arguments
}

fn panic_with(why: &str) -> ! {
    eprintln!("bench: {why}");
    std::process::exit(2)
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("the benchmark is set up well"),
        u32::try_from(time.tv_nsec).expect("the benchmark is set up well"),
    )
}

fn rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1_024.0
}

fn stored(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}
