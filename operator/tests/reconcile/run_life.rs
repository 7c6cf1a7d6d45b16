//! The life of runs and patches: begun, suspended, patched, cancelled, deleted, begun again.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use superstep_proto::v1;

use super::cluster::{Room, until};
use super::life::{Between, Steps, neutral};
use super::workers::{GRAPH, Worker};

/// What names a run on the patches that show what it did by itself.
const MIRRORED: &str = "superstep.dev/mirrored-from";
/// What differs from one time to another, in a status and in its conditions. Which generation was looked at last when a run
/// ended is among it.
const OF_TIME: [&str; 4] = ["startedAt", "finishedAt", "lastTransitionTime", "observedGeneration"];

/// A graph that asks a person, adds a vertex to itself, and ends.
fn graph() -> Value {
    let mutations = "[{'addVertex': {'name': 'grown', 'function': {'cel': \"'grown'\"}}}, \
        {'addEdge': {'from': 'end', 'to': 'grown'}}]";
    object(
        "AgentGraph",
        GRAPH,
        &json!({
            "entry": ["ask"],
            "vertices": [
                {"name": "ask", "human": {"prompt": "Shall it go on?"}},
                {"name": "grow", "function": {"cel": "message"}, "effects": {"mutations": mutations}},
                {"name": "end", "function": {"cel": "'as declared'"}},
            ],
            "edges": [{"from": "ask", "to": "grow"}, {"from": "grow", "to": "end"}],
            "mutations": {"allow": ["addVertex", "addEdge"]},
        }),
    )
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "superstep.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    })
}

fn run(name: &str) -> Value {
    object("GraphRun", name, &json!({"graphRef": {"name": GRAPH}}))
}

/// A patch of this name that adds a vertex of this name, to a run or to all that begin later.
fn patch(name: &str, run: Option<&str>) -> Value {
    let mut spec = json!({
        "graphRef": {"name": GRAPH},
        "mutations": [
            {"addVertex": {"name": name, "function": {"cel": format!("'{name}'")}}},
            {"addEdge": {"from": "end", "to": name}},
        ],
    });
    if let Some(run) = run {
        spec["runRef"] = json!({"name": run});
    }
    object("AgentGraphPatch", name, &spec)
}

/// The runs that a worker has had after it, and how each has ended.
pub(crate) fn had() -> Value {
    json!(["cancelled Cancelled", "deleted Cancelled", "deleted Succeeded", "first Succeeded"])
}

/// Lives it.
pub(crate) async fn live(room: &Room, worker: &Worker, between: &Between) -> Steps {
    let mut steps = Vec::new();
    between.begin("create").await;
    room.apply(graph()).await;
    room.apply(run("first")).await;
    until_phase(room, "GraphRun", "first", "Waiting").await;
    steps.push(("create", seen(room).await));

    between.begin("suspend").await;
    mode(room, "first", "Suspended").await;
    until_phase(room, "GraphRun", "first", "Suspended").await;
    room.apply(patch("patched", Some("first"))).await;
    until_phase(room, "AgentGraphPatch", "patched", "Accepted").await;
    steps.push(("suspend", seen(room).await));

    between.begin("go on").await;
    worker.answer(&stored(room, "first").await).await;
    mode(room, "first", "Running").await;
    until_phase(room, "GraphRun", "first", "Succeeded").await;
    until_phase(room, "AgentGraphPatch", "patched", "Applied").await;
    until_mirrored(room, "first").await;
    steps.push(("go on", seen(room).await));

    between.begin("cancel").await;
    room.apply(patch("later", None)).await;
    until_phase(room, "AgentGraphPatch", "later", "Applied").await;
    room.apply(run("cancelled")).await;
    until_phase(room, "GraphRun", "cancelled", "Waiting").await;
    mode(room, "cancelled", "Cancelled").await;
    until_phase(room, "GraphRun", "cancelled", "Cancelled").await;
    steps.push(("cancel", seen(room).await));

    between.begin("delete").await;
    room.apply(run("deleted")).await;
    until_phase(room, "GraphRun", "deleted", "Waiting").await;
    room.apply(patch("gone", Some("deleted"))).await;
    until_phase(room, "AgentGraphPatch", "gone", "Applied").await;
    room.delete("GraphRun", "deleted").await;
    until_gone(room, &[("GraphRun", "deleted"), ("AgentGraphPatch", "gone")]).await;
    steps.push(("delete", seen(room).await));

    between.begin("recreate").await;
    room.apply(run("deleted")).await;
    until_phase(room, "GraphRun", "deleted", "Waiting").await;
    worker.answer(&stored(room, "deleted").await).await;
    until_phase(room, "GraphRun", "deleted", "Succeeded").await;
    until_mirrored(room, "deleted").await;
    steps.push(("recreate", seen(room).await));

    between.begin("end").await;
    for name in ["first", "cancelled", "deleted"] {
        room.delete("GraphRun", name).await;
    }
    room.delete("AgentGraphPatch", "later").await;
    room.delete("AgentGraph", GRAPH).await;
    room.until_empty().await;
    until("no run and no patch is left", async || {
        room.list("GraphRun").await.is_empty() && room.list("AgentGraphPatch").await.is_empty()
    })
    .await;
    steps.push(("end", BTreeMap::from([("runs".to_owned(), had_by(worker).await)])));
    steps
}

