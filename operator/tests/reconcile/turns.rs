//! Several processes of the operator, of which one works.

use std::time::{Duration, Instant};

use serde_json::json;

use super::cluster::{Room, until};
use super::control_plane::ControlPlane;
use super::kubelet::Kubelet;
use super::life::{graph, scale, server};
use super::operator::Operator;
use super::proxy::Proxy;

/// How long the lease is left to whoever has had it and cannot look at it, but for what it takes to look.
const LEFT: Duration = Duration::from_secs(8);

/// Two processes, which are started again when they have ended: one that stood still for longer than its lease lasts ends
/// with an error when it sees that the other one has it.
struct Pair([Operator; 2]);

impl Pair {
    /// Waits until one works and the other one stands by; which one works.
    async fn turn(&mut self) -> usize {
        let mut works = None;
        until("one process works and the other one stands by", async || {
            for process in self.0.iter_mut().filter_map(|process| process.has_ended().then_some(process)) {
                process.restart();
            }
            let first = usize::from(!leads(&self.0[0]).await);
            let is_so = leads(&self.0[first]).await && stands_by(&self.0[1 - first]).await;
            works = is_so.then_some(first);
            is_so
        })
        .await;
        works.unwrap()
    }

    /// Ends the one that works, in peace; which one that was.
    async fn end(&mut self) -> usize {
        let mut attempts = 0;
        loop {
            let working = self.turn().await;
            let code = self.0[working].terminate();
            if code == Some(0) {
                return working;
            }
            // It had lost its lease by then.
            attempts += 1;
            let log = self.0[working].log();
            assert!(attempts < 5 && log.contains("has taken the lease"), "{code:?}: {log}");
        }
    }
}

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
    let names = ["one", "two"];
    let mut pair = Pair(names.map(start));
    room.apply(server("small", 512)).await;
    room.apply(graph("triage", &json!({}))).await;
    room.until_ready("AgentGraph", "triage").await;

    // One that ends in peace gives its lease back, for whoever looks first: it is started again later, and waits.
    let first = pair.end().await;
    until("the other process works", async || leads(&pair.0[1 - first]).await).await;
    scale(&room, "AgentGraph", "triage", 2).await;
    room.until_ready("AgentGraph", "triage").await;
    let second = pair.turn().await;

    // A lease that somebody deletes is made anew by the one that has it, and no other works.
    let deleted = Instant::now();
    room.delete("Lease", "operator").await;
    let mut holder = None;
    until("the lease is there again", async || {
        let lease = room.find("Lease", "operator").await;
        holder = lease.and_then(|lease| lease.data["spec"]["holderIdentity"].as_str().map(str::to_owned));
        holder.is_some()
    })
    .await;
    // After its time anybody may make it.
    if deleted.elapsed() < LEFT {
        assert_eq!(holder.as_deref(), Some(names[second]));
    }

    // One that is killed leaves a lease that has to run out.
    let killed = pair.turn().await;
    pair.0[killed].kill();
    scale(&room, "AgentGraph", "triage", 3).await;
    room.until_ready("AgentGraph", "triage").await;
    let left = &mut pair.0[1 - killed];
    assert!(leads(left).await);
    assert_eq!(left.terminate(), Some(0), "{}", left.log());
}

/// Whether it says that it is the one that works.
async fn leads(operator: &Operator) -> bool {
    let told = operator.ask("/metrics").await;
    told.is_some_and(|(_, metrics)| metrics.lines().any(|line| line == "superstep_operator_leads 1"))
}

/// Whether it says that another one works.
async fn stands_by(operator: &Operator) -> bool {
    let told = operator.ask("/readyz").await;
    told.is_some_and(|(status, said)| status == 200 && said.contains("stands by"))
}
