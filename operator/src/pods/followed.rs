//! Pods as they were seen last, without what they were asked to be.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedReceiver;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use kube::ResourceExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{Event, watcher};
use tokio::sync::watch;

use crate::children::Of;
use crate::context::Context;
use crate::shutdown::Shutdown;
use crate::watched::{Told, Touched, in_pages};

/// The pods of all objects of one kind of ours.
#[derive(Debug)]
pub(crate) struct Pods {
    /// What selects them.
    selector: String,
    /// The label that names whose they are.
    label: &'static str,
    store: Store<Pod>,
    writer: Mutex<Option<Writer<Pod>>>,
    told: Told<Of>,
    /// Whether they have been seen once. The store's own wait wakes only the last of those who wait.
    listed: watch::Sender<bool>,
}

impl Pods {
    /// Pods with labels as in `selector`, of those that `label` names.
    pub(crate) fn new(selector: impl Into<String>, label: &'static str) -> Self {
        let (store, writer) = reflector::store();
        Self {
            selector: selector.into(),
            label,
            store,
            writer: Mutex::new(Some(writer)),
            told: Told::default(),
            listed: watch::Sender::new(false),
        }
    }

    /// Whose pods change from here on.
    pub(crate) fn listen(&self) -> UnboundedReceiver<Touched<Of>> {
        self.told.listen()
    }

    /// The pods of one, by their names.
    pub(crate) fn of(&self, namespace: &str, name: &str) -> Vec<Arc<Pod>> {
        let mut own = self.store.state_filter(|pod: &Pod| {
            pod.metadata.namespace.as_deref() == Some(namespace)
                && pod.labels().get(self.label).is_some_and(|label| label == name)
        });
        own.sort_by_key(|pod| pod.name_any());
        own
    }

    /// Waits until they have been seen once.
    pub(crate) async fn has_seen_all(&self) {
        // The sender is this object's own, so that the wait ends by what is waited for.
        drop(self.listed.subscribe().wait_for(|listed| *listed).await);
    }

    /// Follows them until the process is to end.
    pub(crate) async fn follow(self: Arc<Self>, context: Arc<Context>, shutdown: Shutdown) {
        let Some(mut writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let config = in_pages().labels(&self.selector);
        let events = watcher(context.api::<Pod>(), config).default_backoff();
        let mut events = std::pin::pin!(events.take_until(shutdown.asked()));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let event = event.modify(forget);
                    writer.apply_watcher_event(&event);
                    match event {
                        Event::Apply(pod) | Event::Delete(pod) => self.tell(&pod),
                        Event::Init | Event::InitApply(_) => {}
                        Event::InitDone => {
                            self.listed.send_replace(true);
                            self.told.tell(&Touched::All);
                        }
                    }
                }
                Err(error) => {
                    context.metrics.watch_failed("Pod");
                    tracing::warn!(%error, "pods cannot be watched");
                }
            }
        }
    }

    fn tell(&self, pod: &Pod) {
        if let Some(name) = pod.labels().get(self.label) {
            self.told.tell(&Touched::One((pod.namespace().unwrap_or_default(), name.clone())));
        }
    }
}

/// Only what a pod has become is of use here, and of one that is ready only that it is.
fn forget(pod: &mut Pod) {
    pod.spec = None;
    pod.metadata.managed_fields = None;
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    let Some(status) = &mut pod.status else { return };
    status.pod_ips = None;
    status.host_ips = None;
    let is_ready = |condition: &PodCondition| condition.type_ == "Ready" && condition.status == "True";
    if status.conditions.iter().flatten().any(is_ready) {
        status.conditions.iter_mut().for_each(|conditions| {
            conditions.retain(is_ready);
            conditions.shrink_to_fit();
        });
        status.container_statuses = None;
        status.init_container_statuses = None;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn of_a_ready_pod_no_more_is_kept_than_that_it_is() {
        let left = |ready: &str| {
            let conditions =
                json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]);
            let containers = json!([{
                "name": "worker", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            }]);
            let status =
                json!({"conditions": conditions, "containerStatuses": containers, "podIP": "10.0.0.1"});
            let metadata = json!({"name": "a", "labels": {"b": "c"}});
            let spec = json!({"containers": []});
            let mut pod: Pod =
                serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status}))
                    .unwrap();
            forget(&mut pod);
            serde_json::to_value(pod).unwrap()
        };
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.1"});
        assert_eq!((&left("True")["status"], &left("True")["spec"]), (&ready, &Value::Null));
        let other = &left("False")["status"];
        assert_eq!(
            (other["conditions"].as_array().unwrap().len(), other["containerStatuses"].is_array()),
            (2, true)
        );
    }
}
