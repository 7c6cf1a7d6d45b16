//! The objects of one kind, as they were last seen, and who is told when one changes.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::runtime::{WatchStreamExt as _, reflector};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::lenient::Lenient;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;

/// What changed.
#[derive(Clone, Debug)]
pub(crate) enum Touched<T> {
    /// This one came, changed or went.
    One(T),
    /// Nobody knows: everything is to be looked at.
    All,
}

/// Who is told of changes. A list of them grows until it is read, and its readers only take references.
#[derive(Debug)]
pub(crate) struct Told<T>(Mutex<Vec<UnboundedSender<Touched<T>>>>);

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Told<T> {
    /// What changes from here on.
    pub(crate) fn listen(&self) -> UnboundedReceiver<Touched<T>> {
        let (sender, receiver) = unbounded();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }

    /// Tells those who still listen.
    pub(crate) fn tell(&self, touched: &Touched<T>) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|sender| sender.unbounded_send(touched.clone()).is_ok());
    }
}

/// How many objects come in one answer, where all of a kind are asked for. All that is in one is in memory at the same
/// time, several times as large as what is kept of it, and it is so for every kind at the start.
const PAGE: u32 = 50;

/// A watch whose list comes in small pages.
pub(crate) fn in_pages() -> Config {
    Config::default().page_size(PAGE)
}

/// The objects of one kind of ours.
#[derive(Debug)]
pub(crate) struct Watched<K: Resource<DynamicType = ()> + Clone + 'static> {
    store: Store<Lenient<K>>,
    writer: Mutex<Option<Writer<Lenient<K>>>>,
    told: Told<Arc<Lenient<K>>>,
    /// Whether they have been seen once. The store's own wait wakes only the last of those who wait.
    listed: watch::Sender<bool>,
}

impl<K> Default for Watched<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    fn default() -> Self {
        let (store, writer) = reflector::store();
        Self {
            store,
            writer: Mutex::new(Some(writer)),
            told: Told::default(),
            listed: watch::Sender::new(false),
        }
    }
}

impl<K> Watched<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Those that were seen last.
    pub(crate) fn store(&self) -> &Store<Lenient<K>> {
        &self.store
    }

    /// Waits until they have been seen once.
    pub(crate) async fn has_seen_all(&self) {
        // The sender is this object's own, so that the wait ends by what is waited for.
        drop(self.listed.subscribe().wait_for(|listed| *listed).await);
    }

    /// The one of that name, if it is there and can be read.
    pub(crate) fn named(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let found = self.store.get(&ObjectRef::new(name).within(namespace))?;
        found.0.as_ref().ok().map(Arc::clone)
    }

    /// Whether there is one of that name, be it well formed or not.
    pub(crate) fn has(&self, namespace: &str, name: &str) -> bool {
        self.store.get(&ObjectRef::new(name).within(namespace)).is_some()
    }

    /// Whether an object that changed is there still, and not another one that has its name. Of one that went at once nothing
    /// else tells that.
    pub(crate) fn is_there(&self, object: &Lenient<K>) -> bool {
        let there = self.store.get(&ObjectRef::from_obj(object));
        there.is_some_and(|there| there.meta().uid == object.meta().uid)
    }

    /// Those that can be read.
    pub(crate) fn all(&self) -> impl Iterator<Item = Arc<K>> + use<K> {
        self.store.state().into_iter().filter_map(|object| object.0.as_ref().ok().map(Arc::clone))
    }

    /// What changes from here on.
    pub(crate) fn listen(&self) -> UnboundedReceiver<Touched<Arc<Lenient<K>>>> {
        self.told.listen()
    }

    /// Follows the objects until the process is to end. Whoever cannot be reached is asked again, later and later.
    pub(crate) async fn follow(self: Arc<Self>, api: Api<K>, metrics: Arc<Metrics>, shutdown: Shutdown) {
        let Some(mut writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let kind = K::kind(&());
        let events = watcher(lenient(&api), in_pages()).default_backoff();
        let mut events = std::pin::pin!(events.take_until(shutdown.asked()));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    writer.apply_watcher_event(&event);
                    match event {
                        Event::Apply(object) | Event::Delete(object) => {
                            self.told.tell(&Touched::One(Arc::new(object)));
                        }
                        // While a list comes the objects of the former one are shown.
                        Event::Init | Event::InitApply(_) => {}
                        Event::InitDone => {
                            self.listed.send_replace(true);
                            self.told.tell(&Touched::All);
                        }
                    }
                }
                Err(error) => {
                    metrics.watch_failed(&kind);
                    tracing::warn!(%kind, error = &error as &dyn std::error::Error, "objects cannot be watched");
                }
            }
        }
    }
}

/// The same objects, read leniently.
fn lenient<K>(api: &Api<K>) -> Api<Lenient<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone,
{
    let client = api.clone().into_client();
    match api.namespace() {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

/// What is to be reconciled, of changes of other objects: `of` names those that one concerns.
pub(crate) fn concerned<T, K, I>(
    touched: impl Stream<Item = Touched<T>>,
    store: Store<K>,
    of: impl Fn(&T) -> I,
) -> impl Stream<Item = ObjectRef<K>>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Clone + Default + Eq + Hash,
    I: IntoIterator<Item = ObjectRef<K>>,
{
    touched.flat_map(move |touched| {
        let references: Vec<ObjectRef<K>> = match touched {
            Touched::One(object) => of(&object).into_iter().collect(),
            Touched::All => store.state().iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect(),
        };
        futures::stream::iter(references)
    })
}
