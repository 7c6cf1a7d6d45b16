//! The part of one run that is in this worker, from term to term.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::{FutureExt as _, OptionFuture};
use superstep_engine::{ActivationId, Notice, PartitionId, Record};
use superstep_proto::v1;
use superstep_proto::v1::from_worker::Said;
use superstep_runtime::{Clock, Deed, Hands, Hub, Programs, RunEvent, RunEvents, parts_of};
use superstep_store::RunName;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep_until};
use tracing::Instrument as _;

use super::exchange::Granted;
use super::spans::Spans;
use super::term::{Lost, Term};
use super::{Assigned, Peer, TextsToLeader, ToRun};
use crate::counts::Held;
use crate::labels::models_at;
use crate::log_span;
use crate::provisions::ProvisionsError;

/// How long what was running is kept for the next leader when a term is over.
const KEPT: Duration = Duration::from_secs(120);

/// One run in this worker: what executes its programs, and its partition of the present term.
pub(super) struct PeerRun {
    peer: Peer,
    run: RunName,
    inbox: mpsc::UnboundedReceiver<ToRun>,
    clock: Clock,
    programs: Option<Arc<Programs>>,
    hands: Option<Hands>,
    /// What its models write.
    hub: Arc<Hub>,
    /// That, if anybody wants to hear it, and where it goes.
    texts: Option<RunEvents>,
    texts_to: Option<TextsToLeader>,
    term: Option<Term>,
    /// The highest term that was heard of.
    epoch: u64,
    /// Batches of a term that is not assigned yet.
    early: Vec<v1::Batch>,
    /// When what is left here is given up, while there is no term.
    gives_up: Option<Instant>,
    released: bool,
    spans: Spans,
    /// What log lines say of the run and its term.
    log: tracing::Span,
}

