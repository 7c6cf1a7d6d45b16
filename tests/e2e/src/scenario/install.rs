//! From `helm install` to the result of the quickstart, and back to nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::{Bench, Volumes};
use crate::objects::{number, text};
use crate::release::Release;
use crate::report::Report;
use crate::space::{MODELS, RUNS, Space};
use crate::{kubectl, process, runs};

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

/// A graph that is run on the cluster and on this machine.
struct Example<'a> {
    name: &'a str,
    /// What a user applies, and for whom the model's file is on a claim.
    files: &'a [&'a str],
    documents: Vec<Value>,
    /// What `superstep run` reads.
    here: &'a str,
    input: Value,
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
    let hello = Example {
        name: "hello",
        files: &["manifests/hello/graph.yaml"],
        documents: Vec::new(),
        here: "manifests/hello",
        input: json!({"name": "Ada"}),
    };
    compare(bench, report, volumes, &hello)?;
    let Some(model) = &bench.model else {
        report.demand(false, "there is a model for the quickstart");
        return Ok(());
    };
    let file = model.file_name().context("the model is a file")?.to_string_lossy().into_owned();
    let mail = std::fs::read_to_string("manifests/quickstart/input/mail.txt")?;
    let quickstart = Example {
        name: "triage",
        files: &["manifests/kubernetes/graph.yaml"],
        documents: vec![runs::object(
            "ModelServer",
            "small",
            &json!({
                "model": {"name": "smollm2-135m-instruct", "sources": [{"claim": {"name": MODELS, "path": file}}]},
                "engine": {"candle": {"contextLength": 2048, "maxConcurrentRequests": 8}},
                "devices": {"cpu": {}},
            }),
        )],
        here: "manifests/quickstart",
        input: json!({"text": mail}),
    };
    compare(bench, report, volumes, &quickstart)?;
    let took = begun.elapsed();
    report.note(format!("from helm install to the result of the quickstart: {:.1} s", took.as_secs_f64()));
    // The short run is that of machines that do other things as well.
    if !bench.short {
        report.demand(took < LIMIT, "the result is there in three minutes");
    }
    Ok(())
}

/// Runs it on the cluster, and under the same name on this machine.
fn compare(bench: &Bench, report: &mut Report, volumes: &Volumes, example: &Example<'_>) -> Result<()> {
    let name = example.name;
    let mut space = Space::new(name)?;
    space.share(volumes, RUNS)?;
    let models = space.share(volumes, MODELS)?;
    if let Some(model) = &bench.model {
        let file = models.join(model.file_name().context("the model is a file")?);
        std::fs::copy(model, &file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    for file in example.files {
        kubectl::run(&["apply", "--namespace", &space.name, "--filename", file])?;
    }
    if !example.documents.is_empty() {
        kubectl::apply(&space.name, &example.documents)?;
    }
    let run = runs::run(&format!("{name}-1"), name, &example.input);
    let run = kubectl::create(&space.name, &run)?;
    let ended = runs::succeeded(&space.name, text(&run, "/metadata/name"), PATIENCE)?;
    let folder = tempfile::tempdir()?;
    let local = locally(bench, example, &runs::stored(&run)?.to_string(), folder.path())?;
    let outputs = local.pointer("/outputs").unwrap_or(&Value::Null);
    let result = agrees(&ended, outputs);
    report.look("results that are not those of the local run", 1, result.err().into_iter().collect());
    let revisions = local.pointer("/supersteps").and_then(Value::as_array);
    let revision = revisions.and_then(|steps| steps.last()).map_or("", |step| text(step, "/revision"));
    let same = text(&ended, "/status/revision") == revision;
    let differs = format!("{name}: {} and {revision}", text(&ended, "/status/revision"));
    report.look(
        "revisions that are not those of the local run",
        1,
        (!same).then_some(differs).into_iter().collect(),
    );
    report.note(format!(
        "{name}: {} supersteps, {} tokens, revision {revision}",
        number(&ended, "/status/superstep").unwrap_or_default(),
        number(&ended, "/status/tokens").unwrap_or_default()
    ));
    space.delete()
}

/// What `superstep inspect` tells of the same run on this machine.
fn locally(bench: &Bench, example: &Example<'_>, name: &str, folder: &Path) -> Result<Value> {
    let mut run = bench.superstep(folder);
    run.args(["run", "--file", example.here, "--graph", example.name, "--run-id", name, "--input"]);
    run.arg(example.input.to_string()).arg("--no-input");
    if let Some(model) = &bench.model {
        run.env("SUPERSTEP_MODEL", model).env("SUPERSTEP_MODEL_SHA256", "");
    }
    process::capture(&mut run)?;
    let told = process::capture(bench.superstep(folder).args(["inspect", name, "--output", "json"]))?;
    serde_json::from_str(&told).context("superstep inspect prints JSON")
}

/// Whether a run came to these outputs: by the hash of the whole, and by the begin of it.
fn agrees(run: &Value, outputs: &Value) -> Result<(), String> {
    let whole = serde_json::to_string(outputs).map_err(|error| error.to_string())?;
    let preview = text(run, "/status/output/preview");
    let digest = blake3::hash(whole.as_bytes()).to_hex();
    let begins = whole.starts_with(preview) && !preview.is_empty();
    if begins && text(run, "/status/output/digest") == digest.as_str() {
        return Ok(());
    }
    Err(format!(
        "{} on the cluster, {whole} ({digest}) here",
        run.pointer("/status/output").unwrap_or(&Value::Null)
    ))
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
