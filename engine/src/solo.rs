//! Coordinator and partitions of one run in one process.

mod again;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use superstep_graph::VertexName;

use crate::call::{CallOutcome, CallRequest};
use crate::coordinator::{Coordinator, CoordinatorAction, CoordinatorEvent, RunConfig};
use crate::expressions::Expressions;
use crate::ids::{ActivationId, ActivationKey, Epoch, PartitionId, QuestionId, Timestamp, Token};
use crate::misfit::Misfit;
use crate::notice::{Called, Notice, RunStatus};
use crate::partition::{CallDecision, Effect, Job, Partition, PartitionEvent};
use crate::payload::Payload;
use crate::program::Outcome;
use crate::record::{CallKey, Commit, Patch, Record};

/// What a run in one process is told.
#[derive(Debug)]
pub enum Event {
    /// An attempt has ended.
    Finished {
        /// Which.
        key: ActivationKey,
        /// How.
        outcome: Outcome,
    },
    /// A running program wants to call the outside.
    CallAsked {
        /// Its activation.
        key: ActivationKey,
        /// A number that the driver chose, never used twice in this process.
        ticket: u32,
        /// What it wants to call.
        request: CallRequest,
    },
    /// A call that was decided to be performed has ended.
    CallEnded {
        /// Its activation.
        key: ActivationKey,
        /// The number of the call.
        ticket: u32,
        /// How it ended.
        outcome: CallOutcome,
    },
    /// An append is durable.
    Durable(LogToken),
    /// Change the graph at the next barrier.
    Patch(Patch),
    /// An answer to a question; ignored where nothing waits for it.
    Answer(QuestionId, Payload),
    /// Stand still at the next barrier, or go on.
    Suspend(bool),
    /// End the run with what it has.
    Cancel,
}

/// What a run in one process wants done.
#[derive(Debug)]
pub enum Action {
    /// Append to the log, and say so when it is durable.
    Append(LogToken, Vec<Record>),
    /// Run a program.
    Run(Job),
    /// Stop a program.
    Abort(ActivationKey),
    /// Tell a program how to go on with a call.
    Decide {
        /// Its activation.
        key: ActivationKey,
        /// The number of the call.
        ticket: u32,
        /// How to go on.
        decision: CallDecision,
    },
    /// Tell observers.
    Notify(Notice),
    /// Nothing is left to do.
    Ended(RunStatus),
}

/// Marks an append of a run in one process until it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogToken {
    from: Option<PartitionId>,
    token: Token,
}

impl LogToken {
    /// The partition that appends; none for the coordinator.
    pub fn partition(self) -> Option<PartitionId> {
        self.from
    }

    /// The mark by which that part knows the append.
    pub fn token(self) -> Token {
        self.token
    }
}

/// A log that does not lead to a state that a run can be in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {position} of the log does not fit what comes before it: {why}")]
pub struct ReplayError {
    /// The number of the record, from 0.
    pub position: usize,
    /// What does not fit.
    pub why: Misfit,
}

/// One run whose coordinator and partitions are in one process.
pub struct Solo {
    coordinator: Coordinator,
    partitions: Vec<Partition>,
    actions: VecDeque<Action>,
    /// The calls without an outcome, while a log is replayed.
    intents: BTreeMap<CallKey, CallRequest>,
}

impl Solo {
    /// A run that has not begun.
    pub fn new(config: RunConfig, expressions: Arc<dyn Expressions + Send + Sync>) -> Self {
        let run = config.started.run.clone();
        let homes = Arc::clone(&config.homes);
        let partition =
            |me| Partition::new(&run, PartitionId(me), Arc::clone(&homes), Arc::clone(&expressions));
        Self {
            partitions: (0..homes.count()).map(partition).collect(),
            coordinator: Coordinator::new(config, expressions),
            actions: VecDeque::new(),
            intents: BTreeMap::new(),
        }
    }

    /// Begins the run.
    pub fn begin(&mut self, owner: &str, now: Timestamp) {
        self.coordinator.begin(owner, now);
        self.settle(now);
    }

    /// Replays `records`, which begin with [`Record::RunStarted`], and goes on from there: what ran
    /// runs again, and calls with an outcome are not made again. Notices of the past are told again.
    ///
    /// # Errors
    /// A record does not fit what comes before it; nothing was done then.
    pub fn resume(&mut self, records: &[Record], owner: &str, now: Timestamp) -> Result<(), ReplayError> {
        self.replay(records)?;
        let epoch = Epoch(self.coordinator.epoch().0 + 1);
        if !self.has_ended() {
            self.actions.push_back(Action::Notify(Notice::Resumed { epoch }));
            let token = LogToken { from: None, token: Token(u64::MAX) };
            let record = Record::EpochTaken { epoch, owner: owner.to_owned() };
            self.actions.push_back(Action::Append(token, vec![record]));
        }
        self.coordinator.go_live(epoch, now);
        for partition in &mut self.partitions {
            partition.go_live(now);
        }
        self.settle(now);
        Ok(())
    }

