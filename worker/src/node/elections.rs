//! The part of a worker that takes part in the election of who leads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use superstep_leases::{Election, LeaseError, Standing};
use tokio::sync::{mpsc, watch};

use super::Surroundings;
use crate::counts::Counts;
use crate::discovery::Member;
use crate::leader::{Leader, LeaderHandle, Shared, ToLeader};

/// The part of a worker that elects.
pub(super) struct Elections {
    pub(super) election: Election,
    pub(super) around: Surroundings,
    pub(super) me: Member,
    /// Where it reaches itself.
    pub(super) here: Arc<str>,
    pub(super) leader_here: watch::Sender<Option<LeaderHandle>>,
    pub(super) leader_address: watch::Sender<Option<Arc<str>>>,
    /// When the lease was looked at last, whatever came of it.
    pub(super) looked: watch::Sender<Instant>,
    pub(super) counts: Counts,
    /// Whoever is silent for so long is taken for lost.
    pub(super) lost: Duration,
    pub(super) leaving: watch::Receiver<bool>,
    /// Whether a worker that leaves has the lease no more.
    pub(super) given_back: watch::Sender<bool>,
}

impl Elections {
    pub(super) async fn go_on(mut self) {
        let mut look = tokio::time::interval(self.election.pace().looks);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                Ok(()) = self.leaving.changed() => {}
            }
            if *self.leaving.borrow() {
                let given_back = self.give_up().await;
                self.given_back.send_replace(given_back);
            } else {
                if let Err(error) = self.look().await {
                    let why = crate::with_causes(&error);
                    tracing::warn!(%why, "the lease cannot be looked at");
                }
                self.follow().await;
            }
            self.looked.send_replace(Instant::now());
        }
    }

    async fn look(&mut self) -> Result<(), LeaseError> {
        let read = self.around.leases.read().await?;
        if let Some(next) = self.election.look(read.clone(), Instant::now()) {
            let written = self.around.leases.replace(read, next.clone()).await?;
            self.election.wrote(next, written, Instant::now());
        }
        Ok(())
    }

    /// Leads, or follows who leads. A worker that has begun to lead goes on with its runs as long as nobody takes
    /// them: the lease says only whom others attend to.
    async fn follow(&self) {
        match self.election.standing(Instant::now()) {
            Standing::Leads => {
                // One whose task has died leads nobody.
                if self.leader_here.borrow().as_ref().is_none_or(LeaderHandle::is_closed) {
                    tracing::info!(worker = self.me.name, "this worker leads");
                    self.begin();
                }
                self.set_address(Some(Arc::clone(&self.here)));
            }
            Standing::Follows(name) => {
                match self.around.discovery.find(&name).await {
                    Ok(leader) => self.set_address(leader.map(Into::into)),
                    Err(error) => {
                        let why = crate::with_causes(&error);
                        tracing::warn!(%why, "the leader cannot be found");
                    }
                }
                self.stop_leading();
            }
            Standing::Vacant => {}
        }
    }

    /// Another one leads: nobody attends here any more, and he takes the runs.
    fn stop_leading(&self) {
        if self.leader_here.borrow().is_some() {
            tracing::info!(worker = self.me.name, "another worker leads");
            self.leader_here.send_replace(None);
        }
    }

    fn set_address(&self, address: Option<Arc<str>>) {
        self.leader_address.send_if_modified(|known| {
            let changed = *known != address;
            *known = address;
            changed
        });
    }

    fn begin(&self) {
        let (sender, inbox) = mpsc::unbounded_channel();
        let shared = Shared {
            name: self.me.name.as_str().into(),
            store: self.around.store.clone(),
            provisions: Arc::clone(&self.around.provisions),
            leader: sender.clone(),
            leads: self.leader_here.subscribe(),
            looked: self.looked.subscribe(),
            trusts: self.election.pace().gives_up,
            lost: self.lost,
            silent: self.election.taken_from().map(Into::into),
            counts: self.counts.clone(),
            traces: self.around.traces.clone(),
        };
        if sender.send(ToLeader::TakeUp).is_err() {
            tracing::trace!("the leader has just begun");
        }
        // A leader ends that is not the one of its process, so that it is told of before it begins.
        self.leader_here.send_replace(Some(sender));
        tokio::spawn(Leader::new(shared, inbox).lead());
    }

    /// Gives the lease back, so that another one leads at once; whether this worker has it no more.
    async fn give_up(&mut self) -> bool {
        let mut given_back = true;
        if let Some((seen, next)) = self.election.release() {
            match self.around.leases.replace(seen, next.clone()).await {
                Ok(written) => self.election.wrote(next, written, Instant::now()),
                Err(error) => {
                    let why = crate::with_causes(&error);
                    tracing::warn!(%why, "the lease cannot be given back");
                    given_back = false;
                }
            }
        }
        if let Err(error) =
            self.around.leases.read().await.map(|read| self.election.look(read, Instant::now()))
        {
            let why = crate::with_causes(&error);
            tracing::warn!(%why, "the lease cannot be looked at");
        }
        if let Standing::Follows(_) = self.election.standing(Instant::now()) {
            self.follow().await;
        }
        given_back
    }
}
