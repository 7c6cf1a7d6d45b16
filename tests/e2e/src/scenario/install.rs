//! From `helm install` to the result of the quickstart, by the lines that the README prints, and back to nothing.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::{Bench, Volumes};
use crate::here::Example;
use crate::objects::{number, text};
use crate::printed::Printed;
use crate::release::Release;
use crate::report::Report;
use crate::space::{MODELS, RUNS, Space};
use crate::{kubectl, runs, servers};

/// From the first word of `helm install` to the first result, on a machine that has no other work.
const LIMIT: Duration = Duration::from_secs(180);
/// How long a result, or the end of garbage, may take on one that has.
const PATIENCE: Duration = Duration::from_secs(600);
/// For how long nothing comes to a cluster that is at rest.
const REST: Duration = Duration::from_secs(5);
/// What says what happened, follows from other objects, or belongs to the servers of the cluster.
const LEFT_OUT: [&str; 4] = ["componentstatuses", "endpoints", "endpointslices.discovery.k8s.io", "events"];
/// What the cluster puts into every namespace, if late.
const OF_EACH: [(&str, &str); 2] = [("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")];
/// Where nodes say that they live, which may be for the first time.
const NODES: &str = "kube-node-lease";
/// The installation without Helm.
const PLAIN: &str = "manifests/install";
/// The end of the names of what the chart leaves.
const DEFINITIONS: &str = ".superstep.dev";

/// The namespace and the run of the README.
const PRINTED: (&str, &str) = ("triage", "first");

/// What a user applies.
struct Applied<'a> {
    files: &'a [&'a str],
    documents: Vec<Value>,
}

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let Some(volumes) = bench.volumes.clone() else {
        report.skip("no folder that pods and this machine share");
        return Ok(());
    };
    bench.leave()?;
    let before = at_rest()?;
    let begun = Instant::now();
    // Whatever becomes of the runs, the release goes.
    let (release, played) = if bench.settings.are_usual() && bench.has_testbed() {
        let played = printed(bench, report, &volumes, begun);
        (Release::found(), played)
    } else {
        let release = Release::install(&bench.settings, &[])?;
        report.note(format!("helm install took {:.1} s", begun.elapsed().as_secs_f64()));
        (release, quickstart(bench, report, &volumes))
    };
    let took = begun.elapsed();
    let played = played.and_then(|()| {
        report
            .note(format!("from helm install to the result of the quickstart: {:.1} s", took.as_secs_f64()));
        // The short run is that of machines that do other things as well.
        report.demand(bench.short || took < LIMIT, "the result is there in three minutes");
        release.upgrade(&bench.settings, &["store.claim=runs"])?;
        hello(bench, report, &volumes)
    });
    let tested = release.test();
    report.demand(tested.is_ok(), &format!("helm test passes: {tested:?}"));
    let gone = release.uninstall();
    played?;
    gone?;
    left(report, &before)?;
    plain(report)
}

/// The quickstart as the README has it, line by line.
fn printed(bench: &Bench, report: &mut Report, volumes: &Volumes, begun: Instant) -> Result<()> {
    let model = bench.model.as_ref().context("there is no model for the quickstart")?;
    let mut lines = Printed::read(&servers::document(model, &servers::candle(), &json!({}))?)?;
    lines.until(bench, Some("helm install "))?;
    report.note(format!("helm install took {:.1} s", begun.elapsed().as_secs_f64()));
    let (namespace, name) = PRINTED;
    lines.until(bench, Some("kubectl create namespace "))?;
    let mut space = Space::of(namespace);
    servers::lay(model, &space.share(volumes, MODELS)?)?;
    let told = lines.until(bench, None)?;
    let ended = runs::succeeded(namespace, name, PATIENCE)?;
    report.demand(
        told.contains("\"desk\"") && told.contains(&format!("/{name} ")),
        &format!("the lines of the README show the result and the run: {told}"),
    );
    agree(bench, report, &servers::quickstart()?, &ended)?;
    space.delete()
}

/// The installation without Helm: what is applied again changes nothing.
fn plain(report: &mut Report) -> Result<()> {
    kubectl::run(&["apply", "--kustomize", PLAIN])?;
    let again = kubectl::run(&["apply", "--kustomize", PLAIN])?;
    let changed = again.lines().filter(|line| !line.ends_with(" unchanged")).map(str::to_owned).collect();
    report.look(
        "objects of manifests/install that change when they are applied again",
        again.lines().count(),
        changed,
    );
    kubectl::run(&["delete", "--kustomize", PLAIN, "--timeout=300s"]).map(drop)
}

