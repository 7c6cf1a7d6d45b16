//! Runs of a shape, measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use superstep_engine::{Notice, Payload, Record, RunStatus};
use superstep_graph::{ValidatedGraph, validate};
use superstep_runtime::{NewRun, Observer, Programs, Run, Setup, check};
use superstep_store::Store;

use super::arguments::{Arguments, Keeping, Region};
use super::shapes::Work;

/// One run, or the runs of a shape that go on at the same time.
pub(crate) struct Measured {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    /// Bytes of the logs.
    pub(crate) stored: u64,
    /// How often logs were synced.
    pub(crate) syncs: u64,
    /// By how much the memory of the process grew at most.
    pub(crate) grown: u64,
    /// The most memory that the process had until then.
    pub(crate) peak: u64,
    /// CPU of the last tenth of the supersteps, where that of the second one is 1. None where there are too few
    /// supersteps, or several runs.
    pub(crate) late_over_early: Option<f64>,
    pub(crate) counted: Counted,
}

/// What the runs did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) supersteps: u64,
    pub(crate) activations: u64,
    /// Messages with a status.
    pub(crate) messages: u64,
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    wall: Instant,
    cpu: Duration,
}

impl Moment {
    fn now() -> Self {
        Self { cpu: cpu_time(), wall: Instant::now() }
    }
}

/// Counts what it is told, as any observer at least does.
struct Counter {
    messages: AtomicU64,
    other: AtomicU64,
    /// When the first activation was in its commit.
    first: OnceLock<Moment>,
    /// The supersteps that begin and end the second and the last tenth.
    tenths: [u64; 4],
    /// CPU seconds at those.
    marks: Mutex<Vec<f64>>,
}

impl Counter {
    fn of(work: &Work) -> Self {
        // A tenth of so few supersteps says nothing.
        let tenth = if work.width == 1 && work.supersteps >= 1_000 { work.supersteps / 10 } else { 0 };
        Self {
            messages: AtomicU64::new(0),
            other: AtomicU64::new(0),
            first: OnceLock::new(),
            tenths: [1, 2, 9, 10].map(|tenths| tenth * tenths),
            marks: Mutex::default(),
        }
    }

    fn late_over_early(&self) -> Option<f64> {
        let marks = self.marks.lock().expect("no observer panics");
        let [early, early_end, late, late_end] = <[f64; 4]>::try_from(marks.as_slice()).ok()?;
        Some((late_end - late) / (early_end - early))
    }
}

