//! The part of a worker that has partitions of runs, whoever leads.

mod attend;
mod blobs;
mod exchange;
mod fetching;
mod links;
mod run;
mod spans;
mod term;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use superstep_engine::{Home, Homes, Record};
use superstep_proto::v1;
use superstep_store::{RunName, Store};
use tokio::sync::mpsc;

use crate::channels::Channels;
use crate::counts::Counts;
use crate::provisions::Provisions;

pub(crate) use attend::{Attending, LeaderAddress, attend};
pub(crate) use exchange::Exchange;
use exchange::Granted;
use links::Links;
use run::PeerRun;
pub(crate) use spans::Tracer;

/// What goes to the leader that the worker attends to.
pub(crate) type ToLeader = mpsc::UnboundedSender<v1::FromWorker>;

/// The texts of models that go to that leader: so few at once that they hold nothing else up.
pub(crate) type TextsToLeader = mpsc::Sender<v1::FromWorker>;

/// What the part of a run in this worker is told.
pub(crate) enum ToRun {
    /// A partition is the worker's from now on.
    Assign(Box<Assigned>),
    /// What that is to do.
    Commands(v1::Commands),
    /// Messages for it, and the credit that their sender has for them.
    Batch(v1::Batch, Option<Granted>),
    /// Messages of a term were for it that cannot be had.
    Unreadable(u64, String),
    /// It is not the worker's any more.
    Release(u64),
    /// Whether anybody wants to hear what its models write.
    Listen(bool),
}

/// A partition that a leader has assigned.
pub(crate) struct Assigned {
    pub(crate) assign: v1::Assign,
    pub(crate) records: Vec<Record>,
    pub(crate) leader: ToLeader,
    pub(crate) texts: TextsToLeader,
}

impl Assigned {
    /// The partitions of the run as the leader has placed them.
    fn homes(&self) -> Homes {
        let labels = |labels: &[String]| labels.iter().cloned().collect::<BTreeSet<_>>();
        let home = |home: &v1::Home| Home { name: home.worker.clone(), labels: labels(&home.labels) };
        let need = |need: &v1::Need| (need.vertex.as_str().into(), labels(&need.labels));
        let v1::Assign { homes, needs, .. } = &self.assign;
        Homes::new(homes.iter().map(home).collect(), needs.iter().map(need).collect())
    }
}

/// The partitions of runs that this worker has, and what they share.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) store: Store<Record>,
    pub(crate) provisions: Arc<dyn Provisions>,
    links: Links,
    runs: Arc<Mutex<HashMap<RunName, mpsc::UnboundedSender<ToRun>>>>,
    counts: Counts,
    tracer: Tracer,
}

impl Peer {
    pub(crate) fn new(
        store: Store<Record>,
        provisions: Arc<dyn Provisions>,
        channels: Channels,
        counts: Counts,
        tracer: Tracer,
    ) -> Self {
        let links = Links::new(channels, store.clone());
        Self { store, provisions, links, runs: Arc::default(), counts, tracer }
    }

    /// Tells the part of a run in this worker, which begins with what it is told first.
    pub(crate) fn tell(&self, run: &RunName, what: ToRun) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let what = match runs.get(run) {
            Some(known) => match known.send(what) {
                Ok(()) => return,
                Err(gone) => gone.0,
            },
            // There is nobody who writes.
            None if matches!(what, ToRun::Listen(_)) => return,
            None => what,
        };
        let (sender, inbox) = mpsc::unbounded_channel();
        if sender.send(what).is_err() {
            tracing::trace!("the receiver is held here");
        }
        runs.insert(run.clone(), sender);
        tokio::spawn(PeerRun::new(self.clone(), run.clone(), inbox).work());
    }

    /// Forgets a run that has nothing left to do here, unless it was told something since.
    fn forget(&self, run: &RunName, inbox: &mpsc::UnboundedReceiver<ToRun>) -> bool {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if !inbox.is_empty() {
            return false;
        }
        runs.remove(run);
        true
    }
}
