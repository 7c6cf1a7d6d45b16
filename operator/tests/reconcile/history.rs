//! The objects of runs that have ended, of which a graph keeps as many as it says.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::cluster::{Room, until};
use super::control_plane::ControlPlane;
use super::life::graph;
use super::operator::Operator;
use super::proxy::Proxy;

/// The runs that end, the first one first.
const ENDED: [&str; 4] = ["else", "three", "one", "two"];

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_keeps_as_many_ended_runs_as_it_says() {
    let Some(plane) = ControlPlane::start().await else { return };
    let client = plane.client().await;
    let (_proxy, url, _deaths) = Proxy::start(&plane.url, &plane.identities()).await;
    let mut operator = Operator::start(&url);
    let room = Room::new(&client, "history").await;
    room.apply(graph("triage", &json!({"retention": {"runs": 2}}))).await;
    room.apply(graph("other", &json!({}))).await;
    for (name, of) in
        [("one", "triage"), ("two", "triage"), ("three", "triage"), ("open", "triage"), ("else", "other")]
    {
        room.apply(run(name, of)).await;
    }
    // Nobody can reach workers here: each run says so, and the test says of them that they have ended.
    for name in ["one", "two", "three", "open", "else"] {
        until(&format!("run {name} is pending"), async || {
            let run = room.find("GraphRun", name).await.unwrap();
            run.data["status"]["phase"] == "Pending"
        })
        .await;
    }
    stay(&room, &["else", "one", "open", "two"]).await;
    room.apply(graph("triage", &json!({"retention": {"runs": 1}}))).await;
    stay(&room, &["else", "open", "two"]).await;
    room.apply(graph("triage", &json!({"retention": {"age": "1h"}}))).await;
    stay(&room, &["else", "open"]).await;
    assert_eq!(operator.terminate(), Some(0), "{}", operator.log());
}

fn run(name: &str, graph: &str) -> serde_json::Value {
    json!({
        "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun", "metadata": {"name": name},
        "spec": {"graphRef": {"name": graph}},
    })
}

/// Waits until these runs are left, and says of those that are to end that they have. It says it again when the
/// operator, which looked before, has said after it that they wait.
async fn stay(room: &Room, names: &[&str]) {
    let api = room.api("GraphRun");
    until(&format!("{names:?} are left"), async || {
        let runs = room.list("GraphRun").await;
        for run in runs.iter().filter(|run| run.data["status"]["phase"] == "Pending") {
            let name = run.name_any();
            let Some(minute) = ENDED.iter().position(|ended| *ended == name) else { continue };
            let finished = format!("2026-01-01T00:{minute:02}:00Z");
            let status = json!({"status": {"phase": "Succeeded", "finishedAt": finished}});
            // It may be gone already, or be said the next time.
            drop(api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await);
        }
        let mut left: Vec<String> = runs.iter().map(ResourceExt::name_any).collect();
        left.sort();
        left == names
    })
    .await;
}
