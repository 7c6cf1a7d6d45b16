//! Tools that apply manifests again, beside those who change the graph or a run of it: nothing is lost, and nobody
//! fights.

mod change;
mod tool;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::audit::{Audit, Line};
use crate::bench::Bench;
use crate::objects::{list, number, text, told};
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, process, runs};
use change::Change;
use tool::Tool;

const GRAPH: &str = "greeting";
/// The run that waits while the manifest is applied again.
const HELD: &str = "held";
/// The pods of a graph of the same name may have to go first.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long nobody may write when nothing changes.
const QUIET: Duration = Duration::from_secs(20);
/// How often the manifest is applied in that time.
const ROUNDS: u32 = 4;
/// Verbs that write.
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let Some(volumes) = bench.volumes.clone() else {
        report.skip("no folder that pods and this machine share");
        return Ok(());
    };
    bench.installed()?;
    let (mut lost, mut fights, mut count) = (Vec::new(), Vec::new(), 0);
    for tool in [Tool::ClientSide, Tool::ServerSide, Tool::Helm, Tool::Force] {
        let mut space = Space::new(&format!("peace-{tool:?}").to_lowercase())?;
        space.share(&volumes, RUNS)?;
        for change in [Change::Adds, Change::Removes, Change::Sets] {
            for changed in [false, true] {
                let case = format!("{tool:?}, {change:?}, manifest changed: {changed}");
                match case_of(bench, &space.name, tool, change, changed) {
                    Ok(found) => {
                        lost.extend(found.lost.iter().map(|what| format!("{case}: {what}")));
                        fights.extend(found.fought.map(|what| format!("{case}: {what}")));
                    }
                    Err(error) => lost.push(format!("{case}: {error:#}")),
                }
                end(&space.name, tool).with_context(|| case)?;
                count += 1;
            }
        }
        if let Some(path) = &bench.audit {
            quiet(report, path, &space.name, tool).with_context(|| format!("{tool:?}, nothing changes"))?;
        }
        space.delete()?;
    }
    // A patch for later runs, and one for a run.
    report.look("mutations that a tool has undone", 2 * count, lost);
    report.look("fields that two writers have fought over", count, fights);
    Ok(())
}

/// What went wrong in a case.
struct Found {
    lost: Vec<String>,
    fought: Option<String>,
}

/// A graph is applied, changed by a patch for later runs, and in a run that waits by a patch for that run, and is applied
/// again; then it is run once more, and the other run goes on.
fn case_of(bench: &Bench, namespace: &str, tool: Tool, change: Change, changed: bool) -> Result<Found> {
    let folder = tempfile::tempdir()?;
    let revision = begin(namespace, folder.path(), tool, change)?;
    let version = if changed { "v2" } else { "v1" };
    tool.apply(namespace, folder.path(), &graph(version))?;
    let graph = runs::ready(namespace, "agentgraph", GRAPH, PATIENCE)?;
    let fought = fought(&graph, if changed { 2 } else { 1 });
    let later = undone(&after(namespace)?, change, version);
    if changed {
        kubectl::until("the run that waits has adopted the changed manifest", PATIENCE, || {
            let run = kubectl::get(namespace, "graphrun", HELD)?;
            let other = |run: &Value| ![revision.as_str(), ""].contains(&text(run, "/status/revision"));
            Ok(run.filter(other).map(drop))
        })?;
    }
    process::capture(bench.plugin()?.args(["answer", HELD, "yes", "--namespace", namespace]))?;
    let run = runs::ended(namespace, HELD, PATIENCE)?;
    let found = text(&run, "/status/revision");
    let moved = (!changed && found != revision)
        .then(|| format!("the run has revision {found}, and not {revision}, to which its patch led"));
    let lost = later.into_iter().chain(undone(&run, change, version)).chain(moved).collect();
    Ok(Found { lost, fought })
}

/// What a run has come to, if that is without the change, or of another manifest.
fn undone(run: &Value, change: Change, version: &str) -> Option<String> {
    let preview = text(run, "/status/output/preview");
    let is_there = change.shows(preview) && preview.contains(version);
    (!is_there).then(|| format!("run {}: {} {preview}", text(run, "/metadata/name"), told(run)))
}

/// Applies a graph, begins a run that waits, and changes that run by a patch, and later ones by another; the revision of the
/// run.
fn begin(namespace: &str, folder: &Path, tool: Tool, change: Change) -> Result<String> {
    tool.apply(namespace, folder, &graph("v1"))?;
    runs::ready(namespace, "agentgraph", GRAPH, PATIENCE)?;
    kubectl::create(namespace, &runs::run(HELD, GRAPH, &json!({"name": "Ada", "held": true})))?;
    kubectl::until("the run waits for an answer", PATIENCE, || {
        let run = kubectl::get(namespace, "graphrun", HELD)?;
        Ok(run.filter(|run| text(run, "/status/phase") == "Waiting").map(drop))
    })?;
    let of_run = patched(namespace, "change-of-run", Some(HELD), change)?;
    patched(namespace, "change", None, change)?;
    Ok(text(&of_run, "/status/revision").to_owned())
}

