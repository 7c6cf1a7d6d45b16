//! An authority that is replaced by another one while the operator works.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use superstep_transport::Authority;

use super::cluster::{Room, answered, until};
use super::control_plane::ControlPlane;
use super::kubelet::Kubelet;
use super::life::{graph, server};
use super::operator::Operator;
use super::proxy::Proxy;

/// The Secret of the authority.
const SECRET: &str = "superstep-ca";

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_replaced_reaches_the_graphs_without_a_restart() {
    let Some(plane) = ControlPlane::start().await else { return };
    let client = plane.client().await;
    let _kubelet = Kubelet::start(client.clone());
    let (_proxy, url, _deaths) = Proxy::start(&plane.url, &plane.identities()).await;
    let room = Room::new(&client, "roots").await;
    let mut operator = Operator::start_with(
        &url,
        &["--own-namespace=roots", "--signer-address=https://superstep-operator.roots.svc:8443"],
    );
    room.apply(server("small", 512)).await;
    room.apply(graph("triage", &json!({}))).await;
    // Without an authority there are no workers.
    room.until_reason("AgentGraph", "triage", "NoAuthority").await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "roots");
    let empty = json!({"metadata": {"name": SECRET}, "type": "Opaque"});
    let empty = serde_json::from_value(empty).unwrap();
    let made = answered(async || secrets.create(&PostParams::default(), &empty).await).await;
    // By an attempt whose answer did not come, perhaps.
    assert!(made.is_ok() || secrets.get(SECRET).await.is_ok(), "{made:?}");
    room.until_ready("AgentGraph", "triage").await;
    let before = trusted(&room).await;
    assert_eq!(before.matches("BEGIN CERTIFICATE").count(), 1, "{before}");

    let next = Authority::new("next").unwrap();
    let put = async |data: Value| {
        let change = Patch::Merge(json!({"stringData": data}));
        answered(async || secrets.patch(SECRET, &PatchParams::default(), &change).await).await.unwrap();
    };
    put(json!({"ca.crt": format!("{before}{}", next.certificate())})).await;
    until("both are trusted", async || {
        let now = trusted(&room).await;
        now.contains(before.trim()) && now.contains(next.certificate().trim())
    })
    .await;
    put(json!({"tls.crt": next.certificate(), "tls.key": next.key(), "ca.crt": next.certificate()})).await;
    until("the other one alone is trusted", async || {
        trusted(&room).await.trim() == next.certificate().trim()
    })
    .await;
    room.until_ready("AgentGraph", "triage").await;
    assert_eq!(operator.terminate(), Some(0), "{}", operator.log());
}

/// The authorities that the workers of the graph are given.
async fn trusted(room: &Room) -> String {
    let map = room.find("ConfigMap", "triage-graph").await.unwrap();
    map.data["data"]["ca.crt"].as_str().unwrap_or_default().to_owned()
}
