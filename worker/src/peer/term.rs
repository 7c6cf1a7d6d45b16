//! A partition of a run for one term.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use superstep_engine::{
    Command, Effect, Job, Partition, PartitionEvent, PartitionId, Record, Routed, Timestamp, Token,
};
use superstep_proto::v1;
use superstep_proto::v1::from_worker::Said;
use superstep_runtime::{Deed, Hands};
use superstep_store::{AppendError, Journal, Position, RunName};
use superstep_telemetry::MessageContexts;

use super::fetching::{self, Fetched, Fetching};
use super::links::Outgoing;
use super::spans::Spans;
use super::{Assigned, Peer, ToLeader};
use crate::counts::Held;
use crate::off_thread::OffThread;
use crate::pieces::tell_leader;

/// An append to the journal that has ended.
type Appended = (Token, Result<Position, AppendError>);

/// A partition, and all that it needs for one term.
pub(super) struct Term {
    pub(super) epoch: u64,
    run: RunName,
    me: PartitionId,
    partition: Partition,
    homes: Vec<v1::Home>,
    journal: OffThread<Box<dyn Journal<Record>>>,
    appends: FuturesUnordered<BoxFuture<'static, Appended>>,
    leader: ToLeader,
    /// How many records of the run's own log the leader is known to have.
    position: Position,
    reports: Vec<v1::Report>,
    contexts: Option<MessageContexts>,
    fetching: Fetching,
    /// It counts for as long as this is there.
    _held: Held,
}

