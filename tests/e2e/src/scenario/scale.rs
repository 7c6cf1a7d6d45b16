//! A thousand graphs, without pods: how fast they are looked after, and what it costs.

mod watch;
mod work;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::audit::deletions;
use crate::bench::Bench;
use crate::objects::{is_settled, number, text};
use crate::release::NAMESPACE;
use crate::report::Report;
use crate::space::Space;
use crate::{children, kubectl, runs};
use watch::Watch;
use work::Work;

const GRAPHS: usize = 1_000;
const FEW: usize = 50;
const PATIENCE: Duration = Duration::from_secs(600);
/// The graph by which a watch is known to have begun.
const FIRST: &str = "first";
/// How long the cluster may take to delete what was made of all graphs.
const DELETION: Duration = Duration::from_secs(1_200);
/// What the operator aims to stay below.
const MEMORY: u64 = 60_000_000;
/// What graphs are called, before their number, and how many digits that has.
const NAME: &str = "graph-";
const DIGITS: usize = 4;

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    bench.installed()?;
    let count = if bench.short { FEW } else { GRAPHS };
    let mut space = Space::new("scale")?;
    kubectl::apply(&space.name, &[runs::greeting(FIRST, &json!({"replicas": 0}))])?;
    let created = measure(bench, report, ("created", count), &space.name, "v1")?;
    let changed = measure(bench, report, ("changed", count), &space.name, "v2")?;
    let peak = memory()?;
    delete(bench, report, count, &space.name)?;
    if let Some(bytes) = peak {
        report.note(format!("the operator has {:.1} MB of memory at its peak", bytes as f64 / 1e6));
        report.demand(bytes < MEMORY, "the operator stays below 60 MB");
    }
    let slow = [created, changed].iter().filter(|times| **times < count).count();
    report.look("rounds in which not every graph came to rest", 2, vec!["not all".to_owned(); slow]);
    space.delete()
}

/// Graphs without workers, all at once.
fn apply(namespace: &str, count: usize, version: &str) -> Result<()> {
    let graphs = (0..count).map(|number| {
        let mut graph = runs::greeting(&format!("{NAME}{number:0DIGITS$}"), &json!({"replicas": 0}));
        graph["spec"]["description"] = json!(version);
        graph
    });
    let words = ["apply", "--server-side", "--namespace", namespace];
    kubectl::feed(&words, &graphs.collect::<Vec<_>>()).map(drop)
}

/// How long each graph took from its change to its status, watched from outside; how many came to rest.
fn measure(
    bench: &Bench,
    report: &mut Report,
    (what, count): (&str, usize),
    namespace: &str,
    version: &str,
) -> Result<usize> {
    let watch = Watch::begin(namespace, FIRST)?;
    let work = Work::begin(bench)?;
    apply(namespace, count, version)?;
    let mut seen: BTreeMap<String, (i64, Instant)> = BTreeMap::new();
    let mut settled: BTreeMap<String, Duration> = BTreeMap::new();
    while settled.len() < count && work.took() < PATIENCE {
        let Some((at, event)) = watch.next() else { break };
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
    work.tell(report, (what, settled.len(), count))?;
    watch.end()?;
    report.note(format!("status of what was {what} after {}", spread(settled.values().copied().collect())));
    Ok(settled.len())
}

/// Deletes all graphs, and waits until what was made of them is gone. How long that took for each is told by when its last child
/// was deleted, which the cluster does by itself.
fn delete(bench: &Bench, report: &mut Report, count: usize, namespace: &str) -> Result<()> {
    let work = Work::begin(bench)?;
    let words = ["delete", "agentgraphs", "--all", "--wait=false", "--namespace", namespace];
    kubectl::run(&words)?;
    // One of each kind is enough to see that some are left.
    let some = |path: &str| -> Result<bool> {
        let told = kubectl::run(&["get", "--raw", &format!("{path}?limit=1")])?;
        let found: Value = serde_json::from_str(&told)?;
        Ok(found.pointer("/items/0").is_some())
    };
    let places = [
        format!("/apis/superstep.dev/v1alpha1/namespaces/{namespace}/agentgraphs"),
        format!("/apis/apps/v1/namespaces/{namespace}/statefulsets"),
        format!("/api/v1/namespaces/{namespace}/services"),
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"),
    ];
    let mut left = Vec::new();
    let gone = kubectl::until("what was made of the graphs is gone", DELETION, || {
        for place in &places {
            if some(place)? {
                return Ok(None);
            }
        }
        left = children::left(namespace, "agentgraphs")?.into_iter().collect();
        Ok(left.is_empty().then_some(()))
    });
    report.look(
        "graphs after whose deletion something is left",
        count,
        match gone {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("{error:#}: {left:?}")],
        },
    );
    let Some(lines) = work.tell(report, ("deleted", count, count))? else { return Ok(()) };
    let times = deletions(&lines, namespace, |name| {
        name.get(..NAME.len() + DIGITS).filter(|name| name.starts_with(NAME))
    });
    let childless = times.values().filter(|(deleted, _)| *deleted < 2).count();
    report.demand(
        times.len() == count && childless == 0,
        &format!("{} of {count} graphs are deleted with children, {childless} of them alone", times.len()),
    );
    let times = times.into_values().map(|(_, took)| took).collect();
    report.note(format!("a graph is gone with all its children after {}", spread(times)));
    Ok(())
}

/// The middle and the end of some times.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    };
    format!("p50 {:.2} s, p99 {:.2} s", at(50).as_secs_f64(), at(99).as_secs_f64())
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
