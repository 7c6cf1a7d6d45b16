//! The worker side of a run: the vertices that one worker has, their inboxes and activations.

mod activation;
mod adopt;
mod again;
mod calls;
mod delivery;
mod element;
mod fetching;
mod flight;
mod frame;
mod journal;
mod launch;
mod measure;
mod questions;
mod routing;
mod vertex;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use superstep_graph::{Topology, VertexName, VertexSpec};

use crate::call::{CallOutcome, CallRequest};
use crate::defect::{self, Defect};
use crate::expressions::Expressions;
use crate::homes::Homes;
use crate::ids::{ActivationId, ActivationKey, FrameId, PartitionId, Place, Timestamp, Token};
use crate::message::{MessageStatus, Routed};
use crate::notice::{Called, Notice};
use crate::payload::Payload;
use crate::program::{Failure, Outcome, Resumption, Usage, View};
use crate::protocol::{Command, Report};
use crate::record::{CallKey, Record};

pub use again::{Again, Recall};
use delivery::Pending;
use element::Stage;
use flight::Flights;
use frame::Frame;
use journal::Journal;
use questions::Questions;

/// What a partition is told.
#[derive(Debug)]
pub enum PartitionEvent {
    /// By the coordinator.
    Command(Command),
    /// By another partition: its messages for a superstep.
    Messages {
        /// The superstep in which they are to be delivered.
        superstep: u64,
        /// The messages.
        messages: Vec<Routed>,
    },
    /// By the driver: an attempt has ended.
    Finished {
        /// Which.
        key: ActivationKey,
        /// How.
        outcome: Outcome,
    },
    /// By the driver: a running program wants to call the outside.
    CallAsked {
        /// Its activation.
        key: ActivationKey,
        /// A number that the driver chose, unique among the activation's open calls.
        ticket: u32,
        /// What it wants to call.
        request: CallRequest,
        /// Whether it makes the call already, as a program does that another partition had started: then its intent
        /// alone leaves no doubt of what became of it.
        under_way: bool,
    },
    /// By the driver: a call that was decided to be performed has ended.
    CallEnded {
        /// Its activation.
        key: ActivationKey,
        /// The number of the call.
        ticket: u32,
        /// How it ended.
        outcome: CallOutcome,
    },
    /// By the log: an append is durable.
    Durable(Token),
}

/// What a partition wants done.
#[derive(Debug)]
pub enum Effect {
    /// Tell the coordinator.
    Report(Report),
    /// Run a program.
    Run(Job),
    /// Stop a program; what it still says is ignored.
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
    /// Append to the log, and say so when it is durable.
    Append(Token, Vec<Record>),
    /// Send messages to another partition.
    Send {
        /// To whom.
        to: PartitionId,
        /// The superstep in which they are to be delivered.
        superstep: u64,
        /// The messages.
        messages: Vec<Routed>,
    },
    /// Tell observers.
    Notify(Notice),
}

/// One attempt of an activation, for the driver to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The handle.
    pub key: ActivationKey,
    /// The name.
    pub activation: ActivationId,
    /// The vertex as it was when the activation started.
    pub vertex: Arc<VertexSpec>,
    /// What the program sees.
    pub view: View,
    /// The answer to what it asked before, if it asked.
    pub resumption: Option<Resumption>,
    /// Attempts before this one.
    pub attempts: u32,
}

/// How a program goes on with a call that it asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum CallDecision {
    /// The call was made before; this is how it ended.
    Reuse(CallOutcome),
    /// Make the call with this idempotency key, and report how it ended.
    Perform {
        /// Which call it is.
        call: CallKey,
        /// The key that its receiver knows it by.
        idempotency_key: String,
    },
    /// Do not make it.
    Refused(Failure),
    /// The outcome that was reported is durable.
    Recorded,
}

