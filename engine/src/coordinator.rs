//! The leader side of a run: the superstep clock, the barrier, joins that wait, mutations, limits,
//! and the commit record.

mod again;
mod at_once;
mod barrier;
mod cancel;
mod commit;
mod costs;
mod frame;
mod judge;
mod ledger;
mod opening;
mod outside;
mod reach;
mod standstill;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use superstep_graph::{ValidatedGraph, VertexIx, VertexName};

use crate::compaction::Remains;
use crate::costs::{Costs, Measured};
use crate::defect::{self, Defect};
use crate::expressions::Expressions;
use crate::homes::Homes;
use crate::ids::{ActivationId, Epoch, FrameId, PartitionId, Place, QuestionId, Timestamp, Token};
use crate::notice::{Notice, RunStatus};
use crate::payload::Payload;
use crate::protocol::{Command, Completed, FrameWanted, JoinReport, Planned, Report};
use crate::record::{Carried, Patch, Record, RunStarted, Totals};

use at_once::AtOnce;
use frame::FrameState;
pub use frame::Opener;
use outside::OpenQuestion;
pub use outside::PatchStanding;
use standstill::Standstill;

/// All that a run begins with.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// What the log begins with.
    pub started: Arc<RunStarted>,
    /// The graphs of the record, validated.
    pub library: BTreeMap<String, ValidatedGraph>,
    /// What the run takes over from the one that it continues, if it continues one.
    pub carried: Option<Arc<Carried>>,
    /// The partitions of the run, and which vertex is in which.
    pub homes: Arc<Homes>,
    /// What earlier runs have measured: of a run that has begun, what its log says.
    pub costs: Costs,
    /// What the run has come to, if that is all that its log has of its older supersteps: it has ended, and is
    /// only looked at.
    pub remains: Option<Arc<Remains>>,
}

/// What a coordinator is told.
#[derive(Debug)]
pub enum CoordinatorEvent {
    /// By a partition.
    Report(PartitionId, Report),
    /// By the log: an append is durable.
    Durable(Token),
    /// From outside: change the graph at the next barrier after this is durable.
    Patch(Patch),
    /// From outside: an answer to a question. Taken in once it is durable, and ignored where nothing
    /// waits for it.
    Answer(QuestionId, Payload),
    /// From outside: stand still at the next barrier, or go on.
    Suspend(bool),
    /// From outside: end the run with what it has.
    Cancel,
}

/// What a coordinator wants done.
#[derive(Debug)]
pub enum CoordinatorAction {
    /// Tell one partition, or all.
    Command(Option<PartitionId>, Command),
    /// Append to the run's log, and say so when it is durable.
    Append(Token, Vec<Record>),
    /// Tell observers.
    Notify(Notice),
    /// Nothing is left to do.
    Ended(RunStatus),
}

/// Where a superstep stands.
#[derive(Clone, Debug, PartialEq)]
enum Phase {
    New,
    /// The run's first records are on their way to the log.
    Recording(Token),
    /// So many partitions have yet to deliver.
    Delivering(u32),
    /// So many partitions have yet to start what they were told.
    Starting(u32),
    Running,
    Committing(Token),
    /// Everything in flight waits for the outside.
    Paused,
    /// Somebody has suspended the run: nothing is delivered until it goes on.
    Still,
    Ending(Token),
    Ended,
}

/// The leader side of one run, as a state machine without IO.
pub struct Coordinator {
    config: RunConfig,
    expressions: Arc<dyn Expressions + Send + Sync>,
    epoch: Epoch,
    phase: Phase,
    superstep: u64,
    frames: BTreeMap<FrameId, FrameState>,
    next_frame: u32,
    /// Groups that have started and are not committed.
    flying: BTreeSet<Place>,
    suspended: BTreeSet<Place>,
    completed: BTreeMap<Place, Box<Completed>>,
    planned: Vec<Planned>,
    joins: Vec<JoinReport>,
    wanted: Vec<FrameWanted>,
    /// What started in this superstep, for observers.
    begun: u64,
    /// What was in flight before, for observers.
    carried: u64,
    /// Entries of the frames that are being opened.
    opening: u64,
    /// Messages on their way between partitions, by receiver.
    outbound: BTreeMap<PartitionId, u64>,
    /// Frames whose opener is gone.
    abandoned: Vec<FrameId>,
    /// Changes that are durable and not judged yet.
    patches: Vec<Patch>,
    /// Every change that was asked for from outside, by who asked.
    asked_for: BTreeMap<String, Patch>,
    questions: BTreeMap<QuestionId, OpenQuestion>,
    /// Answers that are durable.
    answers: Vec<(QuestionId, Payload)>,
    /// Those of them that came before the last commit, or after a pause: they are handed on when the
    /// superstep starts.
    due_answers: Vec<(QuestionId, Payload)>,
    committing: Option<commit::Committing>,
    costs: Costs,
    /// What the log says that the activations of the commit after it have cost.
    measured: Vec<Measured>,
    answering: BTreeMap<Token, (QuestionId, Payload)>,
    patching: BTreeMap<Token, Patch>,
    standstill: Standstill,
    at_once: AtOnce,
    ending: Option<RunStatus>,
    close_now: bool,
    pause_after_start: bool,
    /// Whether nothing but answers from outside lets the superstep begin.
    only_answers: bool,
    replaying: bool,
    totals: Totals,
    working_since: Option<Timestamp>,
    actions: VecDeque<CoordinatorAction>,
    next_token: u64,
}

