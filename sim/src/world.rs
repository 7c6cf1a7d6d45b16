//! One run in a world with a clock, a network, a store, programs and an outside, all of which a seed
//! determines.
//!
//! What the engine assumes of a network, and this world keeps: commands of the coordinator to one
//! partition, and reports of one partition to the coordinator, arrive once each and in order (a
//! stream). Messages between partitions are bound to no order and may be repeated: they are gated by
//! their number and dropped by their ids. Appends are written, and said to be durable, in the order
//! in which they were asked for; what is said may be said again.

mod crash;
mod network;
mod outside;
mod programs;
mod sleeper;

use std::collections::{BTreeMap, BTreeSet};

use superstep_engine::{
    ActivationId, ActivationKey, Command, Coordinator, CoordinatorEvent, Epoch, Notice, Outcome, Partition,
    PartitionEvent, PartitionId, Patch, QuestionId, Record, Report, Routed, RunStatus, Timestamp, Token,
};

use crate::budget::{Budget, Charges};
use crate::counters::Counters;
use crate::faults::{Faults, Sabotage, Side};
use crate::model::ModelServer;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::store::{Append, Store};

use programs::{Call, Running};
use sleeper::Sleeper;

/// A run that has not ended after so many events never will.
const MOST_EVENTS: u64 = 100_000;

/// Something that will happen.
#[derive(Debug)]
enum Item {
    Command(PartitionId, Command),
    Report(PartitionId, Report),
    Messages {
        /// Which batch to that partition it is.
        number: u64,
        to: PartitionId,
        superstep: u64,
        messages: Vec<Routed>,
    },
    Write,
    Durable(Option<PartitionId>, Token),
    /// A program goes on.
    Step(u64),
    Finished(ActivationKey, Outcome),
    CallArrives(u32, Box<superstep_engine::CallRequest>, String),
    CallReturns(u32, superstep_engine::CallOutcome),
    Wake,
    Recover,
    /// A leader that slept wakes.
    LeaderWakes,
    Answer(QuestionId),
    Patch(Patch),
    Suspend(bool),
    Cancel,
}

/// What a run has come to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<RunStatus>,
    pub(crate) outputs: serde_json::Value,
    /// Everything that the last life of the process told, from the beginning of the run.
    pub(crate) notices: Vec<Notice>,
    pub(crate) log: Vec<Record>,
    pub(crate) counters: Counters,
    pub(crate) violation: Option<String>,
    /// The hash of everything that the engine wanted done, in order.
    pub(crate) trace: blake3::Hash,
    pub(crate) lines: Vec<String>,
}

/// The parts of the process.
struct Process {
    coordinator: Coordinator,
    partitions: Vec<Partition>,
}

/// The world of one run.
pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    faults: Faults,
    random: Random,
    now: u64,
    number: u64,
    agenda: BTreeMap<(u64, u64), (Option<u32>, Item)>,
    /// Which life of the process it is; what belongs to an earlier one does not happen any more.
    life: u32,
    /// How many records of the log are from another run.
    inherited: usize,
    process: Option<Process>,
    /// Behind how many records the first write of this life is to stand, until it is written.
    behind: Option<usize>,
    sleeper: Option<Sleeper>,
    store: Store,
    model: ModelServer,
    running: BTreeMap<u64, Running>,
    calls: BTreeMap<u32, Call>,
    /// How often programs were stopped.
    stopped: BTreeMap<ActivationId, usize>,
    tickets: u32,
    runs: u64,
    /// Batches sent to each partition, and the last of them that has arrived.
    batches: BTreeMap<PartitionId, (u64, u64)>,
    links: BTreeMap<(Option<PartitionId>, Option<PartitionId>), u64>,
    wake_at: Option<u64>,
    dies_at_first_write: Option<Side>,
    to_answer: BTreeSet<QuestionId>,
    /// The questions that are proposals.
    proposals: BTreeSet<QuestionId>,
    /// Whether what is told is of the past.
    telling_past: bool,
    notices: Vec<Notice>,
    status: Option<RunStatus>,
    counters: Counters,
    violation: Option<String>,
    trace: blake3::Hasher,
    verbose: bool,
    lines: Vec<String>,
}

