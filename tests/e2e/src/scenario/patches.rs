//! A graph that is changed while it runs: by kubectl, by a vertex, by two who disagree, in its base, and after a decision.
//! Every command of `kubectl superstep` is given on the way.

mod plugin;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::objects::{list, number, text, told};
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, process, runs};

const GRAPH: &str = "rounds";
const PATIENCE: Duration = Duration::from_secs(300);
/// How long an answer takes on average until a change has come to its run: whoever changes a run finds it going on, however
/// slow the machine is.
const SLOW: Duration = Duration::from_secs(6);
/// The same after that.
const QUICK: Duration = Duration::from_millis(100);
/// How many rounds a run has that is changed by somebody.
const ROUNDS: usize = 20;
/// Names the question of a run on the patch that shows what a vertex proposes.
const PROPOSAL: &str = "/metadata/annotations/superstep.dev~1proposal";
/// How often two disagree.
const DISPUTES: usize = 3;

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let (Some(volumes), Some(model)) = (bench.volumes.clone(), bench.model_server.clone()) else {
        report.skip("no folder that pods and this machine share, or no address by which they reach it");
        return Ok(());
    };
    bench.installed()?;
    let mut space = Space::new("patches")?;
    space.share(&volumes, RUNS)?;
    bench.ledger.set_latency(QUICK);
    kubectl::apply(&space.name, &rounds(&model))?;
    runs::ready(&space.name, "agentgraph", GRAPH, PATIENCE)?;
    by_kubectl(bench, report, &space.name)?;
    by_a_vertex(report, &space.name)?;
    by_two(bench, report, &space.name)?;
    plugin::play(bench, report, &space.name)?;
    base(bench, report, &space.name, &model)?;
    by_approval(bench, report, &space.name, &model)?;
    space.delete()
}

/// A cycle of prompts, in the second round of which a vertex adds another, and that ends with what `end` says.
fn rounds(model: &str) -> [Value; 2] {
    let server = runs::object(
        "ModelServer",
        "scripted",
        &json!({"engine": {"external": {"provider": "OpenAICompatible", "model": "scripted", "baseUrl": model}}}),
    );
    let mutations = "input.grows && message.round == 2 ? [\
        {'addVertex': {'name': 'grown', 'function': {'cel': \"'grown'\"}}}, \
        {'addEdge': {'from': 'end', 'to': 'grown'}}] : []";
    let graph = runs::object(
        "AgentGraph",
        GRAPH,
        &json!({
            "workers": {"replicas": 2, "store": {"claim": {"name": RUNS}}},
            "models": [{"name": "scripted", "modelServerRef": {"name": "scripted"}}],
            "entry": ["begin"],
            "vertices": [
                {"name": "begin", "function": {"cel": "{'round': 0}"}},
                {"name": "round", "function": {"cel": "message"}, "effects": {"mutations": mutations}},
                {"name": "ask", "prompt": {"model": "scripted",
                    "template": "[{{ input.run }}] round {{ message.round }}"}},
                {"name": "count", "join": {"mode": "All"}, "function": {"cel": "{'round': from.round.round + 1}"}},
                {"name": "again", "router": {"cel": "message.round < input.rounds ? 'more' : 'enough'"}},
                {"name": "end", "function": {"cel": "'as declared'"}},
            ],
            "edges": [
                {"from": "begin", "to": "round"},
                {"from": "round", "to": "ask"},
                {"from": "round", "to": "count"},
                {"from": "ask", "to": "count"},
                {"from": "count", "to": "again"},
                {"from": "again", "port": "more", "to": "round"},
                {"from": "again", "port": "enough", "to": "end"},
            ],
            "mutations": {"allow": ["addVertex", "addEdge"]},
        }),
    );
    [server, graph]
}

/// Begins a run of so many rounds.
fn begin(namespace: &str, name: &str, rounds: usize, grows: bool) -> Result<Value> {
    let input = json!({"run": format!("{namespace}-{name}"), "rounds": rounds, "grows": grows});
    let run = kubectl::create(namespace, &runs::run(name, GRAPH, &input))?;
    kubectl::until("the run goes on", PATIENCE, || {
        let run = kubectl::get(namespace, "graphrun", name)?;
        Ok(run.filter(|run| number(run, "/status/superstep") > Some(0)).map(drop))
    })?;
    Ok(run)
}

/// A patch for a run, or for the later runs of the graph.
fn patch(name: &str, run: Option<&str>, mutations: &Value) -> Value {
    let mut spec = json!({"graphRef": {"name": GRAPH}, "reason": "a test", "mutations": mutations});
    if let Some(run) = run {
        spec["runRef"] = json!({"name": run});
    }
    runs::object("AgentGraphPatch", name, &spec)
}

