//! Two devices for three workers: two run, and the graph says what the third waits for.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::objects::{condition, is, list, number, text, told};
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, runs};

const GRAPH: &str = "greeting";
const DEVICE: &str = "nvidia.com/gpu";
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let Some(volumes) = bench.volumes.clone().filter(|_| bench.has_testbed()) else {
        report.skip("no testbed whose node can be given devices");
        return Ok(());
    };
    bench.installed()?;
    bench.testbed(&["gpus", "2"])?;
    let mut space = Space::new("devices")?;
    space.share(&volumes, RUNS)?;
    let played = waits(bench, report, &space);
    bench.testbed(&["gpus", "0"])?;
    played?;
    space.delete()
}

fn waits(bench: &Bench, report: &mut Report, space: &Space) -> Result<()> {
    let workers = json!({
        "replicas": 3, "store": {"claim": {"name": RUNS}}, "resources": {"limits": {DEVICE: "1"}},
    });
    kubectl::apply(&space.name, &[runs::greeting(GRAPH, &workers)])?;
    let mut last = Value::Null;
    let waiting = kubectl::until("two workers are ready, and the graph says why not three", PATIENCE, || {
        let Some(graph) = kubectl::get(&space.name, "agentgraph", GRAPH)? else { return Ok(None) };
        let ready = number(&graph, "/status/readyReplicas") == Some(2);
        let says = condition(&graph, "Ready").is_some_and(|ready| {
            text(ready, "/status") == "False" && text(ready, "/message").contains(DEVICE)
        });
        last = graph;
        Ok((ready && says).then_some(()))
    });
    report.demand(waiting.is_ok(), &format!("the graph names the device that is missing: {}", told(&last)));
    let pods = kubectl::list(&["pods", "--namespace", &space.name])?;
    let pending = pods.iter().filter(|pod| text(pod, "/status/phase") == "Pending").count();
    report.look(
        "pending workers that are not one of three",
        1,
        match (pending, pods.len()) {
            (1, 3) => Vec::new(),
            counts => vec![format!("{counts:?}")],
        },
    );
    let first = list(&last, "/status/conditions").first().map_or("", |first| text(first, "/message"));
    report.note(format!("the first line of the status: {first}"));
    bench.testbed(&["gpus", "3"])?;
    let ready = kubectl::until("the third worker is ready", PATIENCE, || {
        let graph = kubectl::get(&space.name, "agentgraph", GRAPH)?;
        Ok(graph.filter(|graph| is(graph, "Ready")).map(drop))
    });
    report.demand(ready.is_ok(), "with a third device the graph is ready");
    Ok(())
}