    /// Replays `records` without going on: for looking at a run that is over, or that another
    /// process works on.
    ///
    /// # Errors
    /// A record does not fit what comes before it.
    pub fn replay(&mut self, records: &[Record]) -> Result<(), ReplayError> {
        let now = Timestamp::default();
        self.coordinator.set_replaying(true);
        self.partitions.iter_mut().for_each(|partition| partition.set_replaying(true));
        for (position, record) in records.iter().enumerate() {
            self.take_in(record, now).map_err(|why| ReplayError { position, why })?;
            self.settle(now);
            self.actions.retain(|action| matches!(action, Action::Notify(_) | Action::Ended(_)));
        }
        Ok(())
    }

    fn take_in(&mut self, record: &Record, now: Timestamp) -> Result<(), Misfit> {
        match record {
            Record::RunStarted(_) => self.coordinator.replay_begin(now),
            Record::EpochTaken { epoch, .. } => {
                self.coordinator.replay_epoch(*epoch)?;
            }
            Record::CallIntent { call, request } => {
                self.coordinator.charge(call.activation.frame, request.reserve);
                self.intents.insert(call.clone(), request.clone());
                self.owner(&call.activation).replay_intent(call);
            }
            Record::CallEnded { call, outcome } => {
                // The activation may be gone: it was cancelled by the commit that this call did not wait for.
                let request = self.intents.remove(call);
                let request = request.ok_or_else(|| Misfit::NoIntent(call.activation.clone()))?;
                self.owner(&call.activation).replay_outcome(call, outcome);
                self.coordinator.settle(call.activation.frame, request.reserve, outcome.usage);
                let (call, target, outcome) = (call.clone(), request.target, outcome.clone());
                let called = Called { call, target, outcome };
                self.actions.push_back(Action::Notify(Notice::Called(Box::new(called))));
            }
            Record::AttemptFailed { activation, attempts, .. } => {
                self.partitions
                    .iter_mut()
                    .for_each(|partition| partition.replay_attempts(activation, *attempts));
            }
            Record::Suspended { id, question, doubt } => {
                self.owner(&id.activation).replay_question(id, question.clone(), doubt.clone());
            }
            Record::Answered { question, answer } => {
                let kept = self.owner(&question.activation).replay_answer(question, answer);
                self.coordinator.replay_answer(question, answer, kept);
            }
            Record::Patched(patch) => self.coordinator.replay_patch(patch),
            Record::RunSuspended(suspended) => self.coordinator.replay_suspension(*suspended, now),
            Record::Committed(commit) => {
                self.take_completions(commit, now)?;
                self.coordinator.replay_commit(commit, now)?;
            }
            Record::Ended(status) => self.coordinator.replay_end(status, now),
            Record::Known(costs) if self.coordinator.began_with(costs) => {}
            Record::Known(_) => return Err(Misfit::OtherCosts),
            Record::Measured(measured) => self.coordinator.replay_measured(measured),
            Record::Forked { .. } | Record::Placed(_) => {}
            Record::Compacted(remains) => {
                if self.coordinator.config().remains.as_ref() != Some(remains) {
                    return Err(Misfit::Compacted);
                }
            }
            Record::Told(notice) if self.coordinator.config().remains.is_some() => {
                self.actions.push_back(Action::Notify(Notice::clone(notice)));
            }
            Record::Told(_) => return Err(Misfit::NotCompacted),
            Record::Continued(carried) => {
                if self.coordinator.config().carried.as_ref() != Some(carried) {
                    return Err(Misfit::OtherOrigin(carried.run.clone()));
                }
            }
        }
        Ok(())
    }

