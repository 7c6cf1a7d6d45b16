//! A thousand graphs, without pods: how fast they are looked after, and what it costs.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::audit::Audit;
use crate::bench::Bench;
use crate::objects::{is_settled, number, text};
use crate::release::NAMESPACE;
use crate::report::Report;
use crate::space::Space;
use crate::{kubectl, process, runs};

const GRAPHS: usize = 1_000;
const FEW: usize = 50;
const PATIENCE: Duration = Duration::from_secs(600);
/// The graph by which a watch is known to have begun.
const FIRST: &str = "first";
/// What the operator aims to stay below.
const MEMORY: u64 = 60_000_000;

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    bench.installed()?;
    let count = if bench.short { FEW } else { GRAPHS };
    let mut space = Space::new("scale")?;
    kubectl::apply(&space.name, &[runs::greeting(FIRST, &json!({"replicas": 0}))])?;
    let created = measure(bench, report, "created", count, || apply(&space.name, count, "v1"), &space.name)?;
    let changed = measure(bench, report, "changed", count, || apply(&space.name, count, "v2"), &space.name)?;
    let peak = memory()?;
    let begun = Instant::now();
    kubectl::run(&["delete", "agentgraphs", "--all", "--namespace", &space.name, "--timeout=600s"])?;
    kubectl::until("what was made of them is gone", PATIENCE, || {
        let rest = kubectl::list(&["statefulsets,services", "--namespace", &space.name])?;
        Ok(rest.is_empty().then_some(()))
    })?;
    report.note(format!(
        "{count} graphs and what was made of them were deleted in {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    if let Some(bytes) = peak {
        report.note(format!("the operator has {:.1} MB of memory at its peak", bytes as f64 / 1e6));
        report.demand(bytes < MEMORY, "the operator stays below 60 MB");
    }
    let slow = [created, changed].iter().filter(|times| times.len() < count).count();
    report.look("rounds in which not every graph came to rest", 2, vec!["not all".to_owned(); slow]);
    space.delete()
}

/// Graphs without workers, all at once.
fn apply(namespace: &str, count: usize, version: &str) -> Result<()> {
    let graphs = (0..count).map(|number| {
        let mut graph = runs::greeting(&format!("graph-{number:04}"), &json!({"replicas": 0}));
        graph["spec"]["description"] = json!(version);
        graph
    });
    let words = ["apply", "--server-side", "--namespace", namespace];
    kubectl::feed(&words, &graphs.collect::<Vec<_>>()).map(drop)
}

/// How long each graph took from its change to its status, watched from outside.
fn measure(
    bench: &Bench,
    report: &mut Report,
    what: &str,
    count: usize,
    act: impl FnOnce() -> Result<()>,
    namespace: &str,
) -> Result<Vec<Duration>> {
    let audit = bench.audit.as_deref().map(Audit::begin).transpose()?;
    let mut watch = Command::new("kubectl")
        .args(["get", "agentgraphs", "--namespace", namespace, "--watch-only", "--output=json"])
        .args(["--output-watch-events", "--request-timeout=0"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start kubectl")?;
    let output = watch.stdout.take().context("kubectl has an output")?;
    let (tell, told) = channel();
    let reader = thread::spawn(move || {
        let stream = serde_json::Deserializer::from_reader(BufReader::new(output)).into_iter::<Value>();
        // A watch that was ended breaks off within an event.
        for event in stream.map_while(Result::ok) {
            if tell.send((Instant::now(), event)).is_err() {
                return;
            }
        }
    });
    await_watch(namespace, &told)?;
    let begun = Instant::now();
    act()?;
    let mut seen: BTreeMap<String, (i64, Instant)> = BTreeMap::new();
    let mut settled: BTreeMap<String, Duration> = BTreeMap::new();
    while settled.len() < count && begun.elapsed() < PATIENCE {
        let Ok((at, event)) = told.recv_timeout(Duration::from_secs(120)) else { break };
        let object = event.pointer("/object").unwrap_or(&Value::Null);
        let (name, generation) = (text(object, "/metadata/name"), number(object, "/metadata/generation"));
        let Some(generation) = generation.filter(|_| name != FIRST) else { continue };
        let first = seen.entry(name.to_owned()).or_insert((generation, at));
        if first.0 != generation {
            *first = (generation, at);
        }
        if is_settled(object) {
            settled.entry(name.to_owned()).or_insert(at.duration_since(first.1));
        }
    }
    let took = begun.elapsed();
    process::capture(Command::new("kill").arg(watch.id().to_string()))?;
    watch.wait()?;
    drop(told);
    if reader.join().is_err() {
        crate::say("the thread that reads a watch has panicked");
    }
    let mut times: Vec<Duration> = settled.into_values().collect();
    times.sort_unstable();
    let at = |percent: usize| {
        times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    };
    report.note(format!(
        "{} of {count} graphs {what} in {:.1} s, {:.0} a second; status after p50 {:.2} s, p99 {:.2} s",
        times.len(),
        took.as_secs_f64(),
        times.len() as f64 / took.as_secs_f64(),
        at(50).as_secs_f64(),
        at(99).as_secs_f64()
    ));
    if let Some(audit) = audit {
        let lines = audit.lines()?;
        let calls = lines.iter().filter(|line| line.is_of_operator()).count();
        report.note(format!("{:.1} requests of the operator for each", calls as f64 / count as f64));
    }
    Ok(times)
}

/// Waits until a change is seen: what is changed before the watch has begun is not.
fn await_watch(namespace: &str, told: &Receiver<(Instant, Value)>) -> Result<()> {
    let mut number = 0;
    kubectl::until("the watch has begun", PATIENCE, || {
        number += 1;
        let change = json!({"metadata": {"annotations": {"e2e/seen": number.to_string()}}}).to_string();
        let words =
            ["patch", "agentgraph", FIRST, "--namespace", namespace, "--type=merge", "--patch", &change];
        kubectl::run(&words)?;
        Ok(told.recv_timeout(Duration::from_secs(2)).ok().map(drop))
    })
}

/// The most memory that the operator's process had, where processes of pods can be seen.
fn memory() -> Result<Option<u64>> {
    let variable = format!("POD_NAMESPACE={NAMESPACE}");
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(environment) = std::fs::read(path.join("environ")) else { continue };
        let is_operator = environment.split(|byte| *byte == 0).any(|held| held == variable.as_bytes());
        if !is_operator {
            continue;
        }
        let status = std::fs::File::open(path.join("status"))?;
        for line in BufReader::new(status).lines() {
            let line = line?;
            if let Some(rest) = line.strip_prefix("VmHWM:") {
                let kilobytes: u64 = rest.trim().trim_end_matches(" kB").trim().parse()?;
                return Ok(Some(kilobytes * 1024));
            }
        }
    }
    Ok(None)
}
