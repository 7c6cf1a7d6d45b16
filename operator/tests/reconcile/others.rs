//! What others do to objects of the operator, and to its own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::cluster::{PATIENCE, Room, until};
use super::control_plane::ControlPlane;
use super::kubelet::Kubelet;
use super::life::{graph, server};
use super::operator::Operator;
use super::proxy::Proxy;

/// How often objects are touched in vain before what is written is what the touch has led to.
const ROUNDS: usize = 5;
/// How often the operator writes a child for the same end within [`WINDOW`].
const WRITES: usize = 5;
const WINDOW: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_is_mended_or_told() {
    let Some(plane) = ControlPlane::start().await else { return };
    let client = plane.client().await;
    let _kubelet = Kubelet::start(client.clone());
    let (proxy, url, _deaths) = Proxy::start(&plane.url, &plane.identities()).await;
    let mut operator = Operator::start(&url);
    let room = Room::new(&client, "others").await;
    room.apply(server("small", 512)).await;
    room.apply(graph("triage", &json!({}))).await;
    room.until_ready("AgentGraph", "triage").await;
    room.until_ready("ModelServer", "small").await;
    served(&operator).await;

    at_rest(&proxy, &mut operator, &room).await;
    mended(&room).await;
    contested(&proxy, &room).await;
    taken(&room).await;
    malformed(&room).await;
    in_any_order(&room).await;
    assert_eq!(operator.terminate(), Some(0), "{}", operator.log());
}

/// Health and metrics.
async fn served(operator: &Operator) {
    for path in ["/livez", "/healthz", "/readyz"] {
        assert_eq!(operator.ask(path).await.unwrap().0, 200, "{path}");
    }
    for line in [
        r#"superstep_operator_objects{kind="AgentGraph",ready="True"} 1"#,
        r#"superstep_operator_reconciles_total{kind="AgentGraph",outcome="ok"}"#,
        r#"superstep_operator_api_calls_total{verb="patch",code="200"}"#,
    ] {
        // The operator counts what it has heard of, which may be later than the test did.
        until(line, async || {
            operator.ask("/metrics").await.is_some_and(|(_, metrics)| metrics.contains(line))
        })
        .await;
    }
}

/// Nothing is written where nothing has to be: not while nothing happens, not when objects are touched, not after a
/// start.
async fn at_rest(proxy: &Proxy, operator: &mut Operator, room: &Room) {
    settle(proxy).await;
    // A process that stood still while nobody asked may have had something to write yet, which it has not twice.
    let mut writes = Vec::new();
    for round in 0..ROUNDS {
        let before = proxy.writes();
        touch(room, round).await;
        settle(proxy).await;
        writes = writes_since(proxy, before);
        if writes.is_empty() {
            break;
        }
    }
    assert_eq!(writes, Vec::<String>::new());
    let before = proxy.writes();
    operator.restart();
    until("the operator works", async || {
        operator.ask("/readyz").await.is_some_and(|(status, _)| status == 200)
    })
    .await;
    settle(proxy).await;
    assert_eq!(writes_since(proxy, before), Vec::<String>::new());
}

/// Changes objects a hundred times in what nobody looks at.
async fn touch(room: &Room, round: usize) {
    for count in 0..100 {
        let touch = json!({"metadata": {"annotations": {"test/touched": format!("{round}-{count}")}}});
        for (kind, name) in
            [("AgentGraph", "triage"), ("ModelServer", "small"), ("ConfigMap", "triage-graph")]
        {
            room.merge(kind, name, &touch).await;
        }
    }
}

fn writes_since(proxy: &Proxy, before: usize) -> Vec<String> {
    proxy.seen.lock().unwrap().writes[before..].to_vec()
}

/// Waits until nobody has asked for four seconds.
async fn settle(proxy: &Proxy) {
    let begun = |proxy: &Proxy| proxy.seen.lock().unwrap().begun;
    loop {
        let before = begun(proxy);
        tokio::time::sleep(Duration::from_secs(4)).await;
        if begun(proxy) == before {
            return;
        }
    }
}