/// Waits until a patch was judged.
fn judged(namespace: &str, name: &str) -> Result<Value> {
    phase(namespace, name, &["Applied", "Rejected", "Stale"])
}

/// Waits until a patch is in one of these phases.
fn phase(namespace: &str, name: &str, phases: &[&str]) -> Result<Value> {
    let mut last = String::new();
    let found = kubectl::until(&format!("patch {name} is {}", phases.join(" or ")), PATIENCE, || {
        let patch = kubectl::get(namespace, "agentgraphpatch", name)?;
        last = patch.as_ref().map(told).unwrap_or_default();
        Ok(patch.filter(|patch| phases.contains(&text(patch, "/status/phase"))))
    });
    found.with_context(|| last)
}

/// The patches that name a run.
fn patches_of(namespace: &str, run: &str) -> Result<Vec<Value>> {
    let all = kubectl::list(&["agentgraphpatches", "--namespace", namespace])?;
    Ok(all.into_iter().filter(|patch| text(patch, "/spec/runRef/name") == run).collect())
}

fn output(run: &Value) -> &str {
    text(run, "/status/output/preview")
}

fn by_kubectl(bench: &Bench, report: &mut Report, namespace: &str) -> Result<()> {
    bench.ledger.set_latency(SLOW);
    begin(namespace, "by-kubectl", ROUNDS, false)?;
    let mutations = json!([
        {"addVertex": {"name": "second", "function": {"cel": "'patched in'"}}},
        {"addEdge": {"from": "end", "to": "second"}},
    ]);
    kubectl::create(namespace, &patch("second", Some("by-kubectl"), &mutations))?;
    phase(namespace, "second", &["Accepted", "Applied", "Rejected", "Stale"])?;
    bench.ledger.set_latency(QUICK);
    let patch = judged(namespace, "second")?;
    let applied = text(&patch, "/status/phase") == "Applied"
        && number(&patch, "/status/superstep").is_some()
        && !text(&patch, "/status/revision").is_empty();
    report.demand(
        applied,
        &format!("a patch by kubectl is applied, with superstep and revision: {}", told(&patch)),
    );
    let run = runs::succeeded(namespace, "by-kubectl", PATIENCE)?;
    report.demand(
        output(&run).contains("patched in"),
        &format!("the run has what was patched in: {}", output(&run)),
    );
    report.demand(
        text(&run, "/status/revision") == text(&patch, "/status/revision"),
        "the run has the revision that the patch led to",
    );
    Ok(())
}

fn by_a_vertex(report: &mut Report, namespace: &str) -> Result<()> {
    begin(namespace, "by-a-vertex", 8, true)?;
    let run = runs::succeeded(namespace, "by-a-vertex", PATIENCE)?;
    report.demand(output(&run).contains("grown"), &format!("a vertex changes the graph: {}", output(&run)));
    let mirrored = kubectl::until("what a vertex asked for is shown as a patch", PATIENCE, || {
        let is_told = |patch: &Value| !text(patch, "/status/phase").is_empty();
        Ok(patches_of(namespace, "by-a-vertex")?.into_iter().find(is_told))
    });
    let told = mirrored.as_ref().map(|patch| text(patch, "/status/phase").to_owned());
    report.demand(
        told.as_ref().is_ok_and(|phase| phase == "Applied"),
        &format!("it is shown as applied: {told:?}"),
    );
    Ok(())
}

/// Two set the same field at one barrier: the one whose name is first has it, and the other hears why not.
fn by_two(bench: &Bench, report: &mut Report, namespace: &str) -> Result<()> {
    let mut wrong = Vec::new();
    for dispute in 0..DISPUTES {
        let name = format!("by-two-{dispute}");
        bench.ledger.set_latency(SLOW);
        begin(namespace, &name, ROUNDS, false)?;
        mode(namespace, &name, "Suspended")?;
        kubectl::until("the run stands still", PATIENCE, || {
            let run = kubectl::get(namespace, "graphrun", &name)?;
            Ok(run.filter(|run| text(run, "/status/phase") == "Suspended").map(drop))
        })?;
        bench.ledger.set_latency(QUICK);
        let set = |value: &str| json!([{"set": {"vertex": "end", "field": "function.cel", "value": format!("'{value}'")}}]);
        let names = [format!("{name}-a"), format!("{name}-b")];
        // The later in the order of names comes first, every other time.
        let order = if dispute % 2 == 0 { [1, 0] } else { [0, 1] };
        for at in order {
            kubectl::create(namespace, &patch(&names[at], Some(&name), &set(&names[at])))?;
        }
        // The run has both before the barrier that judges them.
        for one in &names {
            phase(namespace, one, &["Accepted"])?;
        }
        mode(namespace, &name, "Running")?;
        let [first, second] = [judged(namespace, &names[0])?, judged(namespace, &names[1])?];
        let run = runs::succeeded(namespace, &name, PATIENCE)?;
        let refused = list(&second, "/status/refused").iter().map(|one| text(one, "/message").to_owned());
        let refused = refused.collect::<Vec<_>>().join("; ");
        let outcome = (text(&first, "/status/phase"), text(&second, "/status/phase"));
        let is_so =
            outcome == ("Applied", "Rejected") && output(&run).contains(&names[0]) && !refused.is_empty();
        wrong.extend((!is_so).then(|| format!("{outcome:?}, {refused:?}, {}", output(&run))));
        if dispute == 0 {
            report.note(format!("the second of two who set one field hears: {refused}"));
        }
    }
    report.look("disputes that do not end as documented", DISPUTES, wrong);
    Ok(())
}

