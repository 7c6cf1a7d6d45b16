//! What executes the programs of a run: the part that every driver of the engine has in common.
//!
//! A driver hands over what the engine wants run, and hears what the programs do. [`Hands::let_go`] parts them from
//! the partition that wanted them, which is gone when the run goes on elsewhere or under another leader: they work
//! on, and the partition that comes after it adopts them when it wants the same executed. So nothing is done
//! twice that was not lost.

mod desk;
mod prepared;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use superstep_engine::{
    ActivationId, ActivationKey, CallDecision, CallOutcome, CallRequest, Failure, Job, Outcome, Resumption,
};
use superstep_graph::{Port, Topology, ValidatedGraph};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::Instrument as _;

use crate::call_subject::CallSubject;
use crate::calls::{Caller, Calls};
use crate::program::{Activation, Execution, Listener, OnActivationText};
use crate::programs::Programs;
use crate::question::stamp;
use crate::runner::{RunError, wall_clock};

use desk::{CallDesk, Unfit};
pub(crate) use prepared::PreparedVertices;

/// Something that a program has done, for the partition that has its activation.
#[derive(Debug)]
pub enum Deed {
    /// An attempt has ended.
    Finished {
        /// Which.
        key: ActivationKey,
        /// How.
        outcome: Outcome,
    },
    /// It wants to call the outside.
    Asked {
        /// Its activation.
        key: ActivationKey,
        /// The number of the call, never used twice by these hands.
        ticket: u32,
        /// What it wants to call.
        request: CallRequest,
        /// Whether it makes the call already: then it was adopted.
        under_way: bool,
    },
    /// A call that was decided to be performed has ended.
    Ended {
        /// Its activation.
        key: ActivationKey,
        /// The number of the call.
        ticket: u32,
        /// How it ended.
        outcome: CallOutcome,
    },
}

/// The programs of one run that are executed in this process.
pub struct Hands {
    prepared: PreparedVertices,
    heard: OnActivationText,
    desk: CallDesk,
    finished: mpsc::UnboundedReceiver<(u64, Outcome)>,
    finish: mpsc::UnboundedSender<(u64, Outcome)>,
    next_task: u64,
    tasks: BTreeMap<u64, Task>,
    by_key: HashMap<ActivationKey, u64>,
    /// Whether what has ended is kept until its result is durable.
    keeps: bool,
    /// What has ended and may be wanted again.
    ended: HashMap<ActivationId, (Attempt, Outcome)>,
    /// What works on without a partition.
    orphans: HashMap<ActivationId, u64>,
}

/// Which attempt of an activation a task executes.
#[derive(Clone, PartialEq)]
struct Attempt {
    number: u32,
    resumption: Option<Resumption>,
}

/// A program that goes on.
struct Task {
    /// None where nobody would want it again.
    activation: Option<ActivationId>,
    attempt: Attempt,
    /// None while it has no partition.
    key: Option<ActivationKey>,
    caller: Caller,
    abort: AbortHandle,
    /// How it ended, if that was while it had no partition.
    outcome: Option<Outcome>,
}

impl Hands {
    /// Hands for these programs. `heard` is told the texts of models; `watched`: whether calls say what they
    /// are about.
    pub fn new(programs: Arc<Programs>, heard: OnActivationText, watched: bool) -> Self {
        let (finish, finished) = mpsc::unbounded_channel();
        Self {
            prepared: PreparedVertices::new(programs),
            heard,
            desk: CallDesk::new(watched),
            finished,
            finish,
            next_task: 0,
            tasks: BTreeMap::new(),
            by_key: HashMap::new(),
            keeps: false,
            ended: HashMap::new(),
            orphans: HashMap::new(),
        }
    }

    /// The same hands, which keep how programs ended until [`Self::forget_ended`], for a partition that comes
    /// after the one that wanted them executed.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// Prepares every vertex of a graph, so that a run begins only if all of them can run.
    ///
    /// # Errors
    /// One cannot.
    pub fn prepare(&mut self, name: &str, graph: &ValidatedGraph) -> Result<(), RunError> {
        self.prepared.prepare(name, graph)
    }

    /// Forgets what was prepared of vertices that are not there any more.
    pub fn forget_unused(&mut self) {
        self.prepared.forget_unused();
    }