impl Coordinator {
    /// The coordinator of a run that has not begun.
    pub fn new(config: RunConfig, expressions: Arc<dyn Expressions + Send + Sync>) -> Self {
        Self {
            costs: config.costs.clone(),
            measured: Vec::new(),
            config,
            expressions,
            epoch: Epoch(0),
            phase: Phase::New,
            superstep: 0,
            frames: BTreeMap::new(),
            next_frame: 1,
            flying: BTreeSet::new(),
            suspended: BTreeSet::new(),
            completed: BTreeMap::new(),
            planned: Vec::new(),
            joins: Vec::new(),
            wanted: Vec::new(),
            begun: 0,
            carried: 0,
            opening: 0,
            outbound: BTreeMap::new(),
            abandoned: Vec::new(),
            patches: Vec::new(),
            asked_for: BTreeMap::new(),
            questions: BTreeMap::new(),
            answers: Vec::new(),
            due_answers: Vec::new(),
            committing: None,
            answering: BTreeMap::new(),
            patching: BTreeMap::new(),
            standstill: Standstill::default(),
            at_once: AtOnce::default(),
            ending: None,
            close_now: false,
            pause_after_start: false,
            only_answers: false,
            replaying: false,
            totals: Totals::default(),
            working_since: None,
            actions: VecDeque::new(),
            next_token: 0,
        }
    }

    /// Begins the run: its first records go to the log.
    pub fn begin(&mut self, owner: &str, now: Timestamp) {
        self.working_since = Some(now);
        self.epoch = Epoch(1);
        let first = Record::RunStarted(Arc::clone(&self.config.started));
        let carried = self.config.carried.clone().map(Record::Continued);
        let epoch = Record::EpochTaken { epoch: self.epoch, owner: owner.to_owned() };
        let known = (!self.costs.is_empty()).then(|| Record::Known(self.costs.clone()));
        let token = self.append([first].into_iter().chain(carried).chain([epoch]).chain(known).collect());
        self.phase = Phase::Recording(token);
    }