/// What somebody changes or deletes is what it was soon after.
async fn mended(room: &Room) {
    let before = room.children().await;
    let merge = async |kind: &str, name: &str, change: Value| room.merge(kind, name, &change).await;
    merge("StatefulSet", "triage-worker", json!({"spec": {"replicas": 5}})).await;
    merge("Service", "triage-runs", json!({"spec": {"selector": {"app": "mine"}}})).await;
    merge(
        "Role",
        "triage-worker",
        json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}),
    )
    .await;
    merge("ServiceAccount", "triage-worker", json!({"automountServiceAccountToken": true})).await;
    merge("ConfigMap", "triage-graph", json!({"data": {"graph.yaml": null}})).await;
    merge("NetworkPolicy", "triage-worker", json!({"spec": {"ingress": [{}]}})).await;
    let narrower = json!({"spec": {"podSelector": {"matchLabels": {"app": "mine"}}}});
    merge("NetworkPolicy", "small-model", narrower).await;
    let narrower = json!({"spec": {"selector": {"matchLabels": {"app": "mine"}}}});
    merge("PodDisruptionBudget", "triage-worker", narrower).await;
    merge("ConfigMap", "small-model", json!({"metadata": {"labels": {"app.kubernetes.io/name": null}}}))
        .await;
    merge(
        "Deployment",
        "small-model",
        json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}),
    )
    .await;
    merge("Deployment", "small-model", json!({"spec": {"replicas": 0}})).await;
    for (kind, name) in
        [("Service", "triage-workers"), ("RoleBinding", "triage-worker"), ("Service", "small-model")]
    {
        room.delete(kind, name).await;
    }
    let difference = async || difference(&before, &room.children().await);
    let start = Instant::now();
    while let Some(found) = difference().await {
        assert!(start.elapsed() < PATIENCE, "{found}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    room.until_ready("AgentGraph", "triage").await;
    room.until_ready("ModelServer", "small").await;
}

/// Somebody who changes a child as often as it is put right is left to it after a few rounds, and is told of.
async fn contested(proxy: &Proxy, room: &Room) {
    let (before, start) = (proxy.writes(), Instant::now());
    let theirs = json!({"spec": {"selector": {"app": "theirs"}}});
    let fight = async {
        loop {
            room.merge("Service", "triage-runs", &theirs).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = fight => {}
        message = room.until_reason("AgentGraph", "triage", "Contested") => {
            assert!(message.contains("Service triage-runs"), "{message}");
        }
    }
    let to_it =
        writes_since(proxy, before).iter().filter(|write| write.ends_with("/services/triage-runs")).count();
    // Rounds are counted within windows of time, the first and the last of which may be cut short.
    let windows = start.elapsed().as_secs() / WINDOW.as_secs() + 2;
    let most = WRITES * usize::try_from(windows).unwrap();
    assert!(to_it <= most, "{to_it} of {most}");
    // It is put right when nobody has touched it for a while.
    room.until_ready("AgentGraph", "triage").await;
}

/// The first object that is another one than before.
fn difference(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Option<String> {
    let names = before.keys().chain(after.keys());
    names.into_iter().find_map(|name| {
        let (before, after) = (before.get(name), after.get(name));
        (before != after).then(|| format!("{name}\nwas {before:?}\nis  {after:?}"))
    })
}

/// An object of somebody else is not touched, and its graph says so until it is gone.
async fn taken(room: &Room) {
    let mine = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other-graph"}, "data": {"mine": "yes"},
    });
    room.apply(mine.clone()).await;
    room.apply(graph("other", &json!({}))).await;
    let message = room.until_reason("AgentGraph", "other", "NameTaken").await;
    assert!(message.contains("ConfigMap other-graph"), "{message}");
    let [stalled, ..] = room.condition("AgentGraph", "other", "Stalled").await.unwrap();
    assert_eq!(stalled, "True");
    let found: DynamicObject = room.find("ConfigMap", "other-graph").await.unwrap();
    assert_eq!(found.data["data"], mine["data"]);
    room.delete("ConfigMap", "other-graph").await;
    room.until_ready("AgentGraph", "other").await;
    room.delete("AgentGraph", "other").await;
}

/// What the schema lets through and what cannot be read is told in the status, and holds up nobody.
async fn malformed(room: &Room) {
    let mut odd = graph("odd", &json!({}));
    odd["spec"]["vertices"][0]["sends"] = json!({"to": "everybody"});
    room.apply(odd).await;
    let message = room.until_reason("AgentGraph", "odd", "Malformed").await;
    assert!(message.starts_with("spec.vertices[0].sends"), "{message}");
    room.apply(graph("fine", &json!({}))).await;
    room.until_ready("AgentGraph", "fine").await;
    room.apply(graph("odd", &json!({}))).await;
    room.until_ready("AgentGraph", "odd").await;
    for (name, more, reason) in [
        ("dangling", json!({"entry": ["nobody"]}), "Invalid"),
        ("alone", json!({"workers": {"replicas": 2, "store": {"ephemeral": {}}}}), "Invalid"),
        ("a.b", json!({}), "NameUnusable"),
    ] {
        room.apply(graph(name, &more)).await;
        room.until_reason("AgentGraph", name, reason).await;
        room.delete("AgentGraph", name).await;
    }
    for name in ["odd", "fine"] {
        room.delete("AgentGraph", name).await;
    }
}

/// What a graph names may come after it, or go before it.
async fn in_any_order(room: &Room) {
    let inner =
        json!({"entry": ["one"], "models": [], "vertices": [{"name": "one", "function": {"cel": "1"}}]});
    let outer = json!({
        "models": [{"name": "late", "modelServerRef": {"name": "late"}}],
        "vertices": [{"name": "hello", "graph": {"ref": {"name": "inner"}}}],
    });
    room.apply(graph("outer", &outer)).await;
    let message = room.until_reason("AgentGraph", "outer", "AgentGraphMissing").await;
    assert!(message.contains("\"inner\"") && message.contains("\"late\""), "{message}");
    room.apply(graph("inner", &inner)).await;
    room.until_reason("AgentGraph", "outer", "ModelServerMissing").await;
    room.apply(server("late", 256)).await;
    room.until_ready("AgentGraph", "outer").await;
    room.until_ready("ModelServer", "late").await;
    assert!(room.children().await.contains_key("Service late-model"));
    room.delete("ModelServer", "late").await;
    room.until_reason("AgentGraph", "outer", "ModelServerMissing").await;
    // The cluster collects a server's children when it comes to it, maybe long after the graph has said so.
    until("the server's children are gone", async || {
        !room.children().await.keys().any(|name| name.ends_with(" late-model"))
    })
    .await;
    assert!(room.children().await.contains_key("StatefulSet outer-worker"));
    room.delete("AgentGraph", "outer").await;
    room.delete("AgentGraph", "inner").await;
    room.delete("ModelServer", "small").await;
    room.delete("AgentGraph", "triage").await;
    room.until_empty().await;
}