impl Observer for Counter {
    fn notice(&self, notice: &Notice) {
        if let Notice::Committed { superstep, .. } = notice
            && self.tenths.contains(&(superstep + 1))
        {
            self.marks.lock().expect("no observer panics").push(cpu_time().as_secs_f64());
        }
        if matches!(notice, Notice::Completed { .. }) {
            self.first.get_or_init(Moment::now);
        }
        let is_message = matches!(notice, Notice::Settled { .. });
        let counter = if is_message { &self.messages } else { &self.other };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Measures as many runs as are asked for, after one that is not measured.
pub(crate) fn runs(arguments: &Arguments) -> Vec<Measured> {
    let work = arguments.shape.work(arguments.n, arguments.graph_size);
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread can be made");
    // A shape that takes its time is not warmed up.
    let warming = usize::from(!arguments.smoke && arguments.shape.is_quick());
    let measured = (0..arguments.runs + warming).map(|round| {
        let store = match arguments.keeping {
            Keeping::Nothing => Store::transient(),
            Keeping::Memory => Store::memory(),
            Keeping::File => Store::folder(folder.path()).expect("the folder takes runs"),
        };
        let place = Place { store, folder: folder.path() };
        let measured = runtime.block_on(measure(&work, arguments.region, &place, round));
        assert_eq!(measured.counted.supersteps, work.supersteps, "supersteps");
        assert_eq!(measured.counted.activations, work.activations, "activations");
        measured
    });
    measured.skip(warming).collect()
}

/// Where runs are kept.
struct Place<'a> {
    store: Store<Record>,
    /// That of the store, if it has one.
    folder: &'a Path,
}

async fn measure(work: &Work, region: Region, place: &Place<'_>, round: usize) -> Measured {
    let counter = Arc::new(Counter::of(work));
    let programs = Arc::new(work.programs());
    let names: Vec<String> = (0..work.width).map(|run| format!("bench-{round}-{run}")).collect();
    let create = |name: &String| {
        let graphs = match region {
            Region::Run | Region::FirstEvent => work.graphs.clone(),
            Region::Compilation => compiled(&work.graphs),
        };
        begin((work, graphs), &place.store, name, (Arc::clone(&programs), Arc::clone(&counter)))
    };
    // One run alone is made before: its first records are no cost of a superstep. Of many at the same
    // time, making them is part of the work, and so it is of a beginning.
    let ahead = usize::from(work.width == 1 && region == Region::Run);
    let early: Vec<Run> = names.iter().take(ahead).map(create).collect();
    let earlier = status_bytes("VmHWM:");
    if work.growth_matters {
        reset_peak();
    }
    let before = status_bytes("VmRSS:");
    let begun = Moment::now();
    let late = names.iter().skip(early.len()).map(create);
    let runs: Vec<Run> = early.into_iter().chain(late).collect();
    let ready = Moment::now();
    let ends = futures::future::join_all(runs.into_iter().map(Run::drive)).await;
    let ended = match region {
        Region::Run => Moment::now(),
        Region::FirstEvent => *counter.first.get().expect("an activation is in its commit"),
        Region::Compilation => ready,
    };
    let wall = (ended.wall - begun.wall).as_secs_f64();
    let cpu = (ended.cpu - begun.cpu).as_secs_f64();
    let peak = status_bytes("VmHWM:");
    let mut counted = Counted { messages: counter.messages.load(Ordering::Relaxed), ..Counted::default() };
    for end in ends {
        let end = end.expect("the store takes everything").expect("nobody is asked anything");
        assert_eq!(end.status, RunStatus::Succeeded);
        counted.supersteps += end.totals.supersteps;
        counted.activations += end.totals.activations;
    }
    let stored = names.iter().map(|name| stored_bytes(&place.folder.join("runs").join(name))).sum();
    let grown = peak.saturating_sub(before);
    let (syncs, late_over_early) = (place.store.commits(), counter.late_over_early());
    Measured { wall, cpu, stored, syncs, grown, peak: peak.max(earlier), late_over_early, counted }
}

/// The same graphs, made anew from their documents.
fn compiled(graphs: &BTreeMap<String, ValidatedGraph>) -> BTreeMap<String, ValidatedGraph> {
    let compile = |graph: &ValidatedGraph| {
        assert_eq!(check(graph.spec()), [], "nothing is wrong with its expressions");
        validate(graph.spec()).expect("it was valid before")
    };
    graphs.iter().map(|(name, graph)| (name.clone(), compile(graph))).collect()
}

fn begin(
    (work, graphs): (&Work, BTreeMap<String, ValidatedGraph>),
    store: &Store<Record>,
    name: &str,
    (programs, counter): (Arc<Programs>, Arc<Counter>),
) -> Run {
    let setup =
        Setup { programs, observers: vec![counter], owner: "bench".to_owned(), leave_when_paused: false };
    let new = NewRun {
        name: name.parse().expect("it is a name of a run"),
        root: "bench".to_owned(),
        graphs,
        input: work.input.clone(),
        attachment: Payload::null(),
        started_at: 0,
        carried: None,
    };
    Run::create(setup, store, new).expect("the graph can run")
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// Lets the peak begin anew. Where that is not possible, it is that of the whole process.
fn reset_peak() {
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

fn status_bytes(member: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(member));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn stored_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}
