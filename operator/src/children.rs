//! The objects that the operator makes of one of ours: what they are to be, what they are, and the way from one to
//! the other, on which nothing is written that is there already.

mod child;
mod digest;
mod drift;
mod known;
mod live;
mod seen;
mod settle;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedReceiver;
use kube::Api;
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Event, watcher};
use tokio::sync::watch;

pub(crate) use child::{Child, Owner};
pub(crate) use seen::Seen;
pub(crate) use settle::{Settled, Unsettled};

use known::Known;
use live::Live;

use crate::context::Context;
use crate::shutdown::Shutdown;
use crate::watched::{Told, Touched, in_pages};

/// An object among all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    kind: Box<str>,
    namespace: Box<str>,
    name: Box<str>,
}

impl Key {
    fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }
}

/// Who is to be reconciled: the object of that name in that namespace.
pub(crate) type Of = (String, String);

/// The children of all objects of one kind of ours.
#[derive(Debug)]
pub(crate) struct Children {
    /// What selects them.
    selector: String,
    kinds: Vec<ApiResource>,
    /// What is known of those of these kinds.
    followed: Known,
    /// What is known of those of other kinds, which nobody tells of.
    others: Known,
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
            followed: Known::default(),
            others: Known::default(),
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

    /// What is known of children of a kind.
    fn known(&self, kind: &str) -> &Known {
        if self.follows(kind) { &self.followed } else { &self.others }
    }

    /// The owners of those that change from here on.
    pub(crate) fn listen(&self) -> UnboundedReceiver<Touched<Of>> {
        self.told.listen()
    }

    /// A child as it was seen last.
    pub(crate) fn seen(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Seen>> {
        self.followed.seen(&Key::new(kind, namespace, name))
    }

    /// Those that this owner has.
    pub(crate) fn of(&self, owner: &Owner) -> Vec<(Key, Arc<Seen>)> {
        let mut own = self.followed.of(owner);
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
        let api: Api<Live> = match &context.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, kind),
            None => Api::all_with(client, kind),
        };
        let config = in_pages().labels(&self.selector);
        let mut events = pin!(watcher(api, config).default_backoff().take_until(shutdown.asked()));
        let (mut listed, mut is_first) = (HashMap::new(), true);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => {
                    if let Some((key, seen)) = object.seen(&kind.kind) {
                        let seen = self.followed.listed(&key, seen);
                        listed.insert(key, seen);
                    }
                }
                Ok(Event::InitDone) => {
                    self.followed.replace(&kind.kind, std::mem::take(&mut listed));
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

    fn came(&self, kind: &str, object: Live) {
        let Some((key, now)) = object.seen(kind) else { return };
        let owner = now.owner.clone();
        let before = self.followed.came(key.clone(), now);
        self.tell(&key, before.as_ref());
        if owner != before {
            self.tell(&key, owner.as_ref());
        }
    }

    fn went(&self, kind: &str, object: Live) {
        let Some((key, last)) = object.seen(kind) else { return };
        self.followed.went(&key);
        self.tell(&key, last.owner.as_ref());
    }

    fn tell(&self, key: &Key, owner: Option<&seen::OwnedBy>) {
        if let Some(owner) = owner {
            self.told.tell(&Touched::One((key.namespace.to_string(), owner.name.to_string())));
        }
    }
}