/// The worker side of one run, as a state machine without IO.
pub struct Partition {
    run: Arc<str>,
    me: PartitionId,
    homes: Arc<Homes>,
    expressions: Arc<dyn Expressions + Send + Sync>,
    frames: BTreeMap<FrameId, Frame>,
    flights: Flights,
    superstep: u64,
    incoming: Vec<Routed>,
    from_others: BTreeMap<u64, Vec<Routed>>,
    delivery: Option<Pending>,
    touched: Vec<Place>,
    planned: Vec<(Place, bool)>,
    unsettled: BTreeSet<Place>,
    journal: Journal,
    questions: Questions,
    /// The values of the run's own graph, once the run has ended.
    left: BTreeMap<VertexName, Payload>,
    /// When which element of which flight is to be looked at.
    alarms: BTreeSet<(Timestamp, u32, u32)>,
    effects: VecDeque<Effect>,
    tokens: BTreeMap<Token, AfterDurable>,
    next_token: u64,
    replaying: bool,
    /// Whether nobody wants to hear what becomes of messages.
    untold: bool,
}

/// What goes on once an append is durable.
#[derive(Debug)]
enum AfterDurable {
    Nothing,
    Suspend(ActivationKey),
    Perform { key: ActivationKey, ticket: u32, call: CallKey },
    Recorded { key: ActivationKey, ticket: u32, called: Box<Called>, told: bool },
    GaveUp(Box<Called>),
}

impl Partition {
    /// The partition `me` of those that there are, without any frame yet.
    pub fn new(
        run: &str,
        me: PartitionId,
        homes: Arc<Homes>,
        expressions: Arc<dyn Expressions + Send + Sync>,
    ) -> Self {
        Self {
            run: run.into(),
            me,
            homes,
            expressions,
            frames: BTreeMap::new(),
            flights: Flights::new(me),
            superstep: 0,
            incoming: Vec::new(),
            from_others: BTreeMap::new(),
            delivery: None,
            touched: Vec::new(),
            planned: Vec::new(),
            unsettled: BTreeSet::new(),
            journal: Journal::default(),
            questions: Questions::default(),
            left: BTreeMap::new(),
            alarms: BTreeSet::new(),
            effects: VecDeque::new(),
            tokens: BTreeMap::new(),
            next_token: 0,
            replaying: false,
            untold: false,
        }
    }

    /// Leaves [`Notice::Settled`] out from here on, which there is for each message, for a driver that does nothing
    /// with it.
    pub fn leave_statuses_untold(&mut self) {
        self.untold = true;
    }