    fn take_completions(&mut self, commit: &Commit, now: Timestamp) -> Result<(), Misfit> {
        for completion in &commit.completed {
            self.home(&completion.vertex).replay_completion(completion)?;
        }
        self.settle(now);
        Ok(())
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Finished { key, outcome } => {
                self.tell_owner(key, PartitionEvent::Finished { key, outcome }, now)
            }
            Event::CallAsked { key, ticket, request } => {
                let asked = PartitionEvent::CallAsked { key, ticket, request, under_way: false };
                self.tell_owner(key, asked, now);
            }
            Event::CallEnded { key, ticket, outcome } => {
                self.tell_owner(key, PartitionEvent::CallEnded { key, ticket, outcome }, now);
            }
            Event::Durable(LogToken { from: None, token }) => {
                self.coordinator.handle(CoordinatorEvent::Durable(token), now);
            }
            Event::Durable(LogToken { from: Some(partition), token }) => {
                self.partitions[partition.0 as usize].handle(PartitionEvent::Durable(token), now);
            }
            Event::Patch(patch) => self.coordinator.handle(CoordinatorEvent::Patch(patch), now),
            Event::Answer(question, answer) => {
                self.coordinator.handle(CoordinatorEvent::Answer(question, answer), now);
            }
            Event::Suspend(suspended) => {
                self.coordinator.handle(CoordinatorEvent::Suspend(suspended), now);
            }
            Event::Cancel => self.coordinator.handle(CoordinatorEvent::Cancel, now),
        }
        self.settle(now);
    }

    /// The next thing to do; none until the next event.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether [`Self::poll_action`] has something to give.
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let partitions = self.partitions.iter().filter_map(Partition::poll_timeout);
        partitions.chain(self.coordinator.poll_timeout()).min()
    }

    /// Lets what is due take effect.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.coordinator.handle_timeout(now);
        self.partitions.iter_mut().for_each(|partition| partition.handle_timeout(now));
        self.settle(now);
    }

    /// The leader side, to look at.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Whether the run has ended.
    pub fn has_ended(&self) -> bool {
        self.coordinator.has_ended()
    }

    /// Coordinator and partitions, in order of their ids, for a driver that joins them by a network:
    /// a log is replayed while they are together. Actions that were not polled are lost.
    pub fn into_parts(self) -> (Coordinator, Vec<Partition>) {
        (self.coordinator, self.partitions)
    }

    /// The partition that has a vertex.
    fn home(&mut self, vertex: &VertexName) -> &mut Partition {
        let home = self.coordinator.config().homes.of(vertex);
        &mut self.partitions[home.0 as usize]
    }

    /// The partition that has an activation.
    fn owner(&mut self, activation: &ActivationId) -> &mut Partition {
        self.home(&activation.vertex)
    }

    fn tell_owner(&mut self, key: ActivationKey, event: PartitionEvent, now: Timestamp) {
        if let Some(partition) = self.partitions.get_mut(key.partition.0 as usize) {
            partition.handle(event, now);
        }
    }

    /// Lets the parts talk to each other until all are silent.
    fn settle(&mut self, now: Timestamp) {
        loop {
            let mut silent = true;
            while let Some(action) = self.coordinator.poll_action() {
                silent = false;
                self.coordinate(action, now);
            }
            for index in 0..self.partitions.len() {
                while let Some(effect) = self.partitions[index].poll_effect() {
                    silent = false;
                    self.effect(PartitionId(u32::try_from(index).unwrap_or(u32::MAX)), effect, now);
                }
            }
            if silent {
                return;
            }
        }
    }

    fn coordinate(&mut self, action: CoordinatorAction, now: Timestamp) {
        match action {
            CoordinatorAction::Command(Some(to), command) => {
                self.partitions[to.0 as usize].handle(PartitionEvent::Command(command), now);
            }
            CoordinatorAction::Command(None, command) => {
                let (last, others) = self.partitions.split_last_mut().expect("a run has a partition");
                for partition in others {
                    partition.handle(PartitionEvent::Command(command.clone()), now);
                }
                last.handle(PartitionEvent::Command(command), now);
            }
            CoordinatorAction::Append(token, records) => {
                self.actions.push_back(Action::Append(LogToken { from: None, token }, records));
            }
            CoordinatorAction::Notify(notice) => self.actions.push_back(Action::Notify(notice)),
            CoordinatorAction::Ended(status) => self.actions.push_back(Action::Ended(status)),
        }
    }

    fn effect(&mut self, from: PartitionId, effect: Effect, now: Timestamp) {
        match effect {
            Effect::Report(report) => self.coordinator.handle(CoordinatorEvent::Report(from, report), now),
            Effect::Run(job) => self.actions.push_back(Action::Run(job)),
            Effect::Abort(key) => self.actions.push_back(Action::Abort(key)),
            Effect::Decide { key, ticket, decision } => {
                self.actions.push_back(Action::Decide { key, ticket, decision });
            }
            Effect::Append(token, records) => {
                self.actions.push_back(Action::Append(LogToken { from: Some(from), token }, records));
            }
            Effect::Send { to, superstep, messages } => {
                self.partitions[to.0 as usize].handle(PartitionEvent::Messages { superstep, messages }, now);
            }
            Effect::Notify(notice) => self.actions.push_back(Action::Notify(notice)),
        }
    }
}
