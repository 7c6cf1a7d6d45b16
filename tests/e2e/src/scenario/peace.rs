//! Tools that apply manifests again, beside those who change the graph: nothing is lost, and nobody fights.

use std::fs;
use std::path::Path;
use std::process::Command;
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

const GRAPH: &str = "greeting";
/// The pods of a graph of the same name may have to go first.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long nobody may write when nothing changes.
const QUIET: Duration = Duration::from_secs(20);
/// How often the manifest is applied in that time.
const ROUNDS: u32 = 4;
/// Verbs that write.
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// Who applies the manifest.
#[derive(Clone, Copy, Debug)]
enum Tool {
    ClientSide,
    ServerSide,
    Helm,
    Force,
}

/// What a patch does to later runs.
#[derive(Clone, Copy, Debug)]
enum Change {
    Adds,
    Removes,
    Sets,
}

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
                match case_of(&space.name, tool, change, changed) {
                    Ok(found) => {
                        lost.extend(found.lost.map(|what| format!("{case}: {what}")));
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
    report.look("mutations that a tool has undone", count, lost);
    report.look("fields that two writers have fought over", count, fights);
    Ok(())
}

/// What went wrong in a case.
struct Found {
    lost: Option<String>,
    fought: Option<String>,
}

/// A graph is applied, changed by a patch for later runs, and applied again; then it is run.
fn case_of(namespace: &str, tool: Tool, change: Change, changed: bool) -> Result<Found> {
    let folder = tempfile::tempdir()?;
    begin(namespace, folder.path(), tool, change)?;
    let version = if changed { "v2" } else { "v1" };
    tool.apply(namespace, folder.path(), &graph(version))?;
    let graph = runs::ready(namespace, "agentgraph", GRAPH, PATIENCE)?;
    let fought = fought(&graph, if changed { 2 } else { 1 });
    let run = after(namespace)?;
    let preview = text(&run, "/status/output/preview");
    let is_there = change.shows(preview) && preview.contains(version);
    let lost = (!is_there).then(|| format!("{} {preview}", told(&run)));
    Ok(Found { lost, fought })
}

/// Applies a graph, and changes it by a patch for later runs.
fn begin(namespace: &str, folder: &Path, tool: Tool, change: Change) -> Result<()> {
    tool.apply(namespace, folder, &graph("v1"))?;
    runs::ready(namespace, "agentgraph", GRAPH, PATIENCE)?;
    let patch = runs::object(
        "AgentGraphPatch",
        "change",
        &json!({"graphRef": {"name": GRAPH}, "reason": "a test", "mutations": change.mutations()}),
    );
    kubectl::create(namespace, &patch)?;
    let mut last = String::new();
    let applied = kubectl::until("the patch is applied", PATIENCE, || {
        let patch = kubectl::get(namespace, "agentgraphpatch", "change")?;
        last = patch.as_ref().map(told).unwrap_or_default();
        Ok(patch.filter(|patch| text(patch, "/status/phase") == "Applied").map(drop))
    });
    applied.with_context(|| last)
}

/// A run of the graph as it is, when it has ended.
fn after(namespace: &str) -> Result<Value> {
    kubectl::create(namespace, &runs::run("after", GRAPH, &json!({"name": "Ada"})))?;
    runs::ended(namespace, "after", PATIENCE)
}

/// Takes everything away.
fn end(namespace: &str, tool: Tool) -> Result<()> {
    kubectl::run(&["delete", "agentgraphpatches,graphruns", "--all", "--namespace", namespace])?;
    tool.remove(namespace)
}

/// Two vertices, the first of which says which manifest it is of.
fn graph(version: &str) -> Value {
    runs::object(
        "AgentGraph",
        GRAPH,
        &json!({
            "workers": {"store": {"claim": {"name": RUNS}}},
            "entry": ["greet", "wave"],
            "vertices": [
                {"name": "greet", "function": {"cel": format!("'{version} greets ' + input.name")}},
                {"name": "wave", "function": {"cel": "'waves'"}},
            ],
        }),
    )
}

impl Change {
    fn mutations(self) -> Value {
        match self {
            Self::Adds => json!([
                // It says on what it was told, since who sends it on has no output.
                {"addVertex": {"name": "bow", "function": {"cel": "message + ' and bows'"}}},
                {"addEdge": {"from": "greet", "to": "bow"}},
                {"addEdge": {"from": "greet", "to": "wave"}},
            ]),
            Self::Removes => json!([{"removeVertex": {"name": "wave"}}]),
            Self::Sets => json!([{"set": {"vertex": "wave", "field": "function.cel", "value": "'nods'"}}]),
        }
    }

    /// Whether a result has the mark of the change.
    fn shows(self, output: &str) -> bool {
        match self {
            Self::Adds => output.contains("bows"),
            Self::Removes => !output.contains("waves"),
            Self::Sets => output.contains("nods"),
        }
    }
}

impl Tool {
    fn apply(self, namespace: &str, folder: &Path, graph: &Value) -> Result<()> {
        let documents = std::slice::from_ref(graph);
        match self {
            Self::ClientSide => kubectl::apply(namespace, documents).map(drop),
            Self::ServerSide => {
                let words = ["apply", "--server-side", "--field-manager=gitops", "--namespace", namespace];
                kubectl::feed(&words, documents).map(drop)
            }
            Self::Force => {
                let words = [
                    "apply",
                    "--server-side",
                    "--force-conflicts",
                    "--field-manager=gitops",
                    "--namespace",
                    namespace,
                ];
                kubectl::feed(&words, documents).map(drop)
            }
            Self::Helm => {
                fs::create_dir_all(folder.join("templates"))?;
                fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: graphs\nversion: 0.1.0\n")?;
                fs::write(folder.join("templates/graph.yaml"), graph.to_string())?;
                let mut helm = Command::new("helm");
                helm.args(["upgrade", "--install", "graphs", "--namespace", namespace]).arg(folder);
                process::capture(&mut helm).map(drop)
            }
        }
    }

    fn remove(self, namespace: &str) -> Result<()> {
        match self {
            Self::Helm => {
                let mut helm = Command::new("helm");
                process::capture(helm.args(["uninstall", "graphs", "--namespace", namespace, "--wait"]))
                    .map(drop)
            }
            Self::ClientSide | Self::ServerSide | Self::Force => {
                kubectl::run(&["delete", "agentgraph", GRAPH, "--namespace", namespace]).map(drop)
            }
        }
    }
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

/// Looks at what the operator writes while a tool applies what is there already: a graph, a patch of it and a run that has
/// ended.
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
