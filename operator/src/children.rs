//! The objects that the operator makes of one of ours: what they are to be, what they are, and the way from one to
//! the other, on which nothing is written that is there already.

mod child;
mod drift;
mod seen;
mod settle;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedReceiver;
use kube::Api;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use tokio::sync::watch;

pub(crate) use child::{Child, Owner};
pub(crate) use seen::Seen;
pub(crate) use settle::{Settled, Unsettled};

use crate::context::Context;
use crate::shutdown::Shutdown;
use crate::watched::{Told, Touched};

/// An object among all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    kind: String,
    namespace: String,
    name: String,
}

/// What was written last to an object.
#[derive(Clone, Debug)]
struct Written {
    /// When it was written, or found to be there.
    at: Instant,
    /// How often it was written for the same end, and since when.
    times: u32,
    since: Instant,
    /// What it is to be.
    wanted: String,
    /// The version that it had before.
    before: String,
    /// What it was after that.
    after: String,
}

/// Who is to be reconciled: the object of that name in that namespace.
pub(crate) type Of = (String, String);

/// The children of all objects of one kind of ours.
#[derive(Debug)]
pub(crate) struct Children {
    /// What selects them.
    selector: String,
    kinds: Vec<ApiResource>,
    seen: Mutex<HashMap<Key, Arc<Seen>>>,
    written: Mutex<HashMap<Key, Written>>,
    told: Told<Of>,
    /// How many kinds have been seen once.
    listed: watch::Sender<usize>,
}

impl Children {
    /// Children of these kinds, with labels as in `selector`, of which nothing is known.
    pub(crate) fn new(selector: impl Into<String>, kinds: Vec<ApiResource>) -> Self {
        Self {
            selector: selector.into(),
            kinds,
            seen: Mutex::default(),
            written: Mutex::default(),
            told: Told::default(),
            listed: watch::Sender::new(0),
        }
    }

    /// Waits until those of every kind have been seen once.
    pub(crate) async fn has_seen_all(&self) {
        let all = self.kinds.len();
        // The sender is this object's own, so that the wait ends by what is waited for.
        drop(self.listed.subscribe().wait_for(|listed| *listed >= all).await);
    }

    /// Whether children of a kind are followed.
    fn follows(&self, kind: &str) -> bool {
        self.kinds.iter().any(|resource| resource.kind == kind)
    }

    /// The owners of those that change from here on.
    pub(crate) fn listen(&self) -> UnboundedReceiver<Touched<Of>> {
        self.told.listen()
    }

    /// A child as it was seen last.
    pub(crate) fn seen(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Seen>> {
        let key = Key { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&key).map(Arc::clone)
    }

    /// Those that this owner has.
    pub(crate) fn of(&self, owner: &Owner) -> Vec<(Key, Arc<Seen>)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own: Vec<_> = seen
            .iter()
            .filter(|(key, seen)| key.namespace == owner.namespace && seen.is_of(owner))
            .map(|(key, seen)| (key.clone(), Arc::clone(seen)))
            .collect();
        own.sort_by(|one, other| (&one.0.kind, &one.0.name).cmp(&(&other.0.kind, &other.0.name)));
        own
    }

    /// Follows the children of every kind until the process is to end.
    pub(crate) async fn follow(self: Arc<Self>, context: Arc<Context>, shutdown: Shutdown) {
        let each = self.kinds.iter().map(|kind| self.follow_kind(&context, kind, shutdown.clone()));
        futures::future::join_all(each).await;
    }

    async fn follow_kind(&self, context: &Context, kind: &ApiResource, shutdown: Shutdown) {
        let client = context.client.clone();
        let api: Api<DynamicObject> = match &context.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, kind),
            None => Api::all_with(client, kind),
        };
        let config = Config::default().labels(&self.selector);
        let mut events = pin!(watcher(api, config).default_backoff().take_until(shutdown.asked()));
        let (mut listed, mut is_first) = (HashMap::new(), true);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => {
                    if let Some((key, seen)) = Seen::of(&kind.kind, object) {
                        listed.insert(key, Arc::new(seen));
                    }
                }
                Ok(Event::InitDone) => {
                    self.replace(&kind.kind, std::mem::take(&mut listed));
                    self.told.tell(&Touched::All);
                    self.listed.send_modify(|count| *count += usize::from(std::mem::take(&mut is_first)));
                }
                Ok(Event::Apply(object)) => self.came(&kind.kind, object),
                Ok(Event::Delete(object)) => self.went(&kind.kind, object),
                Err(error) => {
                    context.metrics.watch_failed(&kind.kind);
                    tracing::warn!(kind = kind.kind, %error, "children cannot be watched");
                }
            }
        }
    }

    fn replace(&self, kind: &str, listed: HashMap<Key, Arc<Seen>>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|key, _| key.kind != kind);
        seen.extend(listed);
    }

    fn came(&self, kind: &str, object: DynamicObject) {
        let Some((key, now)) = Seen::of(kind, object) else { return };
        let owner = now.owner.clone();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.insert(key.clone(), Arc::new(now)).and_then(|before| before.owner.clone());
        drop(seen);
        self.tell(&key, before.as_ref());
        if owner != before {
            self.tell(&key, owner.as_ref());
        }
    }

    fn went(&self, kind: &str, object: DynamicObject) {
        let Some((key, last)) = Seen::of(kind, object) else { return };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.tell(&key, last.owner.as_ref());
    }

    fn tell(&self, key: &Key, owner: Option<&seen::OwnedBy>) {
        if let Some(owner) = owner {
            self.told.tell(&Touched::One((key.namespace.clone(), owner.name.clone())));
        }
    }
}