/// A patch of a run, or of all later ones, when it is applied.
fn patched(namespace: &str, name: &str, run: Option<&str>, change: Change) -> Result<Value> {
    let mut spec = json!({"graphRef": {"name": GRAPH}, "reason": "a test", "mutations": change.mutations()});
    if let Some(run) = run {
        spec["runRef"] = json!({"name": run});
    }
    kubectl::create(namespace, &runs::object("AgentGraphPatch", name, &spec))?;
    let mut last = String::new();
    let applied = kubectl::until(&format!("patch {name} is applied"), PATIENCE, || {
        let patch = kubectl::get(namespace, "agentgraphpatch", name)?;
        last = patch.as_ref().map(told).unwrap_or_default();
        Ok(patch.filter(|patch| text(patch, "/status/phase") == "Applied"))
    });
    applied.with_context(|| last)
}

/// A run of the graph as it is, when it has ended.
fn after(namespace: &str) -> Result<Value> {
    kubectl::create(namespace, &runs::run("after", GRAPH, &json!({"name": "Ada", "held": false})))?;
    runs::ended(namespace, "after", PATIENCE)
}

/// Takes everything away.
fn end(namespace: &str, tool: Tool) -> Result<()> {
    kubectl::run(&["delete", "agentgraphpatches,graphruns", "--all", "--namespace", namespace])?;
    tool.remove(namespace)
}

/// Two vertices, the first of which says which manifest it is of. A run that is to be held waits before both of them, so that
/// what becomes of its graph meanwhile shows in what they do.
fn graph(version: &str) -> Value {
    runs::object(
        "AgentGraph",
        GRAPH,
        &json!({
            "workers": {"store": {"claim": {"name": RUNS}}},
            "entry": ["door"],
            "vertices": [
                {"name": "door", "router": {"cel": "input.held ? 'held' : 'free'"}},
                {"name": "gate", "human": {"prompt": "Go on?", "schema": {"type": "boolean"}}},
                {"name": "greet", "function": {"cel": format!("'{version} greets ' + input.name")}},
                {"name": "wave", "function": {"cel": "'waves'"}},
            ],
            "edges": [
                {"from": "door", "port": "held", "to": "gate"},
                {"from": "door", "port": "free", "to": "greet"},
                {"from": "door", "port": "free", "to": "wave"},
                {"from": "gate", "to": "greet"},
                {"from": "gate", "to": "wave"},
            ],
        }),
    )
}

/// Whether somebody else than the tool has written the spec, or it was written more often than it changed.
fn fought(graph: &Value, generation: i64) -> Option<String> {
    let of_spec = list(graph, "/metadata/managedFields").iter().filter(|entry| {
        entry.pointer("/fieldsV1/f:spec").is_some() && text(entry, "/subresource").is_empty()
    });
    let writers: Vec<&str> = of_spec.map(|entry| text(entry, "/manager")).collect();
    let found = number(graph, "/metadata/generation");
    let is_ours = writers.iter().any(|writer| writer.starts_with("superstep"));
    let fought = is_ours || writers.is_empty() || found != Some(generation);
    fought.then(|| format!("generation {found:?} in place of {generation}, spec written by {writers:?}"))
}

/// Looks at what the operator writes while a tool applies what is there already: a graph, a patch of it, a run that waits with
/// a patch of its own, and a run that has ended.
fn quiet(report: &mut Report, audit: &Path, namespace: &str, tool: Tool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    begin(namespace, folder.path(), tool, Change::Sets)?;
    after(namespace)?;
    // What was asked for before all of it was there is still on its way.
    kubectl::until("the operator is at rest", PATIENCE, || {
        let seen = Audit::begin(audit)?;
        sleep(Duration::from_secs(10));
        Ok((!seen.lines()?.iter().any(is_write)).then_some(()))
    })?;
    let seen = Audit::begin(audit)?;
    for _ in 0..ROUNDS {
        tool.apply(namespace, folder.path(), &graph("v1"))?;
        sleep(QUIET / ROUNDS);
    }
    let lines = seen.lines()?;
    let writes = lines.iter().filter(|line| is_write(line));
    let writes = writes.map(|line| format!("{line:?}")).collect::<Vec<_>>();
    report.look("writes of the operator while nothing changes, requests", lines.len(), writes);
    end(namespace, tool)
}

/// Whether the operator writes what says something: who leads says so every few seconds.
fn is_write(line: &Line) -> bool {
    WRITES.contains(&line.verb.as_str()) && line.is_of_operator() && line.resource != "leases"
}