/// Why a partition cannot be worked on.
#[derive(Debug, thiserror::Error)]
enum Unworkable {
    #[error("what the run needs cannot be loaded")]
    Provisions(#[source] ProvisionsError),
    #[error(transparent)]
    Run(#[from] superstep_runtime::RunError),
    #[error("the journal of the term cannot be opened")]
    Journal(#[from] superstep_store::StoreError),
    #[error("the assignment makes no sense")]
    Senseless,
}

impl PeerRun {
    pub(super) fn new(peer: Peer, run: RunName, inbox: mpsc::UnboundedReceiver<ToRun>) -> Self {
        Self {
            spans: Spans::new(peer.tracer.clone()),
            log: log_span::of_run(&run),
            peer,
            run,
            inbox,
            clock: Clock::start(),
            programs: None,
            hands: None,
            hub: Arc::default(),
            texts: None,
            texts_to: None,
            term: None,
            epoch: 0,
            early: Vec::new(),
            gives_up: Some(Instant::now() + KEPT),
            released: false,
        }
    }

    /// Works until the run is released.
    pub(super) async fn work(mut self) {
        loop {
            let log = self.log.clone();
            if self.step().instrument(log).await {
                return;
            }
        }
    }

    /// Does what is to be done, and takes in what comes next; whether the run is released.
    async fn step(&mut self) -> bool {
        self.settle();
        while self.released {
            self.spans.release();
            if self.peer.forget(&self.run, &self.inbox) {
                return true;
            }
            self.look().await;
        }
        self.wait().await;
        self.look().await;
        false
    }

    fn settle(&mut self) {
        let now = self.clock.now();
        if let (Some(term), Some(hands)) = (&mut self.term, &mut self.hands) {
            let settled = term.settle(&self.peer, hands, &mut self.spans, now);
            self.unless_lost(settled);
        }
    }

    fn unless_lost(&mut self, result: Result<(), Lost>) {
        let Err(lost) = result else { return };
        if let Some(term) = self.end_term() {
            let why = crate::with_causes(&lost);
            tracing::info!(run = %self.run, epoch = term.epoch, %why, "a partition is given up");
            term.say(Said::Gone(v1::Gone { run: self.run.to_string(), epoch: term.epoch, why }));
        }
    }

    /// Parts what runs from its partition: another term may want it.
    fn end_term(&mut self) -> Option<Term> {
        let term = self.term.take()?;
        if let Some(hands) = &mut self.hands {
            hands.let_go();
        }
        self.spans.let_go();
        self.gives_up = Some(Instant::now() + KEPT);
        Some(term)
    }

    async fn wait(&mut self) {
        let due = self.term.as_ref().and_then(Term::poll_timeout);
        let timeout = sleep_until(self.clock.at(due));
        let gives_up = OptionFuture::from(self.gives_up.map(sleep_until));
        let deed = OptionFuture::from(self.hands.as_mut().map(Hands::next));
        let (appended, fetched) = match &mut self.term {
            Some(term) => {
                let (appended, fetched) = term.waits();
                (Some(appended), Some(fetched))
            }
            None => (None, None),
        };
        let (appended, fetched) = (OptionFuture::from(appended), OptionFuture::from(fetched));
        let text = OptionFuture::from(self.texts.as_mut().zip(self.texts_to.clone()).map(next_text));
        tokio::select! {
            Some(told) = self.inbox.recv() => self.told(told).await,
            Some(deed) = deed => self.done(deed),
            Some(fetched) = fetched => {
                let now = self.clock.now();
                if let (Some(term), Some(hands)) = (&mut self.term, &mut self.hands) {
                    let started = term.fetched(fetched, hands, now);
                    self.unless_lost(started);
                }
            }
            Some(appended) = appended => {
                let now = self.clock.now();
                if let Some(term) = &mut self.term {
                    let durable = term.durable(appended, now);
                    self.unless_lost(durable);
                }
            }
            Some((seat, text)) = text => drop(seat.send(self.text(text))),
            Some(()) = gives_up => self.released = true,
            () = timeout => {
                let now = self.clock.now();
                if let Some(term) = &mut self.term {
                    term.handle_timeout(now);
                }
            }
        }
    }

    /// Takes in everything that has come, without waiting.
    async fn look(&mut self) {
        while let Ok(told) = self.inbox.try_recv() {
            self.told(told).await;
        }
        while let Some(deed) = self.hands.as_mut().and_then(Hands::try_next) {
            self.done(deed);
        }
    }

    fn done(&mut self, deed: Deed) {
        match deed {
            Deed::Finished { .. } => self.send_texts(),
            Deed::Ended { .. } => drop(self.peer.counts.calls.inc()),
            Deed::Asked { .. } => {}
        }
        let now = self.clock.now();
        if let Some(term) = &mut self.term {
            term.done(deed, now);
        }
    }

    /// Sends the texts that wait and for which there are seats: the end of one comes before that of its activation.
    fn send_texts(&mut self) {
        while let Some((texts, to)) = self.texts.as_mut().zip(self.texts_to.clone())
            && let Ok(seat) = to.try_reserve_owned()
            && let Some(Some(text)) = texts.next().now_or_never()
        {
            drop(seat.send(self.text(text)));
        }
    }

    fn text(&self, event: RunEvent) -> v1::FromWorker {
        let mut said = v1::Text { run: self.run.to_string(), ..v1::Text::default() };
        match event {
            RunEvent::Text { activation, text } => {
                (said.activation, said.text) = (Some(superstep_wire::activation(&activation)), text);
            }
            RunEvent::Missed { bytes, .. } => said.missed_bytes = bytes,
            // Whoever watches a run reads its log.
            RunEvent::Notice(_) => {}
        }
        v1::FromWorker { said: Some(Said::Text(said)) }
    }

    async fn told(&mut self, told: ToRun) {
        let now = self.clock.now();
        match told {
            ToRun::Assign(assigned) => {
                let log = log_span::of_term(&self.run, assigned.assign.epoch, None);
                self.assign(*assigned).instrument(log).await;
            }
            ToRun::Commands(commands) => match (&mut self.term, &mut self.hands) {
                (Some(term), Some(hands)) if term.epoch == commands.epoch => {
                    let done = term.commands(commands, &self.peer, hands, &mut self.spans, now).await;
                    self.unless_lost(done);
                }
                // Those of a term that this worker has given up are not refused: its leader hears of that.
                _ if commands.epoch < self.epoch => {
                    self.peer.counts.stale.refuse(&self.run, "commands", commands.epoch);
                }
                _ => {}
            },
            ToRun::Batch(batch, granted) => self.batch(batch, granted),
            ToRun::Unreadable(epoch, why) => {
                if self.term.as_ref().is_some_and(|term| term.epoch == epoch) {
                    self.unless_lost(Err(Lost::Unreadable(why)));
                }
            }
            ToRun::Release(epoch) if epoch >= self.epoch => {
                self.settle();
                // Who sees that the partition is gone finds all told that the trace is to have of it.
                self.spans.release();
                self.term = None;
                self.released = true;
                self.peer.links.forget(&self.run, u64::MAX);
            }
            ToRun::Release(epoch) => self.peer.counts.stale.refuse(&self.run, "a release", epoch),
            ToRun::Listen(true) => {
                self.texts.get_or_insert_with(|| self.hub.events());
            }
            ToRun::Listen(false) => self.texts = None,
        }
    }

    fn batch(&mut self, batch: v1::Batch, granted: Option<Granted>) {
        let present = self.term.as_ref().map(|term| term.epoch);
        if batch.epoch < self.epoch || (batch.epoch == self.epoch && present.is_none()) {
            self.peer.counts.stale.refuse(&self.run, "messages", batch.epoch);
            return;
        }
        if present != Some(batch.epoch) {
            // The sender has its credit back: another run must not wait until this one is assigned.
            drop(granted);
            self.early.push(batch);
            return;
        }
        let whole = self.term.as_ref().map(|term| term.taken_whole(&batch)).unwrap_or_default();
        if !whole.is_empty() {
            return self.peer.fetch(self.run.clone(), batch, granted, whole);
        }
        let (superstep, now) = (batch.superstep, self.clock.now());
        self.spans.came(&batch);
        match (superstep_wire::messages_of(batch), &mut self.term) {
            (Ok(messages), Some(term)) => term.messages(superstep, messages, now),
            (Err(error), _) => self.unless_lost(Err(error.into())),
            (Ok(_), None) => {}
        }
        drop(granted);
    }

    async fn assign(&mut self, assigned: Assigned) {
        let epoch = assigned.assign.epoch;
        if epoch <= self.epoch {
            self.peer.counts.stale.refuse(&self.run, "an assignment", epoch);
            return;
        }
        self.epoch = epoch;
        self.end_term();
        self.peer.links.forget(&self.run, epoch);
        let leader = assigned.leader.clone();
        self.texts_to = Some(assigned.texts.clone());
        let run = self.run.to_string();
        match self.begin(&assigned).await {
            Ok(mut term) => {
                term.go_live(self.clock.now());
                self.term = Some(term);
                (self.gives_up, self.released) = (None, false);
                self.log = log_span::of_term(&self.run, epoch, self.spans.trace());
                self.log.in_scope(|| tracing::debug!("a partition begins"));
                Term::answer(&leader, Said::Ready(v1::Ready { run, epoch }));
                self.settle();
                if let Some(hands) = &mut self.hands {
                    hands.stop_orphans();
                }
            }
            Err(error) => {
                let why = crate::with_causes(&error);
                tracing::warn!(run, epoch, %why, "a partition cannot be worked on");
                Term::answer(&leader, Said::Gone(v1::Gone { run, epoch, why }));
                self.gives_up = Some(Instant::now() + KEPT);
            }
        }
        for batch in std::mem::take(&mut self.early) {
            self.batch(batch, None);
        }
    }

    /// Makes the partition of a term, as the log tells.
    async fn begin(&mut self, assigned: &Assigned) -> Result<Term, Unworkable> {
        let Some(Record::RunStarted(started)) = assigned.records.first() else {
            return Err(Unworkable::Senseless);
        };
        let programs = match &self.programs {
            Some(programs) => Arc::clone(programs),
            None => {
                let loaded = self.peer.provisions.programs(&self.run, started).await;
                Arc::clone(self.programs.insert(loaded.map_err(Unworkable::Provisions)?))
            }
        };
        let assign = &assigned.assign;
        let (homes, here) = (assigned.homes(), PartitionId(assign.partition));
        let loaded = programs.models().load(&models_at(&homes, here)).await;
        loaded.map_err(Unworkable::Provisions)?;
        let journal = assign.homes.get(assign.partition as usize).map(|home| home.journal.parse());
        let journal = journal.ok_or(Unworkable::Senseless)??;
        let (peer, run, records) = (self.peer.clone(), self.run.clone(), assigned.records.clone());
        let (for_replay, spread) = (Arc::clone(&programs), homes.clone());
        let mut past = self.spans.past(started, &assign.traceparent);
        let made = tokio::task::spawn_blocking(move || {
            let journal = peer.store.journal(&run, &journal)?;
            let tell = |notice: &Notice| past.iter_mut().for_each(|past| past.tell(notice));
            let (_, partitions) = parts_of(&run, &records, &for_replay, homes, tell)?;
            Ok::<_, Unworkable>((journal, partitions, past))
        });
        let (journal, partitions, past) = made.await.expect("replaying a log does not panic")?;
        let partition = partitions.into_iter().nth(assign.partition as usize);
        let mut partition = partition.ok_or(Unworkable::Senseless)?;
        if !self.spans.hear_of_messages() {
            partition.leave_statuses_untold();
        }
        if self.hands.is_none() {
            let hub = Arc::clone(&self.hub);
            let heard = move |activation: &ActivationId, text: &str| hub.text(activation, text);
            self.hands = Some(Hands::new(programs, Arc::new(heard), self.spans.watches_calls()).keeping());
        }
        self.spans.take_up(past, assign.epoch, &spread, here);
        let contexts = self.spans.contexts();
        let held = Held::new(&self.peer.counts.partitions);
        Ok(Term::new(assigned, &self.run, held, partition, journal, contexts))
    }
}

/// The next text, once there is a seat for it on the way to the leader. What comes until then waits, and is dropped
/// where too much does.
async fn next_text(
    (texts, leader): (&mut RunEvents, TextsToLeader),
) -> (mpsc::OwnedPermit<v1::FromWorker>, RunEvent) {
    if let Ok(seat) = leader.reserve_owned().await
        && let Some(text) = texts.next().await
    {
        return (seat, text);
    }
    // Another leader may give another way.
    std::future::pending().await
}
