//! llama.cpp's own server as the pod of a model: it becomes ready by the operator's probes, and our client streams its
//! answers, holds them to a schema, and counts what they cost.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::scaling;
use crate::bench::Bench;
use crate::objects::{condition, list, number, text, told};
use crate::report::Report;
use crate::servers::{self, SMALL, Server};
use crate::space::{MODELS, RUNS, Space};
use crate::{kubectl, process, runs};

const GRAPH: &str = "mail";
const RUN: &str = "mail-1";
const PATIENCE: Duration = Duration::from_secs(240);
/// The kinds that an answer may have.
const KINDS: [&str; 3] = ["bug", "billing", "question"];
/// Tokens that the server has read, found read, and written.
const TOKENS: [&str; 3] = [
    "llamacpp:prompt_tokens_total",
    "llamacpp:prompt_tokens_cached_total",
    "llamacpp:tokens_predicted_total",
];
/// Fewer pieces are no stream.
const PIECES: usize = 3;

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let (Some(volumes), Some(model), Some(image)) =
        (bench.volumes.clone(), bench.model.clone(), bench.llama_image.clone())
    else {
        report
            .skip("no image of llama.cpp's server, no model, or no folder that pods and this machine share");
        return Ok(());
    };
    bench.installed()?;
    let mut space = Space::new("llamacpp")?;
    space.share(&volumes, RUNS)?;
    servers::lay(&model, &space.share(&volumes, MODELS)?)?;
    let engine = json!({"llamaCpp": {"image": image, "args": ["--ctx-size", "4096", "--parallel", "2"]}});
    let further = json!({"autoscaling": {"maxReplicas": 1, "target": {"concurrency": 1}}});
    let document = servers::document(&model, &engine, &further)?;
    kubectl::apply(&space.name, &[document, graph(), scaling::crowd()])?;
    let server = Server(&space.name);
    stands(report, &server)?;
    for graph in [GRAPH, scaling::CROWD] {
        runs::ready(&space.name, "agentgraph", graph, PATIENCE)?;
    }
    answers(bench, report, &server)?;
    load(report, &server)?;
    space.delete()
}

/// A prompt whose answer has a schema, and after it one whose answer is a text.
fn graph() -> Value {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["kind", "urgent"],
        "properties": {"kind": {"enum": KINDS}, "urgent": {"type": "boolean"}},
    });
    let template =
        "Mail:\n{{ input.text }}\n\nIs this about a bug, about billing, or a question? Is it urgent?";
    let sort = json!({"model": "small", "system": "You sort customer mail. Answer in JSON.", "template": template,
        "sampling": {"temperature": 0, "maxTokens": 48}, "output": {"schema": schema}});
    let template = "Write a reply of three sentences to this {{ from.sort.kind }} mail:\n\n{{ input.text }}";
    let reply =
        json!({"model": "small", "template": template, "sampling": {"temperature": 0, "maxTokens": 64}});
    runs::object(
        "AgentGraph",
        GRAPH,
        &json!({
            "workers": {"store": {"claim": {"name": RUNS}}},
            "models": [{"name": "small", "modelServerRef": {"name": SMALL}}],
            "entry": ["sort"],
            "vertices": [{"name": "sort", "prompt": sort}, {"name": "reply", "prompt": reply}],
            "edges": [{"from": "sort", "to": "reply"}],
        }),
    )
}

/// The server is ready, without a crash before.
fn stands(report: &mut Report, server: &Server<'_>) -> Result<()> {
    let ready = runs::ready(server.0, "modelserver", SMALL, PATIENCE)?;
    report.demand(text(&ready, "/status/engine") == "llamaCpp", "the status names the engine");
    let pods = server.made("pods")?;
    let containers: Vec<&Value> =
        pods.iter().flat_map(|pod| list(pod, "/status/containerStatuses")).collect();
    let restarted = containers.iter().filter(|container| number(container, "/restartCount") != Some(0));
    report.look(
        "containers of llama.cpp that were started again",
        containers.len(),
        restarted.map(ToString::to_string).collect(),
    );
    report.demand(containers.len() == 1, "there is one container");
    Ok(())
}

/// What our client makes of its answers, as whoever watches the run sees it.
fn answers(bench: &Bench, report: &mut Report, server: &Server<'_>) -> Result<()> {
    let input = json!({"text": "I was charged twice for my subscription. Please give the money back today."});
    let mut watched = bench.plugin()?;
    watched.args(["run", GRAPH, "--name", RUN, "--namespace", server.0, "--output", "jsonl", "--input"]);
    let lines = process::capture(watched.arg(input.to_string()))?;
    let events = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let events = events.context("what is watched is JSON")?;
    let of = |event: &'static str, vertex: &'static str| {
        events.iter().filter(move |line| {
            let activation = text(line, "/activation").split('@').next();
            text(line, "/event") == event && activation == Some(vertex)
        })
    };
    let output = |vertex| of("completed", vertex).next().and_then(|line| line.get("output"));
    let sorted = output("sort").unwrap_or(&Value::Null);
    let is_held = KINDS.contains(&text(sorted, "/kind"))
        && sorted.get("urgent").is_some_and(Value::is_boolean)
        && sorted.as_object().is_some_and(|members| members.len() == 2);
    report.demand(is_held, &format!("an answer is held to its schema: {sorted}"));
    let reply = output("reply").map_or("", |output| text(output, "/text"));
    let pieces: Vec<&str> = of("text", "reply").map(|line| text(line, "/text")).collect();
    // Who comes late has missed the begin.
    let is_streamed = pieces.len() >= PIECES && reply.trim_end().ends_with(pieces.concat().trim());
    report.demand(is_streamed, &format!("an answer is streamed in pieces: {pieces:?} of {reply:?}"));
    let run = kubectl::get(server.0, "graphrun", RUN)?.context("the run is not there")?;
    report.demand(text(&run, "/status/phase") == "Succeeded", &told(&run));
    let summed: i64 = ["sort", "reply"]
        .into_iter()
        .flat_map(|vertex| of("completed", vertex))
        .filter_map(|line| number(line, "/tokens"))
        .sum();
    let pods = server.ready()?;
    let [pod] = pods.as_slice() else { anyhow::bail!("{} pods are ready in place of one", pods.len()) };
    let counted = server.metrics(pod)?.sum(&TOKENS)?;
    let used = number(&run, "/status/tokens").unwrap_or_default();
    let differs = summed != used || counted != used || used == 0;
    report.look(
        "tokens that are not those which llama.cpp has counted",
        usize::try_from(used).unwrap_or_default(),
        differs
            .then(|| format!("{used} of the run, {summed} of its activations, {counted} of the server"))
            .into_iter()
            .collect(),
    );
    let calls = number(&run, "/status/calls");
    report.demand(calls == Some(2), &format!("each prompt is asked once: {calls:?} calls"));
    report.note(format!("{} pieces of text, {used} tokens", pieces.len()));
    Ok(())
}

/// The operator reads its load: more is asked of the one pod than it is to have.
fn load(report: &mut Report, server: &Server<'_>) -> Result<()> {
    kubectl::create(server.0, &runs::run(scaling::CROWD, scaling::CROWD, &json!({})))?;
    let mut last = String::new();
    let tells = kubectl::until("the server is said to have too much to do", PATIENCE, || {
        let object = server.object()?;
        last = told(&object);
        let found = condition(&object, "Autoscaled");
        Ok(found.filter(|found| text(found, "/reason") == "AtMaximum").map(drop))
    });
    report.demand(tells.is_ok(), &format!("the operator reads the load of llama.cpp: {last}"));
    scaling::leaves(report, server)
}