fn mode(namespace: &str, run: &str, mode: &str) -> Result<()> {
    let change = json!({"spec": {"operatingMode": mode}}).to_string();
    kubectl::run(&["patch", "graphrun", run, "--namespace", namespace, "--type=merge", "--patch", &change])
        .map(drop)
}

/// The graph itself is changed while it runs.
fn base(bench: &Bench, report: &mut Report, namespace: &str, model: &str) -> Result<()> {
    for (adopt, expected) in [("Barrier", "changed"), ("Pinned", "as declared")] {
        let [_, mut graph] = rounds(model);
        graph["spec"]["mutations"]["adopt"] = json!(adopt);
        kubectl::apply(namespace, &[graph.clone()])?;
        runs::ready(namespace, "agentgraph", GRAPH, PATIENCE)?;
        let name = format!("base-{}", adopt.to_lowercase());
        bench.ledger.set_latency(SLOW);
        begin(namespace, &name, ROUNDS, false)?;
        let before = revision(namespace, &name)?;
        let end = graph["spec"]["vertices"].as_array_mut().and_then(|all| all.last_mut());
        let end = end.context("the graph has vertices")?;
        end["function"]["cel"] = json!("'changed'");
        kubectl::apply(namespace, &[graph])?;
        runs::ready(namespace, "agentgraph", GRAPH, PATIENCE)?;
        if adopt == "Barrier" {
            kubectl::until("the run has another revision", PATIENCE, || {
                Ok((revision(namespace, &name)? != before).then_some(()))
            })?;
        }
        bench.ledger.set_latency(QUICK);
        let run = runs::succeeded(namespace, &name, PATIENCE)?;
        report.demand(
            output(&run).contains(expected),
            &format!("with adopt {adopt} a run ends {expected:?}: {}", output(&run)),
        );
    }
    Ok(())
}

/// The revision of the graph that a run has.
fn revision(namespace: &str, run: &str) -> Result<String> {
    let run = kubectl::get(namespace, "graphrun", run)?.context("the run is there")?;
    Ok(text(&run, "/status/revision").to_owned())
}

/// A vertex proposes what it would change, and waits until somebody approves of it by `kubectl superstep`.
fn by_approval(bench: &Bench, report: &mut Report, namespace: &str, model: &str) -> Result<()> {
    let [_, mut graph] = rounds(model);
    graph["spec"]["mutations"]["governance"] = json!("Propose");
    kubectl::apply(namespace, &[graph])?;
    runs::ready(namespace, "agentgraph", GRAPH, PATIENCE)?;
    let name = "by-approval";
    begin(namespace, name, 8, true)?;
    kubectl::until("the run waits for a decision", PATIENCE, || {
        let run = kubectl::get(namespace, "graphrun", name)?;
        Ok(run.filter(|run| text(run, "/status/reason") == "Proposed").map(drop))
    })?;
    let proposed = kubectl::until("what is proposed is shown as a patch", PATIENCE, || {
        let all = patches_of(namespace, name)?;
        Ok(all
            .into_iter()
            .find(|patch| !text(patch, PROPOSAL).is_empty() && text(patch, "/status/reason") == "Proposed"))
    })?;
    let shown = process::capture(bench.plugin()?.args(["answer", name, "--namespace", namespace]))?;
    let approved = process::end(bench.plugin()?.args(["approve", name, "--namespace", namespace]))?;
    report.demand(
        shown.contains("grown") && approved.code == Some(0) && approved.stderr.contains("has its answer"),
        &format!("what is proposed is shown and approved of by kubectl superstep: {shown} {approved:?}"),
    );
    let run = runs::succeeded(namespace, name, PATIENCE)?;
    report.demand(output(&run).contains("grown"), &format!("what was approved is done: {}", output(&run)));
    let decided = judged(namespace, text(&proposed, "/metadata/name"))?;
    report.demand(
        text(&decided, "/status/phase") == "Applied",
        &format!("what was approved is shown as applied: {}", told(&decided)),
    );
    Ok(())
}