fn hello(bench: &Bench, report: &mut Report, volumes: &Volumes) -> Result<()> {
    let hello = Example { graph: "hello", folder: "manifests/hello", input: json!({"name": "Ada"}) };
    let applied = Applied { files: &["manifests/hello/graph.yaml"], documents: Vec::new() };
    compare(bench, report, volumes, &hello, &applied)
}

fn quickstart(bench: &Bench, report: &mut Report, volumes: &Volumes) -> Result<()> {
    let model = bench.model.as_ref().context("there is no model for the quickstart")?;
    let applied = Applied {
        files: &[servers::QUICKSTART],
        documents: vec![servers::document(model, &servers::candle(), &json!({}))?],
    };
    compare(bench, report, volumes, &servers::quickstart()?, &applied)
}

/// Runs it on the cluster, and under the same name on this machine.
fn compare(
    bench: &Bench,
    report: &mut Report,
    volumes: &Volumes,
    example: &Example<'_>,
    applied: &Applied<'_>,
) -> Result<()> {
    let name = example.graph;
    let mut space = Space::new(name)?;
    space.share(volumes, RUNS)?;
    let models = space.share(volumes, MODELS)?;
    if let Some(model) = &bench.model {
        servers::lay(model, &models)?;
    }
    for file in applied.files {
        kubectl::run(&["apply", "--namespace", &space.name, "--filename", file])?;
    }
    if !applied.documents.is_empty() {
        kubectl::apply(&space.name, &applied.documents)?;
    }
    let run = runs::run(&format!("{name}-1"), name, &example.input);
    let run = kubectl::create(&space.name, &run)?;
    let ended = runs::succeeded(&space.name, text(&run, "/metadata/name"), PATIENCE)?;
    agree(bench, report, example, &ended)?;
    space.delete()
}

/// Looks whether a run that has ended came to what it comes to on this machine.
fn agree(bench: &Bench, report: &mut Report, example: &Example<'_>, ended: &Value) -> Result<()> {
    let revision = example.compare(bench, report, &runs::stored(ended)?.to_string(), ended)?;
    report.note(format!(
        "{}: {} supersteps, {} tokens, revision {revision}",
        example.graph,
        // The status has the number of the last one.
        number(ended, "/status/superstep").map_or(0, |last| last + 1),
        number(ended, "/status/tokens").unwrap_or_default()
    ));
    Ok(())
}

/// Looks at what is on the cluster that was not there before.
fn left(report: &mut Report, before: &BTreeSet<String>) -> Result<()> {
    let mut more = BTreeSet::new();
    let gone = kubectl::until("only the definitions are left", PATIENCE, || {
        more = inventory()?.difference(before).filter(|name| !name.ends_with(DEFINITIONS)).cloned().collect();
        Ok(more.is_empty().then_some(()))
    });
    report.look("objects that helm uninstall leaves beside the definitions", 1, more.into_iter().collect());
    if gone.is_ok() {
        report.note("helm uninstall left the definitions and nothing else".to_owned());
    }
    Ok(())
}

/// The objects of a cluster to which nothing comes by itself any more.
fn at_rest() -> Result<BTreeSet<String>> {
    let mut before = inventory()?;
    kubectl::until("the cluster is at rest", PATIENCE, || {
        sleep(REST);
        let now = inventory()?;
        let is_at_rest = now.is_subset(&before);
        before.clone_from(&now);
        Ok(is_at_rest.then_some(now))
    })
}

/// Every object of the cluster, as KIND NAMESPACE NAME.
fn inventory() -> Result<BTreeSet<String>> {
    let kinds = kubectl::run(&["api-resources", "--verbs=list", "--output=name"])?;
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !is_left_out(kind)).collect();
    let columns = "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name";
    let told = kubectl::run(&[
        "get",
        &kinds.join(","),
        "--all-namespaces",
        "--ignore-not-found",
        "--no-headers",
        "--output",
        columns,
    ])?;
    let objects = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let objects = objects.filter(|words| words.get(1) != Some(&NODES) && !is_of_each(words));
    Ok(objects.map(|words| words.join(" ")).collect())
}

fn is_of_each(words: &[&str]) -> bool {
    OF_EACH.iter().any(|(kind, name)| words.first() == Some(kind) && words.last() == Some(name))
}

fn is_left_out(kind: &str) -> bool {
    LEFT_OUT.contains(&kind) || kind.starts_with("events.") || kind.starts_with("metrics.")
}
