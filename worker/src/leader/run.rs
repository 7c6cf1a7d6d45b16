//! One run that is led here, from term to term.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use superstep_engine::{Placed, Record};
use superstep_graph::VertexName;
use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said;
use superstep_runtime::{Hub, RunError};
use superstep_store::{AppendError, Contents, JournalName, Log, RunName, StoreError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument as _;

use super::ask::Ask;
use super::spans::Spans;
use super::term::{Change, Term, TermEnd, check_met, needs_of};
use super::{Attendant, Connection, Members, Shared, ToLeader, ended, may_pass, texts};
use crate::counts::Held;
use crate::log_span;

/// How long a change of the workers is let settle before it makes a new term.
const SETTLES: Duration = Duration::from_millis(100);
/// How long the store, or a program that cannot be had, is left alone before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long at most something is left alone that will hardly pass.
const LONGEST: Duration = Duration::from_secs(60);

/// What a run is told.
pub(crate) enum ToRunLead {
    /// Who attends now.
    Members(Members),
    /// A worker has said something.
    Said(Connection, v1::from_worker::Said),
    /// Something is asked.
    Ask(Ask),
}

/// A log that is open, with all that it held.
pub(super) struct OpenLog {
    pub(super) log: Box<dyn Log<Record>>,
    pub(super) records: Vec<Record>,
}

/// A run that is led here.
pub(super) struct RunLead {
    pub(super) shared: Shared,
    pub(super) run: RunName,
    pub(super) inbox: mpsc::UnboundedReceiver<ToRunLead>,
    pub(super) members: Members,
    /// Journals that this process has sealed.
    sealed: BTreeSet<JournalName>,
    /// What was asked while no term could hear it.
    pub(super) asked: Vec<Ask>,
    /// Why the run does not go on at the moment.
    pub(super) waits_for: Option<String>,
    /// Whether the last term ended because the run should be elsewhere, and nothing was in flight.
    moved: bool,
    /// Whether this leader has had a term of the run.
    led: bool,
    /// Workers that said they cannot have the run, and when they may be asked again.
    pub(super) refused: Vec<(Connection, Instant)>,
    pub(super) spans: Spans,
    /// Those who want to hear what its models write.
    pub(super) hub: Arc<Hub>,
    /// It counts as led for as long as this is there.
    _held: Held,
}

/// Why no term has begun, or why one could not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("what the run needs cannot be known")]
    Provisions(#[source] crate::ProvisionsError),
    #[error("no worker has all that vertex {vertex:?} requires: {}", .labels.join(", "))]
    Unmet { vertex: VertexName, labels: Vec<String> },
}

impl LeadError {
    /// Whether another leader has the run.
    fn is_fenced(&self) -> bool {
        match self {
            Self::Append(error) | Self::Run(RunError::Append { source: error, .. }) => {
                matches!(error, AppendError::Fenced { .. })
            }
            Self::Store(_) | Self::Run(_) | Self::Provisions(_) | Self::Unmet { .. } => false,
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => may_pass(error),
            Self::Append(AppendError::Unknown { .. }) | Self::Unmet { .. } => true,
            Self::Append(AppendError::Refused { why, .. }) => may_pass(why),
            Self::Append(_) | Self::Run(_) | Self::Provisions(_) => false,
        }
    }
}

impl RunLead {
    pub(super) fn new(
        shared: Shared,
        run: RunName,
        inbox: mpsc::UnboundedReceiver<ToRunLead>,
        members: Members,
    ) -> Self {
        let spans = Spans::new(shared.traces.clone(), shared.lost);
        Self {
            _held: Held::new(&shared.counts.runs_led),
            shared,
            run,
            inbox,
            members,
            sealed: BTreeSet::new(),
            asked: Vec::new(),
            waits_for: None,
            moved: false,
            led: false,
            refused: Vec::new(),
            spans,
            hub: Arc::default(),
        }
    }

    /// Whether this leader has had a term of the run.
    pub(super) fn has_led(&self) -> bool {
        self.led
    }

    /// Leads the run to its end, or until another one leads it.
    pub(super) async fn lead(mut self) {
        let mut pause = PAUSE;
        while self.shared.still_leads().await {
            let ended = self.term().await;
            // One that others do not attend to goes on with what it has, and begins nothing.
            let leads = self.shared.still_leads().await;
            match ended {
                Ok(TermEnd::Ended | TermEnd::Unheard) => break,
                Ok(TermEnd::Changed(change)) if leads => {
                    tracing::info!(run = %self.run, ?change, "the run goes on in another term");
                    self.moved = change == Change::Moved;
                    pause = PAUSE;
                }
                Err(error) if leads => {
                    let why = crate::with_causes(&error);
                    if error.is_fenced() {
                        // By one who does not lead any more, or by a write of this leader that it had given up.
                        tracing::info!(run = %self.run, "the run is taken again");
                        pause = SETTLES;
                    } else if self.waits_for.as_ref() == Some(&why) {
                        tracing::debug!(run = %self.run, %why, "the run still waits");
                    } else if error.may_pass() {
                        tracing::warn!(run = %self.run, %why, "the run waits");
                    } else {
                        tracing::error!(run = %self.run, %why, "the run cannot go on");
                    }
                    pause = if error.may_pass() { PAUSE } else { (pause * 2).min(LONGEST) };
                    self.waits_for = Some(why);
                    if !self.pause(pause).await {
                        return;
                    }
                }
                Ok(TermEnd::Changed(_)) | Err(_) => {
                    tracing::info!(run = %self.run, "another leader has the run");
                    break;
                }
            }
        }
        if self.shared.leader.send(ToLeader::Over(self.run.clone())).is_err() {
            tracing::trace!("the leader is gone");
        }
    }

    /// Waits for a while, and hears what is said meanwhile; whether somebody can be heard at all.
    pub(super) async fn pause(&mut self, duration: Duration) -> bool {
        let until = sleep(duration);
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return true,
                told = self.inbox.recv() => match told {
                    Some(told) => self.between_terms(told),
                    None => return false,
                },
            }
        }
    }

    /// Takes in what comes while no term goes on.
    pub(super) fn between_terms(&mut self, told: ToRunLead) {
        match told {
            ToRunLead::Members(members) => self.members = members,
            ToRunLead::Said(_, v1::from_worker::Said::Text(text)) => texts::hear(&self.hub, text),
            ToRunLead::Said(..) => {}
            ToRunLead::Ask(Ask::Texts(reply)) => texts::attach(&self.hub, reply),
            ToRunLead::Ask(Ask::State(reply)) => {
                let why = self.waits_for.clone().unwrap_or_else(|| "it is being taken over".to_owned());
                if reply.send(Err(why)).is_err() {
                    tracing::trace!("nobody waits for the state of the run");
                }
            }
            ToRunLead::Ask(ask) => self.asked.push(ask),
        }
    }

    /// One term: from the log to a change, or to the end of the run.
    async fn term(&mut self) -> Result<TermEnd, LeadError> {
        let open = self.open().await?;
        if open.records.iter().any(|record| matches!(record, Record::Ended(_))) {
            let OpenLog { log, records } = open;
            drop(log);
            ended::see_to(self, records).await;
            return Ok(TermEnd::Ended);
        }
        let Some(workers) = self.workers(&open.records).await else { return Ok(TermEnd::Unheard) };
        if let Some(Record::RunStarted(started)) = open.records.first() {
            // Others may have what is asked for that have no part of the run yet.
            check_met(&needs_of(started), &workers).inspect_err(|_| self.moved = true)?;
        }
        self.place(workers.iter().map(|worker| worker.connection).collect());
        let parted = self.parted(&open.records, &workers);
        let began = open.records.first().cloned();
        let term = Term::begin(self, open, workers).await;
        self.moved |= matches!(term, Err(LeadError::Unmet { .. }));
        let term = term?;
        (self.waits_for, self.moved, self.led) = (None, false, true);
        for worker in parted {
            worker.say(Said::Release(v1::Release { run: self.run.to_string(), epoch: term.epoch() }));
        }
        let span = log_span::of_term(&self.run, term.epoch(), self.spans.trace());
        let (end, finished) = term.drive(self).instrument(span).await?;
        if let (Some(end), Some(Record::RunStarted(started))) = (finished, began) {
            ended::settle(&self.shared, &self.run, started, Some(end)).await;
        }
        Ok(end)
    }

    /// Tells the leader who has the run, so that they are not dismissed.
    pub(super) fn place(&self, connections: Vec<Connection>) {
        if self.shared.leader.send(ToLeader::Placed(self.run.clone(), connections)).is_err() {
            tracing::trace!("the leader is gone");
        }
    }

    /// Those that had a part of the run and are there, but are to have none: what they execute of it is of no use.
    pub(super) fn parted(&self, records: &[Record], workers: &[Attendant]) -> Vec<Attendant> {
        let had: BTreeSet<&str> = last_placed(records).map(|placed| placed.worker.as_str()).collect();
        let is_parted = |one: &&Attendant| {
            had.contains(one.name.as_str())
                && !workers.iter().any(|worker| worker.connection == one.connection)
        };
        self.members.iter().filter(is_parted).cloned().collect()
    }

    /// The workers that are to have the run, once there are any. Those that had it and are there have it again, also
    /// if they want to leave, for they execute what was in flight; the others wait until nothing is.
    pub(super) async fn workers(&mut self, records: &[Record]) -> Option<Vec<Attendant>> {
        let had: BTreeSet<&str> = last_placed(records).map(|placed| placed.worker.as_str()).collect();
        let begun = Instant::now();
        let mut settles = begun + SETTLES;
        loop {
            while let Ok(told) = self.inbox.try_recv() {
                if matches!(told, ToRunLead::Members(_)) {
                    settles = Instant::now() + SETTLES;
                }
                self.between_terms(told);
            }
            let now = Instant::now();
            self.refused.retain(|(_, until)| *until > now);
            let refused =
                |one: &Attendant| self.refused.iter().any(|(refused, _)| *refused == one.connection);
            let stays = |one: &&Attendant| !one.leaving && !refused(one);
            let again = |one: &&Attendant| had.contains(one.name.as_str()) && !refused(one);
            let mut able: Vec<Attendant> = Vec::new();
            if !self.moved {
                able = self.members.iter().filter(again).cloned().collect();
            }
            let is_missed = |name: &str| {
                self.shared.silent.as_deref() != Some(name) && !able.iter().any(|one| one.name == name)
            };
            let all = !had.iter().any(|name| is_missed(name));
            // A new leader waits for the workers that had the run, which still execute what was in flight.
            let complete = self.led || self.moved || all || now >= begun + self.shared.lost;
            if able.is_empty() && complete {
                able = self.members.iter().filter(stays).cloned().collect();
            }
            if complete && !able.is_empty() && now >= settles {
                return Some(able);
            }
            if !self.shared.leads() {
                return None;
            }
            if able.is_empty() && complete {
                self.waits_for = Some("no worker can have it".to_owned());
                // Those that had it and want to leave need not wait.
                self.place(Vec::new());
            }
            let next = if settles > now { settles } else { now + SETTLES.max(PAUSE / 4) };
            tokio::select! {
                told = self.inbox.recv() => {
                    if matches!(told, Some(ToRunLead::Members(_))) {
                        settles = Instant::now() + SETTLES;
                    }
                    self.between_terms(told?);
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Opens the log. The journals of the terms before are sealed first, so that all is there that anybody was told
    /// to be durable, and nothing is added any more.
    async fn open(&mut self) -> Result<OpenLog, LeadError> {
        let (store, run, owner) = (self.shared.store.clone(), self.run.clone(), self.shared.name.to_string());
        let mut sealed = std::mem::take(&mut self.sealed);
        let opened = tokio::task::spawn_blocking(move || {
            let (mut log, mut contents) = store.open(&run, &owner)?;
            let mut news = false;
            for name in journals(&contents)? {
                if !sealed.contains(&name) {
                    store.seal_journal(&run, &name)?;
                    sealed.insert(name);
                    news = true;
                }
            }
            if news {
                drop(log);
                (log, contents) = store.open(&run, &owner)?;
            }
            Ok::<_, StoreError>((sealed, OpenLog { log, records: contents.records }))
        });
        let (sealed, open) = opened.await.expect("opening a log does not panic")?;
        self.sealed = sealed;
        Ok(open)
    }
}

/// The journals that the records of a log name.
fn journals(contents: &Contents<Record>) -> Result<Vec<JournalName>, StoreError> {
    let placed = contents.records.iter().filter_map(placed_by);
    placed.flatten().map(|placed| placed.journal.parse()).collect()
}

/// Who had the run last.
fn last_placed(records: &[Record]) -> impl Iterator<Item = &Placed> {
    records.iter().rev().find_map(placed_by).into_iter().flatten()
}

fn placed_by(record: &Record) -> Option<&Vec<Placed>> {
    if let Record::Placed(placed) = record { Some(placed) } else { None }
}