/// A term cannot go on in this worker.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("the journal of the term is closed")]
    Journal(#[from] AppendError),
    #[error("messages for it cannot be had: {0}")]
    Unreadable(String),
    #[error("the leader says what means nothing")]
    Wire(#[from] superstep_wire::WireError),
}

impl Term {
    pub(super) fn new(
        assigned: &Assigned,
        run: &RunName,
        held: Held,
        partition: Partition,
        journal: Box<dyn Journal<Record>>,
        contexts: Option<MessageContexts>,
    ) -> Self {
        let assign = &assigned.assign;
        Self {
            epoch: assign.epoch,
            run: run.clone(),
            me: PartitionId(assign.partition),
            partition,
            homes: assign.homes.clone(),
            journal: OffThread::new(journal),
            appends: FuturesUnordered::new(),
            leader: assigned.leader.clone(),
            position: Position(assign.position),
            reports: Vec::new(),
            contexts,
            fetching: Fetching::default(),
            _held: held,
        }
    }

    pub(super) fn go_live(&mut self, now: Timestamp) {
        self.partition.go_live(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.partition.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        self.partition.handle_timeout(now);
    }

    pub(super) async fn commands(
        &mut self,
        commands: v1::Commands,
        peer: &Peer,
        hands: &mut Hands,
        spans: &mut Spans,
        now: Timestamp,
    ) -> Result<(), Lost> {
        self.position = Position(commands.position.max(self.position.0));
        for command in commands.commands {
            let committed = matches!(command.what, Some(v1::command::What::Committed(_)));
            let command = superstep_wire::command_of(command, self.me)?;
            spans.command(&self.partition, &command);
            let changed = matches!(&command, Command::Commit(committed) if !committed.graphs.is_empty());
            self.partition.handle(PartitionEvent::Command(command), now);
            if changed {
                self.fetch_whole(peer).await?;
            }
            if committed {
                hands.forget_ended(|activation| self.partition.is_in_flight(activation));
                hands.forget_unused();
            }
        }
        Ok(())
    }

    /// Has messages whole that mutations have made the partition look into.
    async fn fetch_whole(&mut self, peer: &Peer) -> Result<(), Lost> {
        let wanted = self.partition.unfetched();
        if !wanted.is_empty() {
            let found = fetching::all(wanted, &self.run, &peer.store).await;
            self.partition.put(&found.map_err(|error| Lost::Unreadable(crate::with_causes(&error)))?);
        }
        Ok(())
    }

    /// The places of the messages of a batch that are blobs, and that the partition must have whole.
    pub(super) fn taken_whole(&self, batch: &v1::Batch) -> Vec<usize> {
        let blobs = superstep_wire::blobs_in(batch);
        blobs.filter(|(_, frame, to)| self.partition.takes_whole(*frame, to)).map(|(at, ..)| at).collect()
    }

    pub(super) fn messages(&mut self, superstep: u64, messages: Vec<Routed>, now: Timestamp) {
        self.partition.handle(PartitionEvent::Messages { superstep, messages }, now);
    }

    pub(super) fn done(&mut self, deed: Deed, now: Timestamp) {
        let event = match deed {
            Deed::Finished { key, outcome } => {
                self.fetching.forget(key);
                PartitionEvent::Finished { key, outcome }
            }
            Deed::Asked { key, ticket, request, under_way } => {
                PartitionEvent::CallAsked { key, ticket, request, under_way }
            }
            Deed::Ended { key, ticket, outcome } => PartitionEvent::CallEnded { key, ticket, outcome },
        };
        self.partition.handle(event, now);
    }

    /// What the partition waits for: an append that ends, and a program whose messages are fetched. Each waits for ever
    /// if none is under way.
    pub(super) fn waits(&mut self) -> (impl Future<Output = Appended>, impl Future<Output = Fetched>) {
        let Self { appends, fetching, .. } = self;
        let appended = async {
            match appends.next().await {
                Some(appended) => appended,
                None => std::future::pending().await,
            }
        };
        (appended, fetching.next())
    }

    /// Starts a program whose messages are there.
    pub(super) fn fetched(
        &mut self,
        (key, job): Fetched,
        hands: &mut Hands,
        now: Timestamp,
    ) -> Result<(), Lost> {
        match job {
            Ok(job) => self.start(*job, hands, now),
            Err(error) => {
                self.fetching.forget(key);
                return Err(Lost::Unreadable(crate::with_causes(&error)));
            }
        }
        Ok(())
    }

    fn start(&mut self, job: Job, hands: &mut Hands, now: Timestamp) {
        let (key, frame) = (job.key, job.activation.frame);
        let topology = self.partition.topology(frame).map(Arc::clone);
        if let Some(outcome) = hands.start(job, topology.as_deref()) {
            self.fetching.forget(key);
            self.partition.handle(PartitionEvent::Finished { key, outcome }, now);
        }
    }

    pub(super) fn durable(&mut self, (token, result): Appended, now: Timestamp) -> Result<(), Lost> {
        result?;
        self.partition.handle(PartitionEvent::Durable(token), now);
        Ok(())
    }

    /// Does everything that the partition wants done, and tells the leader what it has to say.
    pub(super) fn settle(
        &mut self,
        peer: &Peer,
        hands: &mut Hands,
        spans: &mut Spans,
        now: Timestamp,
    ) -> Result<(), Lost> {
        while let Some(effect) = self.partition.poll_effect() {
            match effect {
                Effect::Report(report) => {
                    spans.report(&report);
                    self.reports.push(superstep_wire::report(&report));
                }
                Effect::Run(job) => {
                    if let Some(job) = self.fetching.take(job) {
                        self.start(job, hands, now);
                    }
                }
                Effect::Abort(key) => {
                    self.fetching.forget(key);
                    hands.abort(key);
                }
                Effect::Decide { ticket, decision, .. } => {
                    spans.calling(hands, ticket, &decision);
                    hands.decide(ticket, decision);
                }
                Effect::Append(token, records) => self.append(token, records, now)?,
                Effect::Send { to, superstep, messages } => self.send(peer, to, superstep, messages),
                // Whoever watches a run reads its log: this is for its trace.
                Effect::Notify(notice) => spans.notice(&notice),
            }
        }
        self.fetching.begin(&self.run, &peer.store);
        if !self.reports.is_empty() || spans.is_last() {
            let (run, epoch, reports) = (self.run.to_string(), self.epoch, std::mem::take(&mut self.reports));
            let (settled, last) = spans.settled();
            self.say(Said::Reports(v1::Reports { run, epoch, reports, settled, last }));
        }
        Ok(())
    }

    fn append(&mut self, token: Token, records: Vec<Record>, now: Timestamp) -> Result<(), Lost> {
        let mut append = self.journal.append(self.position, records);
        match (&mut append).now_or_never() {
            Some(result) => self.durable((token, result), now),
            None => {
                self.appends.push(append.map(move |result| (token, result)).boxed());
                Ok(())
            }
        }
    }

    fn send(&self, peer: &Peer, to: PartitionId, superstep: u64, messages: Vec<Routed>) {
        let Some(home) = self.homes.get(to.0 as usize) else { return };
        let (run, epoch, leader) = (self.run.clone(), self.epoch, self.leader.clone());
        let contexts = self.contexts.clone();
        let outgoing = Outgoing { run, epoch, superstep, partition: to.0, messages, leader, contexts };
        peer.links.send(home, outgoing);
    }

    pub(super) fn say(&self, said: Said) {
        if !tell_leader(&self.leader, said) {
            // The stream has ended: another leader, or another term, goes on from the log.
            tracing::debug!(run = %self.run, epoch = self.epoch, "nobody hears what the partition says");
        }
    }

    /// Tells a leader that a partition works, or why it does not.
    pub(super) fn answer(leader: &ToLeader, said: Said) {
        if !tell_leader(leader, said) {
            tracing::debug!("the leader is gone already");
        }
    }
}