async fn mode(room: &Room, run: &str, mode: &str) {
    room.merge("GraphRun", run, &json!({"spec": {"operatingMode": mode}})).await;
}

/// The name of a run at its workers.
async fn stored(room: &Room, run: &str) -> String {
    let object = room.find("GraphRun", run).await.unwrap();
    superstep_api::run_name(run, &object.uid().unwrap())
}

/// Waits until an object is in a phase. Nothing holds a run that has ended, a little later.
async fn until_phase(room: &Room, kind: &str, name: &str, phase: &str) {
    let ended = ["Succeeded", "Cancelled"].contains(&phase);
    until(&format!("{kind} {name} is {phase}"), async || {
        let found = room.find(kind, name).await;
        found.is_some_and(|object| {
            object.data["status"]["phase"] == phase && (!ended || object.finalizers().is_empty())
        })
    })
    .await;
}

/// Waits until what a run did by itself is shown.
async fn until_mirrored(room: &Room, run: &str) {
    until(&format!("what {run} did is shown"), async || {
        let patches = room.list("AgentGraphPatch").await;
        patches.iter().any(|patch| {
            patch.labels().get(MIRRORED).is_some_and(|of| of == run)
                && patch.data["status"]["phase"] == "Applied"
        })
    })
    .await;
}

async fn until_gone(room: &Room, objects: &[(&str, &str)]) {
    for (kind, name) in objects {
        until(&format!("{kind} {name} is gone"), async || room.find(kind, name).await.is_none()).await;
    }
}

/// The runs and patches that are there.
async fn seen(room: &Room) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for kind in ["GraphRun", "AgentGraphPatch"] {
        for object in room.list(kind).await {
            all.insert(format!("{kind} {}", object.name_any()), neutral(room, &essence(&object)));
        }
    }
    all
}

/// What of an object is the same each time. Of a run that goes on that is where it stands: what it has used so far is told
/// a little later.
fn essence(object: &DynamicObject) -> Value {
    let mut status = object.data["status"].clone();
    let ended = ["Succeeded", "Cancelled", "Applied", "Accepted"];
    if !status["phase"].as_str().is_some_and(|phase| ended.contains(&phase)) {
        status = json!({"phase": status["phase"], "reason": status["reason"]});
    }
    timeless(&mut status);
    // A run is known to its workers by a part of this.
    let uid = object.uid().unwrap();
    let status: Value = serde_json::from_str(&status.to_string().replace(&uid[..8], "UID")).unwrap();
    let owners = object.owner_references();
    let owners: Vec<_> = owners.iter().map(|owner| format!("{} {}", owner.kind, owner.name)).collect();
    json!({
        "spec": object.data["spec"], "status": status, "labels": object.labels(),
        "finalizers": object.finalizers(), "owners": owners,
    })
}

fn timeless(status: &mut Value) {
    let Some(members) = status.as_object_mut() else { return };
    OF_TIME.iter().for_each(|field| drop(members.remove(*field)));
    let conditions = members.get_mut("conditions").and_then(Value::as_array_mut);
    conditions.into_iter().flatten().for_each(timeless);
}

/// Each run that a worker has had, by the name of its object, and how it has ended.
async fn had_by(worker: &Worker) -> Value {
    let mut all = Vec::new();
    for name in worker.names().await {
        let ended = match worker.run(&name).await.status.and_then(|status| status.status) {
            Some(v1::run_status::Status::Succeeded(_)) => "Succeeded",
            Some(v1::run_status::Status::Cancelled(_)) => "Cancelled",
            Some(_) => "otherwise",
            None => "not yet",
        };
        let object = name.rsplit_once('.').map_or(name.as_str(), |(object, _)| object);
        all.push(format!("{object} {ended}"));
    }
    all.sort();
    json!(all)
}
