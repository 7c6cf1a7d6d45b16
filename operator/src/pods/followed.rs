//! Pods as they were seen last, without what they were asked to be.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedReceiver;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{Config, Event, watcher};
use tokio::sync::watch;

use crate::children::Of;
use crate::context::Context;
use crate::shutdown::Shutdown;
use crate::watched::{Told, Touched};

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
        let config = Config::default().labels(&self.selector);
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

/// Only what a pod has become is of use here.
fn forget(pod: &mut Pod) {
    pod.spec = None;
    pod.metadata.managed_fields = None;
    pod.metadata.annotations = None;
    if let Some(status) = &mut pod.status {
        status.pod_ips = None;
        status.host_ips = None;
    }
}