    /// Begins an attempt, whose frame has the graph `topology`; how it ended, if it has at once. An attempt that
    /// goes on without a partition is adopted, and one that has ended is not made again.
    pub fn start(&mut self, job: Job, topology: Option<&Topology>) -> Option<Outcome> {
        let (key, attempt) = (job.key, Attempt { number: job.attempts, resumption: job.resumption.clone() });
        if self.keeps {
            if let Some((_, outcome)) = self.ended.get(&job.activation).filter(|(ended, _)| *ended == attempt)
            {
                return Some(outcome.clone());
            }
            if let Some(number) = self.orphans.remove(&job.activation) {
                if self.tasks.get(&number).is_some_and(|task| task.attempt == attempt) {
                    return self.adopt(number, key);
                }
                self.drop_task(number);
            }
        }
        let prepared = match self.prepared.get(&job, topology) {
            Ok(prepared) => prepared,
            Err(error) => return Some(Outcome::Failed(Failure::permanent(error.to_string()))),
        };
        let (caller, calls) = self.desk.calls();
        let listener = Listener::new(Arc::clone(&self.heard), job.activation.clone());
        let ports = Arc::clone(&prepared.ports);
        let program = Arc::clone(&prepared.program);
        let id = self.keeps.then(|| job.activation.clone());
        match program.start(activation(job, ports, calls, listener)) {
            Execution::Ready(outcome) => Some(stamped(outcome)),
            Execution::Running(future) => {
                self.desk.register(caller, key);
                self.spawn(future, key, caller, (id, attempt));
                None
            }
        }
    }

    fn spawn(
        &mut self,
        future: BoxFuture<'static, Outcome>,
        key: ActivationKey,
        caller: Caller,
        (id, attempt): (Option<ActivationId>, Attempt),
    ) {
        let (number, finish) = (self.next_task, self.finish.clone());
        self.next_task += 1;
        let work = async move {
            let outcome = unless_it_panics(future).await;
            if finish.send((number, outcome)).is_err() {
                tracing::trace!("the run ended before one of its programs");
            }
        };
        // What it logs belongs to the run, as what its driver logs does.
        let task = tokio::spawn(work.in_current_span());
        let abort = task.abort_handle();
        self.by_key.insert(key, number);
        self.tasks
            .insert(number, Task { activation: id, attempt, key: Some(key), caller, abort, outcome: None });
    }

    /// Stops an attempt.
    pub fn abort(&mut self, key: ActivationKey) {
        if let Some(number) = self.by_key.remove(&key) {
            self.drop_task(number);
        }
    }

    fn drop_task(&mut self, number: u64) {
        if let Some(task) = self.tasks.remove(&number) {
            task.abort.abort();
            self.desk.forget_caller(task.caller);
            if let Some(key) = task.key {
                self.by_key.remove(&key);
                self.desk.forget(key);
            }
        }
    }

    /// Tells a program how to go on with a call.
    pub fn decide(&mut self, ticket: u32, decision: CallDecision) {
        if let Err(Unfit { key, failure }) = self.desk.decide(ticket, decision) {
            let Some(number) = self.by_key.get(&key) else { return };
            if self.finish.send((*number, Outcome::Failed(failure))).is_err() {
                tracing::trace!("these hands are being dropped");
            }
        }
    }

    /// What a call is about whose program has yet to be told whether to make it.
    pub fn subject(&mut self, ticket: u32) -> Option<&CallSubject> {
        self.desk.subject(ticket)
    }

    /// Whether a program has yet to be told whether it makes a call: one that was adopted may be making it.
    pub fn is_to_begin(&mut self, ticket: u32) -> bool {
        self.desk.is_to_begin(ticket)
    }

    /// Whether every program waits for what is decided of a call of its, and nothing is to be told.
    pub fn are_held(&self) -> bool {
        let told = self.finished.is_empty() && self.desk.is_empty();
        told && self.by_key.keys().all(|key| self.desk.is_held(*key))
    }

