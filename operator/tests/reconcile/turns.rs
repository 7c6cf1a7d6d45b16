//! Several processes of the operator, of which one works.

use std::time::Duration;

use serde_json::json;

use super::cluster::{Room, until};
use super::control_plane::ControlPlane;
use super::kubelet::Kubelet;
use super::life::{graph, scale, server};
use super::operator::Operator;
use super::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn another_process_works_when_the_one_that_did_is_gone() {
    let Some(plane) = ControlPlane::start().await else { return };
    let client = plane.client().await;
    let _kubelet = Kubelet::start(client.clone());
    let (_proxy, url, _deaths) = Proxy::start(&plane.url, &plane.identities()).await;
    let room = Room::new(&client, "turns").await;
    room.apply(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "operator"},
    }))
    .await;
    let start = |name: &str| {
        Operator::start_with(&url, &["--lease=operator", "--own-namespace=turns", &format!("--name={name}")])
    };
    let (mut one, mut two) = (start("one"), start("two"));
    room.apply(server("small", 512)).await;
    room.apply(graph("triage", &json!({}))).await;
    room.until_ready("AgentGraph", "triage").await;
    assert_eq!([leads(&one).await, leads(&two).await].into_iter().filter(|leads| *leads).count(), 1);

    // One that ends in peace gives its lease back, for whoever looks first: it is started again later, and waits.
    let (first, second) = if leads(&one).await { (&mut one, &mut two) } else { (&mut two, &mut one) };
    assert_eq!(first.terminate(), Some(0), "{}", first.log());
    until("the other process works", async || leads(second).await).await;
    first.restart();
    scale(&room, "AgentGraph", "triage", 2).await;
    room.until_ready("AgentGraph", "triage").await;
    until("the first process stands by", async || {
        first.ask("/readyz").await.is_some_and(|(status, said)| status == 200 && said.contains("stands by"))
    })
    .await;

    // A lease that somebody deletes is made anew by the one that has it, and no other works.
    room.delete("Lease", "operator").await;
    until("the lease is there again", async || {
        room.api("Lease").get_opt("operator").await.unwrap().is_some()
    })
    .await;
    assert!(leads(second).await && !leads(first).await);

    // One that is killed leaves a lease that has to run out.
    second.kill();
    tokio::time::sleep(Duration::from_millis(100)).await;
    scale(&room, "AgentGraph", "triage", 3).await;
    room.until_ready("AgentGraph", "triage").await;
    assert!(leads(first).await);
    assert_eq!(first.terminate(), Some(0), "{}", first.log());
}

/// Whether it says that it is the one that works.
async fn leads(operator: &Operator) -> bool {
    let told = operator.ask("/metrics").await;
    told.is_some_and(|(_, metrics)| metrics.lines().any(|line| line == "superstep_operator_leads 1"))
}
