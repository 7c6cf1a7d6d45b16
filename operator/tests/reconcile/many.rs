//! Many graphs: how long they take, what they cost the API server, and how much memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, watcher};
use serde_json::json;

use super::cluster::{Room, until};
use super::control_plane::ControlPlane;
use super::kubelet::Kubelet;
use super::life::{graph, server};
use super::operator::Operator;
use super::proxy::Proxy;

/// How many there are, unless `SUPERSTEP_TEST_GRAPHS` says another number.
const GRAPHS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; what it prints is the result"]
async fn many_graphs_come_change_and_go() {
    let count = std::env::var("SUPERSTEP_TEST_GRAPHS").ok().and_then(|text| text.parse().ok());
    let count = count.unwrap_or(GRAPHS);
    let Some(plane) = ControlPlane::start().await else { return };
    let client = plane.client().await;
    let _kubelet = Kubelet::start(client.clone());
    let (proxy, url, _deaths) = Proxy::start(&plane.url, &plane.identities()).await;
    let operator = Operator::start(&url);
    let room = Room::new(&client, "many").await;
    room.apply(server("small", 512)).await;
    let ready = follow(&room);

    for (what, text) in [("created", "hi"), ("changed", "hello")] {
        let (began, calls) = (Instant::now(), calls(&proxy));
        ready.lock().unwrap().clear();
        let mut asked = HashMap::new();
        for index in 0..count {
            let vertices = json!([{"name": "hello", "prompt": {"model": "small", "template": text}}]);
            let name = format!("g{index}");
            asked.insert(name.clone(), Instant::now());
            room.apply(graph(&name, &json!({"vertices": vertices}))).await;
        }
        patiently(&format!("{count} are ready"), || ready.lock().unwrap().len() >= count).await;
        let took = began.elapsed().as_secs_f64();
        let mut waits: Vec<Duration> =
            ready.lock().unwrap().iter().filter_map(|(name, at)| at.checked_duration_since(*asked.get(name)?)).collect();
        waits.sort();
        let now = self::calls(&proxy);
        println!(
            "{what}: {count} in {took:.1} s; ready after {:.2} s (median), {:.2} s (99 %); {:.1} writes and {:.1} reads each; {} MiB",
            waits[waits.len() / 2].as_secs_f64(),
            waits[waits.len() * 99 / 100].as_secs_f64(),
            (now.0 - calls.0) as f64 / count as f64,
            (now.1 - calls.1) as f64 / count as f64,
            operator.resident() / 1_048_576,
        );
    }
    let began = Instant::now();
    for index in 0..count {
        room.delete("AgentGraph", &format!("g{index}")).await;
    }
    let sets = room.api("StatefulSet");
    until_slowly("all are gone", async || sets.list(&Default::default()).await.unwrap().items.is_empty()).await;
    println!("deleted: {count} in {:.1} s; {} MiB", began.elapsed().as_secs_f64(), operator.resident() / 1_048_576);
    let (_, metrics) = operator.ask("/metrics").await.unwrap();
    let told = metrics.lines().filter(|line| line.contains("reconcile") && line.contains("AgentGraph\"") && !line.contains("bucket"));
    told.for_each(|line| println!("{line}"));
}

/// Writes and reads so far.
fn calls(proxy: &Proxy) -> (usize, usize) {
    let seen = proxy.seen.lock().unwrap();
    (seen.writes.len(), seen.reads)
}

/// When each graph was seen ready in its last generation.
fn follow(room: &Room) -> Arc<Mutex<HashMap<String, Instant>>> {
    let ready = Arc::new(Mutex::new(HashMap::new()));
    let (api, told) = (room.api("AgentGraph"), Arc::clone(&ready));
    tokio::spawn(async move {
        let events = watcher(api, Config::default()).default_backoff().applied_objects();
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let Ok(graph) = event else { continue };
            if is_ready(&graph) {
                told.lock().unwrap().entry(graph.name_any()).or_insert_with(Instant::now);
            }
        }
    });
    ready
}

fn is_ready(graph: &DynamicObject) -> bool {
    let status = &graph.data["status"];
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    status["observedGeneration"].as_i64() == graph.metadata.generation
        && conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// As long as it takes for so many.
async fn patiently(what: &str, holds: impl Fn() -> bool) {
    until_slowly(what, async || holds()).await;
}

async fn until_slowly(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..8 {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(100) {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    until(what, holds).await;
}
