//! One run that is led here, from term to term.

use std::collections::BTreeSet;
use std::time::Duration;

use superstep_engine::Record;
use superstep_proto::v1;
use superstep_runtime::{RunError, note_end};
use superstep_store::{AppendError, Contents, JournalName, Log, RunName, StoreError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::ask::Ask;
use super::term::{Change, Term, TermEnd};
use super::{Attendant, Connection, Members, Shared, ToLeader, may_pass};

/// How long a change of the workers is let settle before it makes a new term.
const SETTLES: Duration = Duration::from_millis(100);
/// How long the store, or a program that cannot be had, is left alone before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

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
    /// Workers that said they cannot have the run, and when they may be asked again.
    pub(super) refused: Vec<(Connection, Instant)>,
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
}

impl LeadError {
    /// Whether another leader has the run.
    fn is_fenced(&self) -> bool {
        match self {
            Self::Append(error) | Self::Run(RunError::Append { source: error, .. }) => {
                matches!(error, AppendError::Fenced { .. })
            }
            Self::Store(_) | Self::Run(_) | Self::Provisions(_) => false,
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => may_pass(error),
            Self::Append(AppendError::Unknown { .. }) => true,
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
        Self {
            shared,
            run,
            inbox,
            members,
            sealed: BTreeSet::new(),
            asked: Vec::new(),
            waits_for: None,
            refused: Vec::new(),
        }
    }

    /// Leads the run to its end, or until another one leads it.
    pub(super) async fn lead(mut self) {
        loop {
            match self.term().await {
                Ok(TermEnd::Ended) => break,
                Ok(TermEnd::Changed(change)) => {
                    tracing::info!(run = %self.run, ?change, "the run goes on in another term");
                }
                Ok(TermEnd::Unheard) => return,
                Err(error) if error.is_fenced() => {
                    tracing::info!(run = %self.run, "another leader has taken the run");
                    break;
                }
                Err(error) => {
                    let why = crate::with_causes(&error);
                    if error.may_pass() {
                        tracing::warn!(run = %self.run, %why, "the run waits");
                    } else {
                        tracing::error!(run = %self.run, %why, "the run cannot go on");
                    }
                    self.waits_for = Some(why);
                    if !self.pause(PAUSE).await {
                        return;
                    }
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
            ToRunLead::Said(..) => {}
            ToRunLead::Ask(ask) => self.asked.push(ask),
        }
    }

    /// One term: from the log to a change, or to the end of the run.
    async fn term(&mut self) -> Result<TermEnd, LeadError> {
        let Some(workers) = self.workers().await else { return Ok(TermEnd::Unheard) };
        let open = self.open().await?;
        if open.records.iter().any(|record| matches!(record, Record::Ended(_))) {
            return Ok(TermEnd::Ended);
        }
        let Some(term) = Term::begin(self, open, workers).await? else {
            return Ok(TermEnd::Changed(Change::Lost));
        };
        self.waits_for = None;
        let connections = term.connections();
        if self.shared.leader.send(ToLeader::Placed(self.run.clone(), connections)).is_err() {
            return Ok(TermEnd::Unheard);
        }
        let (end, finished) = term.drive(self).await?;
        if let Some((begun, end)) = finished {
            let (store, run) = (self.shared.store.clone(), self.run.clone());
            let noted =
                tokio::task::spawn_blocking(move || note_end(&store, &run, (&begun.0, begun.1), None, &end));
            noted.await.expect("noting the end of a run does not panic");
        }
        Ok(end)
    }

    /// The workers that can have the run, once there are any.
    async fn workers(&mut self) -> Option<Vec<Attendant>> {
        let mut settles = Instant::now() + SETTLES;
        loop {
            while let Ok(told) = self.inbox.try_recv() {
                if matches!(told, ToRunLead::Members(_)) {
                    settles = Instant::now() + SETTLES;
                }
                self.between_terms(told);
            }
            let now = Instant::now();
            self.refused.retain(|(_, until)| *until > now);
            let able = |one: &&Attendant| {
                !one.leaving && !self.refused.iter().any(|(refused, _)| *refused == one.connection)
            };
            let able: Vec<Attendant> = self.members.iter().filter(able).cloned().collect();
            if !able.is_empty() && now >= settles {
                return Some(able);
            }
            if able.is_empty() {
                self.waits_for = Some("no worker can have it".to_owned());
            }
            let look = sleep_until(if able.is_empty() { now + PAUSE } else { settles });
            tokio::select! {
                told = self.inbox.recv() => {
                    if matches!(told, Some(ToRunLead::Members(_))) {
                        settles = Instant::now() + SETTLES;
                    }
                    self.between_terms(told?);
                }
                () = look => {}
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
    let placed = contents.records.iter().filter_map(|record| match record {
        Record::Placed(placed) => Some(placed),
        Record::RunStarted(_)
        | Record::EpochTaken { .. }
        | Record::CallIntent { .. }
        | Record::CallEnded { .. }
        | Record::AttemptFailed { .. }
        | Record::Suspended { .. }
        | Record::Answered { .. }
        | Record::Patched(_)
        | Record::Committed(_)
        | Record::Ended(_)
        | Record::Known(_)
        | Record::Measured(_)
        | Record::Forked { .. }
        | Record::Continued(_)
        | Record::Compacted(_)
        | Record::Told(_) => None,
    });
    placed.flatten().map(|placed| placed.journal.parse()).collect()
}
