//! Pods of a model that follow what is asked of it: none at rest, one for a run, more for a crowd, and none again.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::objects::{condition, number, text, told};
use crate::report::Report;
use crate::servers::{self, Server};
use crate::space::{MODELS, RUNS, Space};
use crate::{kubectl, process, runs};

/// Two prompts, between which a person is asked.
const TALK: &str = "talk";
/// Prompts that ask all the time.
pub(super) const CROWD: &str = "crowd";
/// How many of them ask together.
const ASKERS: usize = 6;
/// The most pods.
const MOST: usize = 2;
const PATIENCE: Duration = Duration::from_secs(240);
/// Answers that a pod was asked for.
const ANSWERS: &str = "superstep_serving_generations_total";
/// Requests that it did not take, or had already.
const OTHERS: [&str; 3] = [
    "superstep_serving_refused_total",
    "superstep_serving_turned_away_total",
    "superstep_serving_joined_total",
];

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let (Some(volumes), Some(model)) = (bench.volumes.clone(), bench.model.clone()) else {
        report.skip("no model, or no folder that pods and this machine share");
        return Ok(());
    };
    bench.installed()?;
    let mut space = Space::new("scaling")?;
    space.share(&volumes, RUNS)?;
    servers::lay(&model, &space.share(&volumes, MODELS)?)?;
    let autoscaling = json!({
        "minReplicas": 0, "maxReplicas": MOST, "target": {"concurrency": 1},
        "scaleDownAfter": "15s", "idleAfter": "15s", "startsWithin": "3m",
    });
    let document = servers::document(&model, &servers::candle(), &json!({"autoscaling": autoscaling}))?;
    kubectl::apply(&space.name, &[document, talk(), crowd()])?;
    let server = Server(&space.name);
    rests(report, &server)?;
    for graph in [TALK, CROWD] {
        runs::ready(&space.name, "agentgraph", graph, PATIENCE)?;
    }
    wakes(report, &server)?;
    rests(report, &server)?;
    holds(bench, report, &server)?;
    rests(report, &server)?;
    grows(report, &server)?;
    rests(report, &server)?;
    let reasons = events(&server)?;
    report.demand(
        ["ScaledUp", "ScaledToZero"].iter().all(|reason| reasons.contains(*reason)),
        &format!("Events tell each change: {reasons:?}"),
    );
    space.delete()
}

fn graph(name: &str, vertices: &[Value], edges: &[Value], entry: &[String]) -> Value {
    runs::object(
        "AgentGraph",
        name,
        &json!({
            "workers": {"store": {"claim": {"name": RUNS}}},
            "models": [{"name": "small", "modelServerRef": {"name": servers::SMALL}}],
            "entry": entry,
            "vertices": vertices,
            "edges": edges,
        }),
    )
}

fn asks(name: &str, template: &str, tokens: u32) -> Value {
    let sampling = json!({"maxTokens": tokens});
    json!({"name": name, "prompt": {"model": "small", "template": template, "sampling": sampling}})
}

fn talk() -> Value {
    let vertices = [
        asks("first", "Name a colour.", 8),
        json!({"name": "pause", "human": {"prompt": "Shall it go on?"}}),
        asks("second", "Name another colour.", 8),
    ];
    let edges = [json!({"from": "first", "to": "pause"}), json!({"from": "pause", "to": "second"})];
    graph(TALK, &vertices, &edges, &["first".to_owned()])
}

/// All of them ask in every superstep, until the run is cancelled.
pub(super) fn crowd() -> Value {
    let names: Vec<String> = (0..ASKERS).map(|number| format!("asker_{number}")).collect();
    let vertices: Vec<Value> =
        names.iter().map(|name| asks(name, "Count from one to one thousand.", 64)).collect();
    let edges: Vec<Value> = names.iter().map(|name| json!({"from": name, "to": name})).collect();
    graph(CROWD, &vertices, &edges, &names)
}

/// Nobody asks, and there are no pods.
fn rests(report: &mut Report, server: &Server<'_>) -> Result<()> {
    let mut last = Value::Null;
    let rests = kubectl::until("the server has no pods, and is to have none", PATIENCE, || {
        last = server.object()?;
        let is_none = |field: &str| number(&last, &format!("/status/{field}")) == Some(0);
        let says =
            condition(&last, "Autoscaled").is_some_and(|found| text(found, "/reason") == "ScaledToZero");
        let is_at_rest = says && ["desiredReplicas", "replicas", "readyReplicas"].into_iter().all(is_none);
        Ok((is_at_rest && server.made("pods")?.is_empty()).then_some(()))
    });
    report.look(
        "rests at which there are pods",
        1,
        rests.err().map(|why| format!("{why:#}: {}", told(&last))).into_iter().collect(),
    );
    Ok(())
}

/// A run that begins waits until a pod is there, and is answered by it.
fn wakes(report: &mut Report, server: &Server<'_>) -> Result<()> {
    kubectl::create(server.0, &runs::run(TALK, TALK, &json!({})))?;
    let waits = kubectl::until("the run says what it waits for", PATIENCE, || {
        Ok((text(&run(server, TALK)?, "/status/reason") == "ModelServerNotReady").then_some(()))
    });
    report.demand(waits.is_ok(), "a run waits for a server that has no pods, and says so");
    reaches(server, TALK, "Waiting")?;
    one_call(report, server)
}