impl<'a> World<'a> {
    pub(crate) fn new(scenario: &'a Scenario, faults: &Faults, verbose: bool) -> Self {
        Self {
            scenario,
            random: Random::new(faults.seed),
            faults: faults.clone(),
            now: 0,
            number: 0,
            agenda: BTreeMap::new(),
            life: 0,
            inherited: 0,
            process: None,
            behind: None,
            sleeper: None,
            store: Store::default(),
            model: ModelServer::new(scenario.nonce || faults.sabotage == Some(Sabotage::ImpureAnswers)),
            running: BTreeMap::new(),
            calls: BTreeMap::new(),
            stopped: BTreeMap::new(),
            tickets: 0,
            runs: 0,
            batches: BTreeMap::new(),
            links: BTreeMap::new(),
            wake_at: None,
            dies_at_first_write: None,
            to_answer: BTreeSet::new(),
            proposals: BTreeSet::new(),
            telling_past: false,
            notices: Vec::new(),
            status: None,
            counters: Counters::default(),
            violation: None,
            trace: blake3::Hasher::new(),
            verbose,
            lines: Vec::new(),
        }
    }

    /// The world in which the log of the run begins with these records.
    pub(crate) fn after(mut self, records: Vec<Record>) -> Self {
        self.inherited = records.len();
        let append = Append { from: None, token: Token(u64::MAX), records, epoch: Epoch(0), behind: None };
        if let Err(what) = self.store.write_this(append, None) {
            self.broken(what);
        }
        self
    }

    /// Lets everything happen until the run has ended, or a rule is broken.
    pub(crate) fn run(mut self) -> Ended {
        for (at, patch) in &self.scenario.patches {
            self.outside_at(*at, Item::Patch(patch.clone()));
        }
        if let Some(at) = self.scenario.cancel_at {
            self.outside_at(at, Item::Cancel);
        }
        for (at, pause) in &self.faults.suspensions.clone() {
            self.outside_at(*at, Item::Suspend(true));
            self.outside_at(at + pause, Item::Suspend(false));
        }
        self.recover();
        self.pump();
        let budget = self.scenario.budget();
        while self.status.is_none() && self.violation.is_none() {
            self.next();
            self.check_budget(&budget);
        }
        self.drain();
        self.counters.writes = self.store.writes;
        self.counters.calls_ended = self.store.outcomes.len() as u64;
        self.check_budget(&budget);
        self.counters.budgets += u64::from(budget.is_limited());
        self.counters.budgets_of_cost += u64::from(budget.cost.is_some());
        if self.violation.is_none()
            && let Err(what) = self.model.check(&self.store.log, self.inherited)
        {
            self.broken(what);
        }
        let outputs = self.process.as_ref().map(|process| process.coordinator.outputs().value().clone());
        Ended {
            status: self.status,
            outputs: outputs.unwrap_or_default(),
            notices: self.notices,
            log: self.store.log,
            counters: self.counters,
            violation: self.violation,
            trace: self.trace.finalize(),
            lines: self.lines,
        }
    }

    /// Lets what is still on its way arrive: it gives messages their last status, and starts nothing.
    fn drain(&mut self) {
        while self.violation.is_none()
            && let Some(((at, _), (life, item))) = self.agenda.pop_first()
        {
            self.now = at;
            if life == Some(self.life) && !matches!(item, Item::Write) {
                self.handle(item);
                self.pump();
            }
        }
        let mut frames = BTreeSet::new();
        for notice in std::mem::take(&mut self.notices) {
            self.count(&notice);
            if let Notice::Started { activation, .. } = &notice {
                frames.insert(activation.frame);
            }
            self.notices.push(notice);
        }
        self.counters.frames = (frames.len() as u64).saturating_sub(1);
    }

