//! One term of a run: its coordinator, its log, and the workers that have its partitions.

mod asked;
mod awaited;
mod placing;
mod said;

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use superstep_engine::{
    Command, Coordinator, CoordinatorAction, CoordinatorEvent, Epoch, Notice, PartitionId, Placed, Record,
    RunStarted, RunStatus, Token,
};
use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said;
use superstep_runtime::{Clock, Hub, Requests, RunEnd, parts_of};
use superstep_store::{AppendError, Log, Position, RunName};
use superstep_telemetry::LeaderPast;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::run::{LeadError, OpenLog, RunLead, ToRunLead};
use super::spans::Spans;
use super::{Attendant, Members, Shared, texts};
use crate::off_thread::OffThread;
use awaited::Awaited;
use placing::{Needs, add_present_needs, epoch_of, homes_of, placed};
pub(super) use placing::{check_met, needs_of};

/// How a term ends.
#[derive(Debug)]
pub(super) enum TermEnd {
    /// The run has ended.
    Ended,
    /// Another one is to begin.
    Changed(Change),
    /// Nobody hears the leader any more.
    Unheard,
}

/// Why another term begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A worker is lost, or has lost its partition.
    Lost,
    /// Workers have come, or want to go, or vertices ask for other ones, and nothing was in flight.
    Moved,
}

/// An append that has ended.
type Appended = (Token, u64, Result<Position, AppendError>);

/// One term.
pub(super) struct Term {
    run: RunName,
    shared: Shared,
    epoch: u64,
    started: Arc<RunStarted>,
    coordinator: Coordinator,
    log: OffThread<Box<dyn Log<Record>>>,
    /// How many records the run's own log has, durably.
    position: u64,
    appends: FuturesUnordered<BoxFuture<'static, Appended>>,
    /// Who has the partitions, in their order.
    workers: Vec<Attendant>,
    /// What vertices ask for of their workers.
    needs: Needs,
    /// Whether a mutation has made them ask for more than the partitions were given out by.
    asks_for_more: bool,
    /// What each is to do, until it is told.
    commands: Vec<Vec<v1::Command>>,
    requests: Requests<Token>,
    hub: Arc<Hub>,
    cancelling: Vec<oneshot::Sender<RunStatus>>,
    clock: Clock,
    /// Whether a worker is lost.
    lost: bool,
    awaited: Awaited,
    ended: Option<RunStatus>,
}

