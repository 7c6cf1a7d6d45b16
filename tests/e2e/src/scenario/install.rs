//! From `helm install` to the result of the quickstart, and back to nothing.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::bench::{Bench, Volumes};
use crate::here::Example;
use crate::objects::{number, text};
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
    let release = Release::install(&bench.settings, &["store.claim=runs"])?;
    report.note(format!("helm install took {:.1} s", begun.elapsed().as_secs_f64()));
    // Whatever becomes of the runs, the release goes.
    let played = examples(bench, report, &volumes, begun);
    let tested = release.test();
    report.demand(tested.is_ok(), &format!("helm test passes: {tested:?}"));
    release.uninstall()?;
    played?;
    left(report, &before)?;
    plain(report)
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

fn examples(bench: &Bench, report: &mut Report, volumes: &Volumes, begun: Instant) -> Result<()> {
    let hello = Example { graph: "hello", folder: "manifests/hello", input: json!({"name": "Ada"}) };
    let applied = Applied { files: &["manifests/hello/graph.yaml"], documents: Vec::new() };
    compare(bench, report, volumes, &hello, &applied)?;
    let Some(model) = &bench.model else {
        report.demand(false, "there is a model for the quickstart");
        return Ok(());
    };
    let quickstart = servers::quickstart()?;
    let applied = Applied {
        files: &[servers::QUICKSTART],
        documents: vec![servers::document(model, &servers::candle(), &json!({}))?],
    };
    compare(bench, report, volumes, &quickstart, &applied)?;
    let took = begun.elapsed();
    report.note(format!("from helm install to the result of the quickstart: {:.1} s", took.as_secs_f64()));
    // The short run is that of machines that do other things as well.
    if !bench.short {
        report.demand(took < LIMIT, "the result is there in three minutes");
    }
    Ok(())
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
    let revision = example.compare(bench, report, &runs::stored(&run)?.to_string(), &ended)?;
    report.note(format!(
        "{name}: {} supersteps, {} tokens, revision {revision}",
        // The status has the number of the last one.
        number(&ended, "/status/superstep").map_or(0, |last| last + 1),
        number(&ended, "/status/tokens").unwrap_or_default()
    ));
    space.delete()
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
