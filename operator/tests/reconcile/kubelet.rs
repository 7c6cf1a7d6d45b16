//! Says of every pod that it is ready: what a scheduler and a kubelet would come to.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::task::JoinHandle;

use super::cluster::{PAUSE, may_pass};

/// A task that does so until it is dropped.
pub(crate) struct Kubelet(JoinHandle<()>);

impl Kubelet {
    pub(crate) fn start(client: Client) -> Self {
        Self(tokio::spawn(async move {
            let pods = watcher(Api::<Pod>::all(client.clone()), Config::default()).default_backoff();
            let mut pods = std::pin::pin!(pods.applied_objects());
            while let Some(pod) = pods.next().await {
                let Ok(pod) = pod else { continue };
                // An API server that has no time is asked again, for nothing else tells of this pod. A pod that is gone
                // needs nothing.
                while ready(&client, &pod).await.is_err_and(|error| may_pass(&error)) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn ready(client: &Client, pod: &Pod) -> kube::Result<()> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap());
    let name = pod.name_any();
    if pod.metadata.deletion_timestamp.is_some() {
        // One that has its name by now stays.
        let this = Preconditions { uid: pod.uid(), resource_version: None };
        let at_once = DeleteParams::default().grace_period(0).preconditions(this);
        return api.delete(&name, &at_once).await.map(drop);
    }
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if conditions.clone().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
        return Ok(());
    }
    let yes =
        |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = json!({"status": {
        "phase": "Running",
        "conditions": [yes("PodScheduled"), yes("Initialized"), yes("ContainersReady"), yes("Ready")],
    }});
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop)
}