    fn next(&mut self) {
        let Some(((at, number), (life, item))) = self.agenda.pop_first() else {
            self.broken("nothing is left to happen, and the run has not ended");
            return;
        };
        let request = matches!(item, Item::CallArrives(..));
        if let Some(life) = life.filter(|life| *life != self.life && !request) {
            if let Some(sleeper) = self.sleeper.as_mut().filter(|sleeper| sleeper.life == life) {
                sleeper.mail.push_back(item);
            }
            return;
        }
        if self.faults.crash_before == Some(self.counters.events) && self.counters.crashes == 0 {
            self.agenda.insert((at, number), (life, item));
            self.crash();
            return;
        }
        self.counters.events += 1;
        if self.counters.events > MOST_EVENTS {
            self.broken("the run does not end");
            return;
        }
        self.now = at;
        if self.process.is_some() && self.may_crash() && self.random.below(1_000) < self.faults.crash {
            self.say(|| "the process dies".to_owned());
            self.agenda.insert((at, number), (life, item));
            if self.happens(self.faults.hazards.sleeps) {
                self.fall_asleep();
            } else {
                self.crash();
            }
            return;
        }
        self.handle(item);
        self.pump();
    }

    fn handle(&mut self, item: Item) {
        let now = Timestamp(self.now);
        match item {
            Item::Command(to, command) => self.command(to, command),
            Item::Report(from, report) => self.coordinator(CoordinatorEvent::Report(from, report)),
            Item::Messages { number, to, superstep, messages } => {
                self.arrived(number, to, superstep);
                self.partition(to, PartitionEvent::Messages { superstep, messages });
            }
            Item::Write => self.write(),
            Item::Durable(None, token) => self.coordinator(CoordinatorEvent::Durable(token)),
            Item::Durable(Some(partition), token) => {
                self.partition(partition, PartitionEvent::Durable(token));
            }
            Item::Step(run) => self.step(run),
            Item::Finished(key, outcome) => {
                self.partition(key.partition, PartitionEvent::Finished { key, outcome });
            }
            Item::CallArrives(ticket, request, key) => self.call_arrives(ticket, &request, &key),
            Item::CallReturns(ticket, outcome) => self.call_returns(ticket, outcome),
            Item::Wake => {
                self.wake_at = None;
                if let Some(process) = &mut self.process {
                    process.coordinator.handle_timeout(now);
                    process.partitions.iter_mut().for_each(|partition| partition.handle_timeout(now));
                }
            }
            Item::Recover => self.recover(),
            Item::LeaderWakes => self.wake_sleeper(),
            Item::Answer(activation) => self.answer(activation),
            Item::Patch(patch) => self.hand_in(Item::Patch(patch.clone()), CoordinatorEvent::Patch(patch)),
            Item::Suspend(suspended) => self.suspend(suspended),
            Item::Cancel => self.hand_in(Item::Cancel, CoordinatorEvent::Cancel),
        }
    }

    fn coordinator(&mut self, event: CoordinatorEvent) {
        let now = Timestamp(self.now);
        if let Some(process) = &mut self.process {
            process.coordinator.handle(event, now);
        }
    }

    fn partition(&mut self, to: PartitionId, event: PartitionEvent) {
        let now = Timestamp(self.now);
        if let Some(partition) =
            self.process.as_mut().and_then(|process| process.partitions.get_mut(to.0 as usize))
        {
            partition.handle(event, now);
        }
    }

    /// Plans something of this life of the process.
    fn later(&mut self, delay: u64, item: Item) {
        self.at(self.now + delay, Some(self.life), item);
    }

    fn outside_at(&mut self, at: u64, item: Item) {
        self.at(at, None, item);
    }

    fn at(&mut self, at: u64, life: Option<u32>, item: Item) {
        self.agenda.insert((at, self.number), (life, item));
        self.number += 1;
    }

    /// Whether something goes wrong that does in `percent` of a hundred cases. Nothing is drawn where it
    /// never does.
    fn happens(&mut self, percent: u64) -> bool {
        percent > 0 && self.random.chance(percent)
    }

    fn broken(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.say(|| format!("BROKEN: {what}"));
        self.violation.get_or_insert(what);
    }

    /// Adds a line to the trace.
    fn say(&mut self, line: impl FnOnce() -> String) {
        let line = line();
        self.trace.update(line.as_bytes());
        if self.verbose {
            self.lines.push(format!("{:>9} {}: {line}", self.now, self.life));
        }
    }

    /// What executions have used, and what the log charges for them, stays within the limits of the run's own graph.
    fn check_budget(&mut self, budget: &Budget) {
        let charged = Charges::all(&self.store.log);
        for (what, used) in [("used", self.model.spent), ("charged", charged)] {
            if let Some(passed) = budget.passed(&used) {
                self.broken(format!("{passed} were {what}"));
            }
        }
    }
}