    /// The next thing to do; none until the next event.
    pub fn poll_action(&mut self) -> Option<CoordinatorAction> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.close_now || matches!(self.phase, Phase::Ended | Phase::Ending(_)) {
            return None;
        }
        let limit = self.frames.get(&FrameId::ROOT)?.graph.spec().limits.duration?;
        let left = limit.as_millis().saturating_mul(1_000).saturating_sub(self.totals.elapsed);
        self.working_since.map(|since| Timestamp(since.0.saturating_add(left)))
    }

    /// Ends the run if its time is up.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.close(RunStatus::LimitReached(crate::notice::LimitKind::Duration), now);
        }
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: CoordinatorEvent, now: Timestamp) {
        match event {
            CoordinatorEvent::Report(from, report) => self.reported(from, report, now),
            CoordinatorEvent::Durable(token) => self.durable(token, now),
            CoordinatorEvent::Patch(patch) => self.take_patch(patch),
            CoordinatorEvent::Answer(question, answer) => self.take_answer(question, answer),
            CoordinatorEvent::Suspend(suspended) => self.take_suspension(suspended),
            CoordinatorEvent::Cancel => self.close(RunStatus::Cancelled, now),
        }
    }

    /// What the run has used so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The superstep that runs, or would run next.
    pub fn superstep(&self) -> u64 {
        self.superstep
    }

    /// The term.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The graph of a frame, under its present revision.
    pub fn graph(&self, frame: FrameId) -> Option<&ValidatedGraph> {
        self.frames.get(&frame).map(|frame| &frame.graph)
    }

    /// What the outputs of the run are so far, keyed by output vertex.
    pub fn outputs(&self) -> Payload {
        if let Some(remains) = &self.config.remains {
            return remains.outputs.clone();
        }
        self.frames.get(&FrameId::ROOT).map_or_else(Payload::null, FrameState::result)
    }

    /// What the persistent aggregators of the run's own graph hold.
    pub(crate) fn persistent_aggregates(&self) -> BTreeMap<VertexName, Payload> {
        self.frames.get(&FrameId::ROOT).map(FrameState::persistent).unwrap_or_default()
    }

    /// What the run begins with.
    pub(crate) fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Whether nothing is in flight but what waits for an answer from outside: then vertices can be given to
    /// other partitions, and nothing is run again because of it.
    pub fn rests(&self) -> bool {
        // What starts is known only when its partition has said so.
        !self.is_starting() && self.completed.is_empty() && self.flying.is_subset(&self.suspended)
    }

    /// Whether everything in flight waits for an answer from outside.
    pub fn is_paused(&self) -> bool {
        self.phase == Phase::Paused
    }

    fn reported(&mut self, from: PartitionId, report: Report, now: Timestamp) {
        match report {
            Report::Delivered { superstep, planned, joins } => {
                let Phase::Delivering(missing) = self.phase else { return };
                if superstep != self.superstep {
                    return;
                }
                self.planned.extend(planned);
                self.joins.extend(joins);
                self.phase = Phase::Delivering(missing - 1);
                if missing == 1 {
                    self.delivered(now);
                }
            }
            Report::Started { wanted, started } => self.started(wanted, started, now),
            Report::Completed(mut completed) => {
                let Some(place) = self.in_flight(&completed.activation, Some(completed.place.1)) else {
                    return;
                };
                completed.place = place;
                if defect::is(Defect::MutationAtOnce) && !completed.mutations.is_empty() && !self.replaying {
                    self.change_at_once(&mut completed);
                }
                self.suspended.remove(&place);
                self.completed.insert(place, completed);
                if self.phase == Phase::Paused {
                    // It ran again after a crash, to ask anew, and has ended without asking.
                    self.go_on(now);
                }
                self.check_barrier(now);
            }
            Report::Suspension { activation, suspended } => {
                let Some(place) = self.in_flight(&activation, None) else { return };
                if suspended {
                    self.suspended.insert(place);
                } else {
                    self.suspended.remove(&place);
                }
                self.check_barrier(now);
            }
            Report::Asked { id, question } => self.asked(id, question),
            Report::Reserve { frame, key, ticket, usage } => {
                let refused = self.reserve(frame, usage).err();
                self.command(Some(from), Command::Reserved { key, ticket, refused });
            }
            Report::Settle { frame, reserved, used } => self.settle(frame, reserved, used),
            Report::LimitReached(limit) => {
                self.ending.get_or_insert(RunStatus::LimitReached(limit));
            }
        }
    }

    /// Where an activation is that a partition speaks of, under the present revision. It may have
    /// been cancelled, or its vertex removed, while the report was on its way; one that starts may be
    /// reported before its start is. Where `told` says, it is most likely: no name is looked up then.
    fn in_flight(&self, activation: &ActivationId, told: Option<VertexIx>) -> Option<Place> {
        let topology = self.frames.get(&activation.frame)?.graph.topology();
        let is = |at: &VertexIx| {
            let vertex = topology.vertices().get(at.0 as usize);
            vertex.is_some_and(|vertex| vertex.name == activation.vertex)
        };
        let at = told.filter(is).or_else(|| topology.find(&activation.vertex))?;
        let place = (activation.frame, at);
        let starts = self.is_starting() && activation.superstep == self.superstep;
        (starts || self.flying.contains(&place)).then_some(place)
    }

    fn durable(&mut self, token: Token, now: Timestamp) {
        if let Some((question, answer)) = self.answering.remove(&token) {
            self.answered(question, answer, now);
            return;
        }
        if let Some(patch) = self.patching.remove(&token) {
            self.patched(patch, now);
            return;
        }
        if let Some(suspended) = self.asked_with(token) {
            self.suspension_durable(token, suspended, now);
            return;
        }
        match self.phase {
            Phase::Recording(expected) if expected == token => self.open_root(now),
            Phase::Committing(expected) if expected == token => self.committed(now),
            Phase::Ending(expected) if expected == token => self.ended(),
            Phase::New
            | Phase::Recording(_)
            | Phase::Delivering(_)
            | Phase::Starting(_)
            | Phase::Running
            | Phase::Committing(_)
            | Phase::Paused
            | Phase::Still
            | Phase::Ending(_)
            | Phase::Ended => {}
        }
    }

    fn append(&mut self, records: Vec<Record>) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        if !self.replaying {
            self.actions.push_back(CoordinatorAction::Append(token, records));
        }
        token
    }

    fn command(&mut self, to: Option<PartitionId>, command: Command) {
        self.actions.push_back(CoordinatorAction::Command(to, command));
    }

    fn notify(&mut self, notice: Notice) {
        self.actions.push_back(CoordinatorAction::Notify(notice));
    }
}
