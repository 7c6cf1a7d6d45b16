//! The part of a worker that leads: it knows who works, and has a task for every run that goes on.

mod ask;
mod coordination;
mod ended;
mod roster;
mod run;
mod spans;
mod term;
mod texts;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use superstep_engine::Record;
use superstep_proto::v1;
use superstep_runtime::{NewRun, RunError, RunPhase, RunSummary, list_runs};
use superstep_store::{RunName, Store, StoreError};
use superstep_telemetry::Traces;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument as _;

use crate::counts::Counts;
use crate::log_span;
use crate::provisions::Provisions;

pub(crate) use ask::{Ask, Standing};
pub(crate) use coordination::{Attendance, AttendanceService, FromLeaderStream};
pub(crate) use roster::{Attendant, Connection, Members, Roster};
use run::RunLead;
pub(crate) use run::ToRunLead;

/// How often the leader looks for runs that nobody works on.
const LOOK: Duration = Duration::from_secs(5);
/// What has ended longer ago needs nothing any more that was left undone. A leader is followed by another one long before.
const LATELY: Duration = Duration::from_secs(600);

/// What the leader is told.
pub(crate) enum ToLeader {
    /// A worker has come.
    Attached(Attendant),
    /// It has said something.
    Said(Connection, v1::from_worker::Said),
    /// It is gone.
    Detached(Connection),
    /// A run is to begin.
    Begin(Box<NewRun>, oneshot::Sender<Result<(), RunError>>),
    /// Something is asked of a run; none if it does not go on here.
    Run(RunName, Ask),
    /// Where a run has its partitions now.
    Placed(RunName, Vec<Connection>),
    /// A run is not led here any more.
    Over(RunName),
    /// A run that is there goes on here from now on.
    Lead(RunName),
    /// What the cluster is.
    Cluster(oneshot::Sender<Vec<v1::Worker>>),
    /// The runs that nobody works on are to be taken up.
    TakeUp,
    /// They are led.
    TakenUp,
}

/// A way to the leader of this process.
pub(crate) type LeaderHandle = mpsc::UnboundedSender<ToLeader>;

/// What all runs share that are led here.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) store: Store<Record>,
    pub(crate) provisions: Arc<dyn Provisions>,
    pub(crate) leader: LeaderHandle,
    /// Who leads in this process, if anybody does.
    pub(crate) leads: watch::Receiver<Option<LeaderHandle>>,
    /// When this process has looked last whether it leads.
    pub(crate) looked: watch::Receiver<Instant>,
    /// How long that is believed.
    pub(crate) trusts: Duration,
    /// Whoever is silent for so long is taken for lost.
    pub(crate) lost: Duration,
    /// Who led before and let the lease run out. Nobody waits for him, though he is taken again if he comes.
    pub(crate) silent: Option<Arc<str>>,
    pub(crate) counts: Counts,
    /// Where traces go, if they are wanted.
    pub(crate) traces: Option<Arc<Traces>>,
}

impl Shared {
    /// As [`leads`](Self::leads), after another look if the last one is old: who was stopped, and goes on, does not
    /// know that he was. A lease that cannot be looked at is waited for as long as it is believed.
    pub(crate) async fn still_leads(&self) -> bool {
        let mut looked = self.looked.clone();
        let is_old = looked.borrow_and_update().elapsed() >= self.trusts;
        if is_old && tokio::time::timeout(self.trusts, looked.changed()).await.is_err() {
            tracing::debug!("the lease cannot be looked at, and is taken for held");
        }
        self.leads()
    }

    /// Whether this leader is the one that others attend to. One that is not goes on with the terms that it has, and
    /// begins none.
    pub(crate) fn leads(&self) -> bool {
        self.leads.borrow().as_ref().is_some_and(|leader| leader.same_channel(&self.leader))
    }
}

/// The leader of a group of workers.
pub(crate) struct Leader {
    shared: Shared,
    inbox: mpsc::UnboundedReceiver<ToLeader>,
    roster: Roster,
    runs: HashMap<RunName, mpsc::UnboundedSender<ToRunLead>>,
    /// Whether every run that the store had when this leader began is led.
    taken_up: bool,
    /// Who has partitions of which run.
    placed: HashMap<RunName, Vec<Connection>>,
}