    /// What a program does next. It may be given up and begun again.
    pub async fn next(&mut self) -> Deed {
        loop {
            tokio::select! {
                biased;
                deed = self.desk.next() => return deed,
                Some((number, outcome)) = self.finished.recv() => {
                    if let Some(deed) = self.finished(number, outcome) {
                        return deed;
                    }
                }
            }
        }
    }

    /// What a program has done, without waiting.
    pub fn try_next(&mut self) -> Option<Deed> {
        if let Some(deed) = self.desk.try_next() {
            return Some(deed);
        }
        while let Ok((number, outcome)) = self.finished.try_recv() {
            if let Some(deed) = self.finished(number, outcome) {
                return Some(deed);
            }
        }
        None
    }

    fn finished(&mut self, number: u64, outcome: Outcome) -> Option<Deed> {
        let task = self.tasks.get_mut(&number)?;
        let outcome = stamped(outcome);
        let Some(key) = task.key else {
            task.outcome = Some(outcome);
            return None;
        };
        let task = self.tasks.remove(&number)?;
        task.abort.abort();
        self.by_key.remove(&key);
        self.desk.forget(key);
        if let (true, Some(activation)) = (self.keeps, task.activation) {
            self.ended.insert(activation, (task.attempt, outcome.clone()));
        }
        Some(Deed::Finished { key, outcome })
    }

    /// Parts every program from its partition, which is gone.
    pub fn let_go(&mut self) {
        self.by_key.clear();
        self.desk.forget_deeds();
        for (number, task) in &mut self.tasks {
            let (Some(key), Some(activation)) = (task.key.take(), &task.activation) else { continue };
            self.desk.orphan(key);
            self.orphans.insert(activation.clone(), *number);
        }
    }

    fn adopt(&mut self, number: u64, key: ActivationKey) -> Option<Outcome> {
        let task = self.tasks.get_mut(&number)?;
        task.key = Some(key);
        self.by_key.insert(key, number);
        self.desk.adopt(task.caller, key);
        if let Some(outcome) = task.outcome.take()
            && self.finish.send((number, outcome)).is_err()
        {
            tracing::trace!("these hands are being dropped");
        }
        None
    }

    /// Stops what works without a partition: the one that came after it does not want it.
    pub fn stop_orphans(&mut self) {
        let unwanted: Vec<u64> = self.orphans.drain().map(|(_, number)| number).collect();
        unwanted.into_iter().for_each(|number| self.drop_task(number));
    }

    /// Forgets how programs ended, apart from activations that are still in flight.
    pub fn forget_ended(&mut self, is_in_flight: impl Fn(&ActivationId) -> bool) {
        self.ended.retain(|activation, _| is_in_flight(activation));
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.tasks.values().for_each(|task| task.abort.abort());
    }
}

/// With the deadline of what it asks, if it asks something that has one.
fn stamped(mut outcome: Outcome) -> Outcome {
    if let Outcome::Suspended(question) = &mut outcome {
        stamp(question, wall_clock());
    }
    outcome
}

/// The attempt that `job` describes, for its program.
pub(crate) fn activation(job: Job, ports: Arc<[Port]>, calls: Calls, listener: Listener) -> Activation {
    Activation {
        seed: seed_of(&job.activation),
        view: job.view,
        resumption: job.resumption,
        vertex: job.vertex,
        ports,
        calls,
        listener,
    }
}

/// How a program ends; a panic is a failure.
pub(crate) async fn unless_it_panics(running: BoxFuture<'static, Outcome>) -> Outcome {
    let outcome = std::panic::AssertUnwindSafe(running).catch_unwind().await;
    outcome.unwrap_or_else(|panic| Outcome::Failed(panicked(&*panic)))
}

/// Equal whenever the same activation runs, in this process or another: FNV-1a over its name, mixed
/// as splitmix64 does. Every activation has a seed, so it must cost next to nothing.
fn seed_of(activation: &ActivationId) -> u64 {
    let numbers = [
        u64::from(activation.frame.0),
        u64::from(activation.incarnation),
        activation.superstep,
        activation.element.map_or(u64::MAX, u64::from),
    ];
    let bytes = activation.vertex.as_str().bytes().map(u64::from);
    let hash = bytes
        .chain(numbers)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, part| (hash ^ part).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    Failure::permanent(format!("the program panicked: {}", text.unwrap_or_default()))
}
