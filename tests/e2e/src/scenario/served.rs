//! The quickstart with its model in pods of its own: each call goes over the network, and the run comes to what it comes
//! to in one process. Then the same with the model in the workers, who ask nobody.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::here::Example;
use crate::objects::{condition, number, text};
use crate::report::Report;
use crate::servers::{self, SMALL, Server};
use crate::space::{MODELS, RUNS, Space};
use crate::{kubectl, runs};

const RUN: &str = "served";
const IN_WORKERS: &str = "in-workers";
const PATIENCE: Duration = Duration::from_secs(180);
/// How a server stands that is there and that nobody asks.
const STANDS: [(&str, &str, &str); 4] = [
    ("Ready", "True", "Available"),
    ("SpecValid", "True", "Valid"),
    ("ServersAvailable", "True", "Available"),
    ("FitsDevice", "Unknown", "Unknown"),
];
/// What is made of a server, directly or not.
const MADE: &str = "deployments,replicasets,pods,services,endpointslices,configmaps,networkpolicies";

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let (Some(volumes), Some(model)) = (bench.volumes.clone(), bench.model.clone()) else {
        report.skip("no model, or no folder that pods and this machine share");
        return Ok(());
    };
    bench.installed()?;
    let mut space = Space::new("served")?;
    space.share(&volumes, RUNS)?;
    servers::lay(&model, &space.share(&volumes, MODELS)?)?;
    let document = servers::document(&model, &servers::candle(), &json!({}))?;
    kubectl::apply(&space.name, &[document])?;
    let server = Server(&space.name);
    stands(report, &server)?;
    let example = servers::quickstart()?;
    let mut graph = kubectl::read(&space.name, servers::QUICKSTART)?;
    graph["spec"]["workers"] = json!({"store": {"claim": {"name": RUNS}}});
    kubectl::apply(&space.name, &[graph.clone()])?;
    let run = kubectl::create(&space.name, &runs::run(RUN, example.graph, &example.input))?;
    let ended = runs::succeeded(&space.name, RUN, PATIENCE)?;
    example.compare(bench, report, &runs::stored(&run)?.to_string(), &ended)?;
    asked(report, &server, &ended)?;
    graph["spec"]["models"][0]["placement"] = json!("InWorker");
    in_workers(bench, report, &server, (&example, graph))?;
    goes(report, &server, example.graph)?;
    space.delete()
}

/// What the status tells of a server once it is ready.
fn stands(report: &mut Report, server: &Server<'_>) -> Result<()> {
    let ready = runs::ready(server.0, "modelserver", SMALL, PATIENCE)?;
    let mut differs = Vec::new();
    for (kind, status, reason) in STANDS {
        let found = condition(&ready, kind);
        let [is, why] = ["/status", "/reason"].map(|pointer| found.map_or("", |found| text(found, pointer)));
        if (is, why) != (status, reason) {
            differs.push(format!("{kind}={is} ({why}) in place of {status} ({reason})"));
        }
    }
    report.look(
        "conditions of a model server that are not those of one that is ready",
        STANDS.len(),
        differs,
    );
    let url = format!("http://{SMALL}-model.{}.svc:8000/v1", server.0);
    let told = [("engine", "candle"), ("model", "smollm2-135m-instruct"), ("url", url.as_str())];
    let told = told.map(|(field, expected)| (text(&ready, &format!("/status/{field}")), expected));
    report.demand(
        told.iter().all(|(found, expected)| found == expected)
            && number(&ready, "/status/readyReplicas") == Some(1),
        &format!("the status tells what is served, by what and where: {told:?}"),
    );
    Ok(())
}

/// Whether the one pod was asked for all that the run says that it asked, each once.
fn asked(report: &mut Report, server: &Server<'_>, run: &Value) -> Result<()> {
    let pods = server.ready()?;
    let [pod] = pods.as_slice() else { anyhow::bail!("{} pods are ready in place of one", pods.len()) };
    let metrics = server.metrics(pod)?;
    let of = |field: &str| number(run, &format!("/status/{field}")).unwrap_or_default();
    let counts = [
        ("calls", metrics.count("superstep_serving_generations_total")?, of("calls")),
        (
            "tokens",
            metrics.sum(&[
                "superstep_serving_prompt_tokens_total",
                "superstep_serving_completion_tokens_total",
            ])?,
            of("tokens"),
        ),
        (
            "refusals",
            metrics.sum(&["superstep_serving_refused_total", "superstep_serving_turned_away_total"])?,
            0,
        ),
    ];
    let differ = counts.iter().filter(|(_, pod, run)| pod != run);
    let differ = differ.map(|(what, pod, run)| format!("{what}: {pod} of the pod, {run} of the run"));
    report.look("counts of the pod that are not those of the run", counts.len(), differ.collect());
    report.demand(of("calls") > 0 && of("tokens") > 0, "the run asks the model");
    report.note(format!("{} calls and {} tokens over the network", of("calls"), of("tokens")));
    Ok(())
}

/// The workers load the model from its claim, the run comes to the same, and the pod of the model is not asked.
fn in_workers(
    bench: &Bench,
    report: &mut Report,
    server: &Server<'_>,
    (example, graph): (&Example<'_>, Value),
) -> Result<()> {
    let answered = || {
        let pods = server.ready()?;
        let [pod] = pods.as_slice() else { anyhow::bail!("{} pods are ready in place of one", pods.len()) };
        server.metrics(pod)?.count("superstep_serving_generations_total")
    };
    let before = answered()?;
    let begun = Instant::now();
    kubectl::apply(server.0, &[graph])?;
    runs::ready(server.0, "agentgraph", example.graph, PATIENCE)?;
    let run = kubectl::create(server.0, &runs::run(IN_WORKERS, example.graph, &example.input))?;
    let ended = runs::succeeded(server.0, IN_WORKERS, PATIENCE)?;
    report.note(format!("in the workers: a result after {:.1} s", begun.elapsed().as_secs_f64()));
    // Where a model is belongs to the revision, and the graph here says nothing of it.
    example.compare_results(bench, report, &runs::stored(&run)?.to_string(), &ended)?;
    report.demand(number(&ended, "/status/calls") > Some(0), "the run asks the model in its workers");
    report.demand(answered()? == before, "the pod of a model that is in the workers is not asked");
    Ok(())
}

/// Who deletes the server has nothing left of it, and whoever names it says so.
fn goes(report: &mut Report, server: &Server<'_>, graph: &str) -> Result<()> {
    let made = server.made(MADE)?.len();
    kubectl::run(&["delete", "modelserver", SMALL, "--namespace", server.0, "--timeout=60s"])?;
    let mut left = Vec::new();
    let gone = kubectl::until("all that was made of the server is gone", PATIENCE, || {
        left = server.made(MADE)?;
        Ok(left.is_empty().then_some(()))
    });
    let left =
        left.iter().map(|object| format!("{} {}", text(object, "/kind"), text(object, "/metadata/name")));
    let left: Vec<String> = left.collect();
    report.demand(gone.is_ok(), "what was made of a server goes with it");
    report.look("objects that a deleted model server leaves", made, left);
    let says = kubectl::until("the graph says that its server is missing", PATIENCE, || {
        let graph = kubectl::get(server.0, "agentgraph", graph)?;
        let found = graph.as_ref().and_then(|graph| condition(graph, "ResolvedRefs"));
        Ok(found.filter(|found| text(found, "/reason") == "ModelServerMissing").map(drop))
    });
    report.demand(says.is_ok(), "a graph says that the server which it names is missing");
    Ok(())
}
