//! Messages on their way to other workers: one stream to each, within the credit that it gives.

mod encoded;
mod link;
mod packing;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use superstep_engine::{Record, Routed};
use superstep_proto::v1;
use superstep_store::{RunName, Store};
use superstep_telemetry::MessageContexts;
use tokio::sync::mpsc;

use super::ToLeader;
use crate::channels::Channels;
use link::Link;

/// Messages of one superstep for one partition of a run.
pub(super) struct Outgoing {
    pub(super) run: RunName,
    pub(super) epoch: u64,
    pub(super) superstep: u64,
    pub(super) partition: u32,
    /// Those that have not been packed.
    pub(super) messages: Vec<Routed>,
    /// Who hands them on if there is no way to their worker.
    pub(super) leader: ToLeader,
    /// The contexts with which they travel, if there is a trace of the run.
    pub(super) contexts: Option<MessageContexts>,
}

/// What a link is told.
enum ToLink {
    Send(Outgoing),
    /// Messages of a run are of no use any more that are of a lower term than this.
    Forget(RunName, u64),
}

type Open = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<ToLink>>>>;

/// The ways to other workers. Clones share them.
#[derive(Clone)]
pub(super) struct Links {
    channels: Channels,
    store: Store<Record>,
    open: Open,
}

impl Links {
    pub(super) fn new(channels: Channels, store: Store<Record>) -> Self {
        Self { channels, store, open: Arc::default() }
    }

    /// Sends messages to the worker that has a partition. They may be lost with the worker: then a term comes that
    /// has them again from the log.
    pub(super) fn send(&self, home: &v1::Home, outgoing: Outgoing) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let link = open.entry(home.address.clone()).or_insert_with(|| self.begin(&home.address));
        if link.send(ToLink::Send(outgoing)).is_err() {
            tracing::trace!("the process ends");
        }
    }

    /// Lets go what waits to be sent of terms of a run below `epoch`.
    pub(super) fn forget(&self, run: &RunName, epoch: u64) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::iter_over_hash_type, reason = "each link is told the same")]
        for link in open.values() {
            if link.send(ToLink::Forget(run.clone(), epoch)).is_err() {
                tracing::trace!("the process ends");
            }
        }
    }

    fn begin(&self, address: &str) -> mpsc::UnboundedSender<ToLink> {
        let (sender, told) = mpsc::unbounded_channel();
        let ways = Arc::clone(&self.open);
        let link = Link::new(self.channels.clone(), self.store.clone(), address.to_owned(), told);
        let address = address.to_owned();
        tokio::spawn(link.work(move |told| is_closed(&ways, &address, told)));
        sender
    }
}

/// Closes a link that has nothing to do, unless it was told something since.
fn is_closed(open: &Open, address: &str, told: &mpsc::UnboundedReceiver<ToLink>) -> bool {
    let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
    let idle = told.is_empty();
    if idle {
        open.remove(address);
    }
    idle
}