impl Term {
    /// Takes the run over for a new term, and gives its partitions to `workers`.
    pub(super) async fn begin(
        lead: &mut RunLead,
        open: OpenLog,
        workers: Vec<Attendant>,
    ) -> Result<Self, LeadError> {
        let OpenLog { mut log, mut records } = open;
        let Some(Record::RunStarted(started)) = records.first().cloned() else {
            return Err(superstep_runtime::RunError::Empty { run: lead.run.clone() }.into());
        };
        let epoch = records.iter().map(epoch_of).max().unwrap_or(0) + 1;
        let placed: Vec<Placed> = workers.iter().map(|worker| placed(worker, epoch)).collect();
        let owner = lead.shared.name.to_string();
        let first = vec![Record::EpochTaken { epoch: Epoch(epoch), owner }, Record::Placed(placed.clone())];
        records.extend(first.iter().cloned());
        let (mut needs, began) = (needs_of(&started), Arc::clone(&started));
        let (run, shared) = (lead.run.clone(), lead.shared.clone());
        let programs = shared.provisions.not_loaded(&run, &started).map_err(LeadError::Provisions)?;
        let (replay, homes) = (run.clone(), placed.clone());
        let (mut past, anew) = (lead.spans.past(&started), lead.spans.past(&started));
        let replayed = tokio::task::spawn_blocking(move || {
            let parts = |needs: &Needs, past: &mut Option<LeaderPast>| {
                let tell = |notice: &Notice| past.iter_mut().for_each(|past| past.tell(notice));
                parts_of(&replay, &records, &programs, homes_of(&homes, needs.clone()), tell)
            };
            let (mut coordinator, _) = parts(&needs, &mut past)?;
            // Vertices that mutations brought may ask for something too, which the log alone tells.
            if add_present_needs(&mut needs, &began, &coordinator) {
                past = anew;
                (coordinator, _) = parts(&needs, &mut past)?;
            }
            Ok::<_, superstep_runtime::RunError>((records, coordinator, needs, past))
        });
        // A log that cannot be replayed is left to whoever has it.
        let (records, coordinator, needs, past) = replayed.await.expect("replaying a log does not panic")?;
        check_met(&needs, &workers)?;
        // Whoever had the run is fenced by this, before anything else happens.
        let count = first.len() as u64;
        let Position(at) = log.append(first).await?;
        let position = at + count;
        let (clock, awaited) = (Clock::start(), Awaited::all(workers.len()));
        let mut term = Self {
            run,
            shared,
            epoch,
            started,
            coordinator,
            log: OffThread::new(log),
            position,
            appends: FuturesUnordered::new(),
            commands: vec![Vec::new(); workers.len()],
            workers,
            needs,
            asks_for_more: false,
            requests: Requests::default(),
            hub: Arc::clone(&lead.hub),
            cancelling: Vec::new(),
            clock,
            lost: false,
            awaited,
            ended: None,
        };
        lead.spans.take_up(past, epoch, placed.len());
        term.assign(&records, &placed, &lead.spans.traceparent());
        term.requests.remember(&records);
        if term.hub.has_listeners() {
            texts::listen(&term.workers, &term.run, true);
        }
        let now = clock.now();
        for (id, question) in term.coordinator.questions() {
            term.requests.asked(id, question, now);
        }
        term.coordinator.go_live(Epoch(epoch), now);
        for ask in std::mem::take(&mut lead.asked) {
            term.ask(ask);
        }
        Ok(term)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Drives the run until the term ends; with how the run ended, if it has.
    pub(super) async fn drive(mut self, lead: &mut RunLead) -> Result<(TermEnd, Option<RunEnd>), LeadError> {
        tracing::info!(workers = self.workers.len(), "a term begins");
        loop {
            self.act(&mut lead.spans)?;
            self.give_up_overdue(lead);
            let told = self.lost || lead.spans.is_told();
            if let Some(status) = self.ended.take_if(|_| told) {
                lead.spans.finish();
                tracing::info!(?status, "the run has ended");
                return Ok((TermEnd::Ended, Some(self.finish(status))));
            }
            if self.lost {
                return Ok((TermEnd::Changed(Change::Lost), None));
            }
            let misplaced = self.asks_for_more || is_misplaced(&self.workers, lead);
            // Who is to leave or to come, and vertices that are to be elsewhere, wait for the end of the present
            // superstep, and not for the end of the run.
            self.coordinator.let_start_at_once(!misplaced && self.all_start_at_once());
            if misplaced && self.coordinator.rests() && self.appends.is_empty() {
                return Ok((TermEnd::Changed(Change::Moved), None));
            }
            self.flush();
            let requests = self.requests.next_deadline();
            let due = self.coordinator.poll_timeout().into_iter().chain(requests).min();
            let due = lead.spans.until(self.clock.at(due));
            let due = self.awaited.deadline().into_iter().chain([due]).min();
            tokio::select! {
                Some(appended) = self.appends.next() => self.appended(appended)?,
                told = lead.inbox.recv() => match told {
                    Some(told) => self.told(lead, told),
                    None => return Ok((TermEnd::Unheard, None)),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)) => self.timeout(),
            }
            while let Ok(told) = lead.inbox.try_recv() {
                self.told(lead, told);
            }
        }
    }

    /// Whether every worker can start a superstep that it delivers. One of an earlier release cannot.
    fn all_start_at_once(&self) -> bool {
        self.workers.iter().all(|worker| worker.starts_at_once)
    }

    fn finish(mut self, status: RunStatus) -> RunEnd {
        self.flush();
        for worker in &self.workers {
            worker.say(Said::Release(v1::Release { run: self.run.to_string(), epoch: self.epoch }));
        }
        for waiting in self.cancelling {
            if waiting.send(status.clone()).is_err() {
                tracing::trace!("nobody waits for the end of the run");
            }
        }
        let (outputs, totals) = (self.coordinator.outputs(), self.coordinator.totals());
        RunEnd { status, outputs, totals }
    }