/// A run that goes on finds no pods: its request is held until there is one, and is neither lost nor made twice.
fn holds(bench: &Bench, report: &mut Report, server: &Server<'_>) -> Result<()> {
    process::capture(bench.plugin()?.args(["answer", TALK, "\"yes\"", "--namespace", server.0]))?;
    let held = kubectl::until("the run goes on", PATIENCE, || {
        let run = run(server, TALK)?;
        let is_there = number(&server.object()?, "/status/readyReplicas") != Some(0);
        let phase = text(&run, "/status/phase");
        Ok((phase != "Waiting" || is_there).then(|| phase == "Running" && !is_there))
    })?;
    report.demand(held, "a run goes on, and asks, while there is no pod");
    let ended = runs::succeeded(server.0, TALK, PATIENCE)?;
    one_call(report, server)?;
    report.look(
        "calls of the run that are not one for each prompt",
        2,
        match number(&ended, "/status/calls") {
            Some(2) => Vec::new(),
            calls => vec![format!("{calls:?}")],
        },
    );
    Ok(())
}

/// The pods follow a crowd up to the most that there may be, each of them is asked, and then the crowd leaves.
fn grows(report: &mut Report, server: &Server<'_>) -> Result<()> {
    kubectl::create(server.0, &runs::run(CROWD, CROWD, &json!({})))?;
    let (mut most, mut is_limited, mut last) = (0, false, Value::Null);
    let grown = kubectl::until("as many pods as there may be are asked", PATIENCE, || {
        last = server.object()?;
        most = most.max(server.made("pods")?.len());
        is_limited |=
            condition(&last, "Autoscaled").is_some_and(|found| text(found, "/reason") == "AtMaximum");
        let pods = server.ready()?;
        let asked = pods.iter().map(|pod| server.metrics(pod)?.count(ANSWERS));
        let asked = asked.collect::<Result<Vec<_>>>()?;
        let all = asked.len() == MOST && asked.iter().all(|answers| *answers > 0);
        Ok((all && is_limited).then_some(asked))
    });
    match &grown {
        Ok(asked) => report.note(format!("the pods of a crowd were asked {asked:?} times")),
        Err(why) => report.demand(false, &format!("pods follow the load: {why:#}: {}", told(&last))),
    }
    report.look(
        "crowds for which there were more pods than there may be",
        1,
        (most > MOST).then(|| format!("{most} pods")).into_iter().collect(),
    );
    leaves(report, server)
}

/// Cancels the crowd.
pub(super) fn leaves(report: &mut Report, server: &Server<'_>) -> Result<()> {
    let cancelled = json!({"spec": {"operatingMode": "Cancelled"}}).to_string();
    let words = ["patch", "graphrun", CROWD, "--namespace", server.0, "--type=merge", "--patch"];
    kubectl::run(&[words.as_slice(), &[cancelled.as_str()]].concat())?;
    let ended = runs::ended(server.0, CROWD, PATIENCE)?;
    report.demand(
        text(&ended, "/status/phase") == "Cancelled",
        &format!("the crowd asks until it is told to leave: {}", told(&ended)),
    );
    Ok(())
}

fn run(server: &Server<'_>, name: &str) -> Result<Value> {
    kubectl::get(server.0, "graphrun", name)?.context("the run is not there")
}

/// Waits until a run is in a phase.
fn reaches(server: &Server<'_>, name: &str, phase: &str) -> Result<()> {
    let mut last = String::new();
    let reached = kubectl::until(&format!("run {name} is {phase}"), PATIENCE, || {
        let run = run(server, name)?;
        last = told(&run);
        Ok((text(&run, "/status/phase") == phase).then_some(()))
    });
    reached.with_context(|| last)
}

/// Whether there is one pod, and it was asked once: each pod begins to count when it starts.
fn one_call(report: &mut Report, server: &Server<'_>) -> Result<()> {
    let pods = server.ready()?;
    let mut wrong = Vec::new();
    if pods.len() != 1 {
        wrong.push(format!("{} pods", pods.len()));
    }
    for pod in &pods {
        let metrics = server.metrics(pod)?;
        let (answers, others) = (metrics.count(ANSWERS)?, metrics.sum(&OTHERS)?);
        if (answers, others) != (1, 0) {
            wrong.push(format!("{answers} answers and {others} other requests"));
        }
    }
    report.look("calls that are not made once, at the one pod that came for them", 1, wrong);
    Ok(())
}

/// The reasons of Events that tell of the server.
fn events(server: &Server<'_>) -> Result<BTreeSet<String>> {
    let events = kubectl::list(&["events", "--namespace", server.0])?;
    let of_server = events.iter().filter(|event| text(event, "/involvedObject/kind") == "ModelServer");
    Ok(of_server.map(|event| text(event, "/reason").to_owned()).collect())
}