impl Leader {
    pub(crate) fn new(shared: Shared, inbox: mpsc::UnboundedReceiver<ToLeader>) -> Self {
        Self {
            shared,
            inbox,
            roster: Roster::default(),
            runs: HashMap::new(),
            taken_up: false,
            placed: HashMap::new(),
        }
    }

    /// Leads until another one does and the runs are his.
    pub(crate) async fn lead(mut self) {
        // Not at once: whoever begins a leader tells him to take runs up, and a leader that nobody knows of would end.
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = self.inbox.recv() => match told {
                    Some(told) => self.told(told),
                    None => return,
                },
                _ = look.tick() => {
                    if self.shared.leads() {
                        // One may have been begun by a leader that died of it, or was lost to one that is gone.
                        self.take_up();
                    } else if self.runs.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    fn told(&mut self, told: ToLeader) {
        match told {
            ToLeader::Attached(attendant) => {
                tracing::info!(worker = attendant.name, "a worker attends");
                self.roster.attach(attendant);
                self.tell_members();
            }
            ToLeader::Said(from, said) => self.said(from, said),
            ToLeader::Detached(connection) => {
                if let Some(name) = self.roster.detach(connection) {
                    tracing::info!(worker = name, "a worker is gone");
                    self.tell_members();
                }
                self.dismiss_free();
            }
            ToLeader::Begin(new, reply) => self.begin(*new, reply),
            ToLeader::Lead(run) => self.lead_run(run),
            ToLeader::Run(run, ask) => match self.runs.get(&run) {
                Some(lead) => {
                    if lead.send(ToRunLead::Ask(ask)).is_err() {
                        tracing::debug!(%run, "the run has just ended");
                    }
                }
                None => drop(ask),
            },
            ToLeader::Placed(run, connections) => {
                self.placed.insert(run, connections);
                self.dismiss_free();
            }
            ToLeader::Over(run) => {
                self.runs.remove(&run);
                self.placed.remove(&run);
                self.dismiss_free();
            }
            ToLeader::Cluster(reply) => {
                if reply.send(self.workers()).is_err() {
                    tracing::trace!("nobody waits to hear of the cluster");
                }
            }
            ToLeader::TakeUp => self.take_up(),
            ToLeader::TakenUp => {
                self.taken_up = true;
                self.dismiss_free();
            }
        }
    }

    fn said(&mut self, from: Connection, said: v1::from_worker::Said) {
        use v1::from_worker::Said;
        let run = match &said {
            Said::Ready(ready) => &ready.run,
            Said::Reports(reports) => &reports.run,
            Said::Gone(gone) => &gone.run,
            Said::Text(text) => &text.run,
            Said::Relayed(batch) => &batch.run,
            Said::Leaving(_) => {
                self.roster.leaves(from);
                self.tell_members();
                self.dismiss_free();
                return;
            }
            Said::Beat(beat) => return self.roster.beats(from, beat.stale_refused),
            Said::Register(_) | Said::Piece(_) => return,
        };
        let lead = run.parse().ok().and_then(|run: RunName| self.runs.get(&run));
        if let Some(lead) = lead
            && lead.send(ToRunLead::Said(from, said)).is_err()
        {
            tracing::debug!("a run has ended that a worker speaks of");
        }
    }

    fn tell_members(&self) {
        let members = self.roster.members();
        // The order does not matter: every run hears it.
        #[expect(clippy::iter_over_hash_type, reason = "each run has a task of its own")]
        for lead in self.runs.values() {
            if lead.send(ToRunLead::Members(members.clone())).is_err() {
                tracing::trace!("a run has just ended");
            }
        }
    }

    /// Lets workers go that want to, and that no run needs.
    fn dismiss_free(&mut self) {
        // One that has just come from another leader may execute what a run has in flight that is not placed yet.
        if !self.taken_up || self.runs.keys().any(|run| !self.placed.contains_key(run)) {
            return;
        }
        let placed = &self.placed;
        let is_free = |worker| !placed.values().any(|connections| connections.contains(&worker));
        if self.roster.dismiss(&self.shared.name, is_free) {
            self.tell_members();
        }
    }

    /// Records a new run, and leads it. It waits for the store beside everything else.
    fn begin(&self, new: NewRun, reply: oneshot::Sender<Result<(), RunError>>) {
        let name = new.name.clone();
        let (store, owner) = (self.shared.store.clone(), self.shared.name.to_string());
        let leader = self.shared.leader.clone();
        tokio::spawn(async move {
            let recorded =
                tokio::task::spawn_blocking(move || superstep_runtime::record_run(&store, new, &owner));
            let recorded = recorded.await.expect("creating a log does not panic");
            if recorded.is_ok() && leader.send(ToLeader::Lead(name)).is_err() {
                tracing::debug!("the leader is gone that was to lead a new run");
            }
            if reply.send(recorded).is_err() {
                tracing::debug!("nobody waits for the run to begin any more");
            }
        });
    }

    fn lead_run(&mut self, run: RunName) {
        if self.runs.contains_key(&run) {
            return;
        }
        let (sender, inbox) = mpsc::unbounded_channel();
        let lead = RunLead::new(self.shared.clone(), run.clone(), inbox, self.roster.members());
        let span = log_span::of_run(&run);
        self.runs.insert(run, sender);
        tokio::spawn(lead.lead().instrument(span));
    }

    /// Goes on with every run of the store that has not ended, or whose leader has not lived to see to its end.
    fn take_up(&self) {
        let (store, leader) = (self.shared.store.clone(), self.shared.leader.clone());
        tokio::spawn(async move {
            let unfinished = tokio::task::spawn_blocking(move || {
                let runs = list_runs(&store)?;
                let open = runs.into_iter().filter(is_to_be_led);
                Ok::<Vec<RunName>, RunError>(open.map(|run| run.name).collect())
            });
            match unfinished.await.expect("listing runs does not panic") {
                Ok(runs) => {
                    let mut told = runs.into_iter().map(ToLeader::Lead).chain([ToLeader::TakenUp]);
                    if told.any(|told| leader.send(told).is_err()) {
                        tracing::debug!("the leader is gone that was to take runs up");
                    }
                }
                Err(error) => {
                    let why = crate::with_causes(&error);
                    tracing::warn!(%why, "the runs cannot be listed; they are again in a while");
                }
            }
        });
    }

    fn workers(&self) -> Vec<v1::Worker> {
        let partitions = |worker: Connection| {
            let of = self.placed.values().filter(|connections| connections.contains(&worker)).count();
            u32::try_from(of).unwrap_or(u32::MAX)
        };
        let worker = |attendant: &Attendant| v1::Worker {
            name: attendant.name.clone(),
            address: attendant.address.clone(),
            labels: attendant.labels.iter().cloned().collect(),
            partitions: partitions(attendant.connection),
            stale_refused: attendant.stale_refused,
        };
        self.roster.members().iter().map(worker).collect()
    }
}

fn is_to_be_led(run: &RunSummary) -> bool {
    match run.phase {
        RunPhase::Unfinished => true,
        RunPhase::Ended(_) => run.left && run.modified.elapsed().is_ok_and(|since| since < LATELY),
        RunPhase::Unreadable(_) => false,
    }
}

/// Whether a store may answer if it is asked again.
pub(crate) fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Away { .. } | StoreError::Io { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisions::Loader;

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_is_known_a_moment_later_leads() {
        let (known, leads) = watch::channel(None);
        let (_look, looked) = watch::channel(Instant::now());
        let (leader, inbox) = mpsc::unbounded_channel();
        let store = Store::memory();
        let shared = Shared {
            name: "one".into(),
            provisions: Arc::new(Loader::new(store.clone())),
            store,
            leader: leader.clone(),
            leads,
            looked,
            trusts: LOOK,
            lost: LOOK,
            silent: None,
            counts: Counts::default(),
            traces: None,
        };
        tokio::spawn(Leader::new(shared, inbox).lead());
        tokio::time::sleep(LOOK / 2).await;
        known.send_replace(Some(leader.clone()));
        tokio::time::sleep(LOOK * 2).await;
        let (reply, workers) = oneshot::channel();
        assert!(leader.send(ToLeader::Cluster(reply)).is_ok());
        assert_eq!(workers.await, Ok(Vec::new()));
        // When another one leads, and there are no runs, he ends.
        known.send_replace(None);
        leader.closed().await;
    }
}