    /// The next thing to do; none until the next event.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.alarms.first().map(|(due, _, _)| *due)
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: PartitionEvent, now: Timestamp) {
        match event {
            PartitionEvent::Command(command) => self.command(command, now),
            PartitionEvent::Messages { superstep, messages } => {
                self.from_others.entry(superstep).or_default().extend(messages);
                self.deliver_if_complete(now);
            }
            PartitionEvent::Finished { key, outcome } => self.finished(key, outcome, now),
            PartitionEvent::CallAsked { key, ticket, request, under_way } => {
                self.call_asked(key, ticket, request, under_way);
            }
            PartitionEvent::CallEnded { key, ticket, outcome } => self.call_ended(key, ticket, outcome),
            PartitionEvent::Durable(token) => self.durable(token),
        }
    }

    /// Lets pauses and deadlines that have passed take effect.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((_, number, element)) = self.alarms.first().copied().filter(|(due, _, _)| *due <= now)
        {
            self.alarms.pop_first();
            let key = self.flights.key(number, element);
            let found = self.flights.get(number).and_then(|flight| flight.elements.get(element));
            if found.is_some_and(|element| matches!(element.stage(), Stage::BackingOff { .. })) {
                self.run_element(key, now);
                continue;
            }
            self.effects.push_back(Effect::Abort(key));
            self.finished(key, Outcome::Failed(Failure::overrun()), now);
        }
    }

    /// The graph of a frame, under its present revision.
    pub fn topology(&self, frame: FrameId) -> Option<&Arc<Topology>> {
        self.frames.get(&frame).map(|frame| &frame.topology)
    }

    /// Whether an activation has started, and is neither committed nor cancelled.
    pub fn is_in_flight(&self, activation: &ActivationId) -> bool {
        self.find(activation).is_some()
    }

    /// An activation of this partition that has ended and waits for the barrier: its name, without element, why it
    /// failed, if it did, and what its calls have used. What is to be told of a commit that names its place is
    /// asked before the commit is taken in.
    pub fn completed(&self, place: Place) -> Option<(&ActivationId, Option<&Failure>, Usage)> {
        let number = self.frames.get(&place.0)?.vertices.flight(place.1)?;
        let flight = self.flights.get(number)?;
        let staged = flight.staged.as_ref()?;
        Some((&flight.id, staged.failure.as_ref(), self.journal.usage(flight)))
    }

    /// Whether the partition is fed from a log: then it appends nothing and retries nothing.
    pub(crate) fn set_replaying(&mut self, replaying: bool) {
        self.replaying = replaying;
    }

    fn command(&mut self, command: Command, now: Timestamp) {
        match command {
            Command::Deliver { superstep, expect, aggregates, costs, starts } => {
                self.take_costs(costs);
                self.take_aggregates(aggregates);
                self.begin_delivery(Pending { superstep, expect, starts }, now);
            }
            Command::Answer(answers) => self.answer(answers, now),
            Command::Start(start) => self.start(start, now),
            Command::Open(openings) => self.open(openings, now),
            Command::Reserved { key, ticket, refused } => self.reserved(key, ticket, refused),
            Command::Commit(committed) => self.commit(committed),
            Command::End(status) => self.end(&status),
        }
    }

    fn durable(&mut self, token: Token) {
        match self.tokens.remove(&token) {
            Some(AfterDurable::Suspend(key)) => self.suspended(key),
            Some(AfterDurable::Perform { key, ticket, call }) => self.perform(key, ticket, &call),
            Some(AfterDurable::Recorded { key, ticket, called, told }) => {
                self.recorded(key, ticket, called, told);
            }
            Some(AfterDurable::GaveUp(called)) => {
                self.effects.push_back(Effect::Notify(Notice::Called(called)))
            }
            Some(AfterDurable::Nothing) | None => {}
        }
    }

    fn append(&mut self, record: Record, then: AfterDurable) {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.tokens.insert(token, then);
        self.effects.push_back(Effect::Append(token, vec![record]));
    }

    fn report(&mut self, report: Report) {
        self.effects.push_back(Effect::Report(report));
    }

    /// The partition that has a vertex.
    fn home(&self, vertex: &VertexName) -> PartitionId {
        self.homes.of(vertex)
    }

    fn is_alone(&self) -> bool {
        self.homes.count() == 1
    }

    fn owns(&self, place: Place) -> bool {
        self.is_alone() || self.frames.get(&place.0).is_some_and(|frame| frame.home(place.1) == self.me)
    }

    fn settle(
        &mut self,
        frame: FrameId,
        message: &crate::message::MessageKey,
        to: &VertexName,
        status: MessageStatus,
    ) {
        if self.untold || (status == MessageStatus::DeadLettered && defect::is(Defect::DeadLetterDropped)) {
            return;
        }
        let taken = None;
        self.effects.push_back(Effect::Notify(settled(frame, message, to, taken, status)));
    }

    /// Gives a message that an activation of this superstep drained its status.
    fn settle_taken(
        &mut self,
        frame: FrameId,
        message: &crate::message::MessageKey,
        to: &VertexName,
        status: MessageStatus,
    ) {
        if self.untold {
            return;
        }
        let taken = Some(self.superstep);
        self.effects.push_back(Effect::Notify(settled(frame, message, to, taken, status)));
    }
}

fn settled(
    frame: FrameId,
    message: &crate::message::MessageKey,
    to: &VertexName,
    taken: Option<u64>,
    status: MessageStatus,
) -> Notice {
    let (from, port, sent) = (message.from.clone(), message.port.clone(), message.superstep);
    Notice::Settled { frame, from, port, to: to.clone(), sent, taken, status }
}