    /// Does everything that the coordinator wants done, apart from telling the workers.
    fn act(&mut self, spans: &mut Spans) -> Result<(), LeadError> {
        while let Some(action) = self.coordinator.poll_action() {
            match action {
                CoordinatorAction::Command(to, command) => self.command(to, &command),
                CoordinatorAction::Append(token, records) => self.append(token, records)?,
                CoordinatorAction::Notify(notice) => {
                    spans.notice(&notice);
                    self.notice(&notice);
                }
                CoordinatorAction::Ended(status) => self.ended = Some(status),
            }
        }
        Ok(())
    }

    fn command(&mut self, to: Option<PartitionId>, command: &Command) {
        let said = superstep_wire::command(command);
        match to {
            Some(to) => {
                if let Some(commands) = self.commands.get_mut(to.0 as usize) {
                    commands.push(said);
                }
            }
            None => self.commands.iter_mut().for_each(|commands| commands.push(said.clone())),
        }
    }

    /// Tells the workers what they are to do.
    fn flush(&mut self) {
        for (worker, commands) in self.workers.iter().zip(&mut self.commands) {
            if !commands.is_empty() {
                worker.say(Said::Commands(v1::Commands {
                    run: self.run.to_string(),
                    epoch: self.epoch,
                    position: self.position,
                    commands: std::mem::take(commands),
                }));
            }
        }
    }

    fn append(&mut self, token: Token, records: Vec<Record>) -> Result<(), LeadError> {
        self.requests.appending(token, &records);
        let count = records.len() as u64;
        let mut append = self.log.append(records);
        match (&mut append).now_or_never() {
            Some(result) => self.appended((token, count, result)),
            None => {
                self.appends.push(append.map(move |result| (token, count, result)).boxed());
                Ok(())
            }
        }
    }

    fn appended(&mut self, (token, count, result): Appended) -> Result<(), LeadError> {
        let Position(at) = result?;
        self.position = self.position.max(at + count);
        self.requests.durable(token);
        self.coordinator.handle(CoordinatorEvent::Durable(token), self.clock.now());
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) {
        if let Notice::Asked { id, question } = notice {
            self.requests.asked(id, question, self.clock.now());
        }
        if matches!(notice, Notice::Committed { .. }) {
            self.shared.counts.supersteps.inc();
        }
        if matches!(notice, Notice::Mutated { .. }) {
            self.asks_for_more |= add_present_needs(&mut self.needs, &self.started, &self.coordinator);
        }
    }

    fn timeout(&mut self) {
        let now = self.clock.now();
        if self.coordinator.poll_timeout().is_some_and(|due| due <= now) {
            self.coordinator.handle_timeout(now);
        }
        for (question, answer) in self.requests.take_due(now) {
            self.coordinator.handle(CoordinatorEvent::Answer(question, answer), now);
        }
    }

    fn told(&mut self, lead: &mut RunLead, told: ToRunLead) {
        match told {
            ToRunLead::Members(members) => {
                self.lost |= self.workers.iter().any(|worker| !is_there(worker, &members));
                lead.members = members;
            }
            ToRunLead::Said(from, said) => self.said(lead, from, said),
            ToRunLead::Ask(ask) => self.ask(ask),
        }
    }
}

/// Whether other workers should have the run than those that do. Those that cannot have it at the moment should not.
fn is_misplaced(workers: &[Attendant], lead: &RunLead) -> bool {
    let now = Instant::now();
    let cannot =
        |one: &Attendant| lead.refused.iter().any(|(who, until)| *who == one.connection && *until > now);
    let able = lead.members.iter().filter(|member| !member.leaving && !cannot(member));
    able.map(|member| member.connection).ne(workers.iter().map(|worker| worker.connection))
}

fn is_there(worker: &Attendant, members: &Members) -> bool {
    members.iter().any(|member| member.connection == worker.connection)
}
