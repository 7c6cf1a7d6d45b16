//! Another chart and other images in the middle of a run, and back: the run goes on, and nothing is repeated.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use superstep_engine::Record;
use superstep_store::{ObjectPlace, Store};
use superstep_witness::{CALLS, Oracle, asking};

use crate::bench::Bench;
use crate::objects::{list, number, text};
use crate::release::{NAMESPACE, RELEASE, Release, Settings};
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, process, runs};

const GRAPH: &str = "asking";
const PATIENCE: Duration = Duration::from_secs(420);
/// How long an answer takes on average while nothing is replaced.
const QUICK: Duration = Duration::from_millis(200);
/// The same while workers are, one after another: so long that the run goes on all the while, and that none of them is
/// killed before its answers have come, for which it waits.
const SLOW: Duration = Duration::from_millis(12_000);

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let (Some(volumes), Some(model), Some(both)) =
        (bench.volumes.clone(), bench.model_server.clone(), bench.upgrade.clone())
    else {
        report.skip("no images of another version");
        return Ok(());
    };
    bench.leave()?;
    let release = Release::install(&both[0], &[])?;
    let played = both_ways(bench, report, (&release, &both), &volumes, &model);
    release.uninstall()?;
    played
}

fn both_ways(
    bench: &Bench,
    report: &mut Report,
    (release, [former, next]): (&Release, &[Settings; 2]),
    volumes: &crate::bench::Volumes,
    model: &str,
) -> Result<()> {
    let mut space = Space::new("upgrade")?;
    // Each graph has a folder of its own in a claim.
    let folder = space.share(volumes, RUNS)?.join(GRAPH);
    let [server, mut graph] = asking(model);
    graph["spec"]["workers"] = json!({"replicas": 3, "store": {"claim": {"name": RUNS}}});
    kubectl::apply(&space.name, &[server, graph])?;
    runs::ready(&space.name, "agentgraph", GRAPH, PATIENCE)?;
    bench.ledger.set_latency(QUICK);
    let first = begin(&space.name, "before")?;
    let before = runs::succeeded(&space.name, "before", PATIENCE)?;
    let authority = authority()?;
    bench.ledger.set_latency(SLOW);
    let run = begin(&space.name, "during")?;
    answered(bench, CALLS / 8)?;
    let old = images(&space.name)?;
    release.upgrade(next, &[])?;
    replaced(&space.name, &next.tag)?;
    let went_on = bench.ledger.counts("during").0;
    forked(bench, report, &space.name, &before)?;
    answered(bench, CALLS / 2)?;
    process::capture(Command::new("helm").args([
        "rollback",
        RELEASE,
        "--namespace",
        NAMESPACE,
        "--wait",
        "--timeout=3m",
    ]))?;
    replaced(&space.name, &former.tag)?;
    let back = bench.ledger.counts("during").0;
    bench.ledger.set_latency(QUICK);
    let ended = runs::succeeded(&space.name, "during", PATIENCE)?;
    report.note(format!(
        "{} workers were replaced after {went_on} of {CALLS} calls, and back after {back}; the run ended in superstep {}",
        old.len(),
        number(&ended, "/status/superstep").unwrap_or_default()
    ));
    report.demand(went_on < CALLS && back < CALLS, "workers are replaced, and back, while the run goes on");
    let kept = self::authority()?;
    report.demand(
        kept == authority && !kept.is_null(),
        "an upgrade keeps the authority that certifies workers",
    );
    judge(bench, report, &folder, (&first, &run))?;
    space.delete()
}

/// What the former release has recorded of a run, the next one reads and goes on with: a fork that makes the last superstep
/// anew, which has one call, comes to the same.
fn forked(bench: &Bench, report: &mut Report, namespace: &str, before: &Value) -> Result<()> {
    let superstep = number(before, "/status/superstep").context("a run that has ended has supersteps")?;
    let origin = json!({"name": "before", "superstep": superstep});
    let spec = json!({"graphRef": {"name": GRAPH}, "forkFrom": origin});
    kubectl::create(namespace, &runs::object("GraphRun", "fork", &spec))?;
    let fork = runs::succeeded(namespace, "fork", PATIENCE)?;
    let digest = |run: &Value| text(run, "/status/output/digest").to_owned();
    let differs = digest(&fork) != digest(before) || digest(before).is_empty();
    report.look(
        "forks by the next release that come to another result",
        1,
        differs.then(|| format!("{} in place of {}", digest(&fork), digest(before))).into_iter().collect(),
    );
    // It has the input of its run, by which the ledger knows it.
    let again = bench.ledger.counts("before").0.saturating_sub(CALLS);
    report.look(
        "calls that such a fork makes again",
        CALLS - 1,
        (again != 1).then(|| format!("{again} calls in place of the last one")).into_iter().collect(),
    );
    Ok(())
}

fn begin(namespace: &str, name: &str) -> Result<Value> {
    kubectl::create(namespace, &runs::run(name, GRAPH, &json!({"run": name})))
}

fn answered(bench: &Bench, count: usize) -> Result<()> {
    kubectl::until("calls are answered", PATIENCE, || {
        Ok((bench.ledger.counts("during").0 >= count).then_some(()))
    })
}

/// The data of the Secret in which the authority is.
fn authority() -> Result<Value> {
    let secret =
        kubectl::get(NAMESPACE, "secret", "superstep-ca")?.context("there is a Secret of the authority")?;
    Ok(secret.pointer("/data").cloned().unwrap_or(Value::Null))
}

/// The images of the workers that run.
fn images(namespace: &str) -> Result<Vec<String>> {
    let pods =
        kubectl::list(&["pods", "--namespace", namespace, "--selector=app.kubernetes.io/component=worker"])?;
    if pods.is_empty() {
        bail!("there are no workers");
    }
    let containers = pods.iter().flat_map(|pod| list(pod, "/spec/containers"));
    Ok(containers.map(|container| text(container, "/image").to_owned()).collect())
}

/// Waits until all workers have images with this tag, and are ready.
fn replaced(namespace: &str, tag: &str) -> Result<()> {
    let ending = format!(":{tag}");
    kubectl::until("all workers are replaced", PATIENCE, || {
        let all = images(namespace)?.iter().all(|image| image.ends_with(&ending));
        Ok(all.then_some(()))
    })?;
    runs::ready(namespace, "agentgraph", GRAPH, PATIENCE).map(drop)
}

/// Judges the run by its log, which three sets of workers have written; the first run's log is read beside it.
fn judge(bench: &Bench, report: &mut Report, folder: &Path, (first, run): (&Value, &Value)) -> Result<()> {
    let url = format!("file://{}", folder.display()).parse::<ObjectPlace>()?;
    let store: Store<Record> = Store::object(&url)?;
    let oracle = Oracle { runtime: &bench.runtime, store: &store, objects: folder };
    let reference = oracle.reference(&runs::stored(first)?)?;
    let stored = runs::stored(run)?;
    let told = oracle.end(&stored)?;
    report.add(oracle.judge(&stored, &told, &bench.ledger.of("during"), &reference, false)?);
    Ok(())
}
