//! The loop that drives a run: it moves events and actions between the engine, the log, the
//! programs and the outside, and decides nothing.

mod outside;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use superstep_engine::{
    Action, ActivationId, ActivationKey, CallDecision, Costs, Event, Failure, Job, LogToken, Notice, Outcome,
    Record, RunConfig, RunStatus, Solo, Timestamp,
};
use superstep_graph::{Port, Verdict};
use superstep_store::{Append, AppendError, Position, RunName};
use tokio::sync::{mpsc, oneshot};

use super::acknowledge::Acknowledgements;
use super::calls::CallDesk;
use super::prepared::PreparedVertices;
use super::questions::{Deadlines, wall_clock};
use super::{Clock, Control, Observer, RunEnd, RunError, RunLog, Setup};
use crate::calls::{CallEvent, Calls};
use crate::control::Listening;
use crate::events::Hub;
use crate::expressions::EdgeExpressions;
use crate::program::{Activation, Execution, Listener, OnActivationText};
use crate::question::stamp;

/// How many actions are carried out before the outside is looked at.
const BATCH: u32 = 256;

/// An append that has ended, with the number of its records.
type Appended = (LogToken, u64, Result<Position, AppendError>);

/// One run and all that it is connected with.
pub(super) struct Driver {
    pub(super) owner: String,
    pub(super) run: RunName,
    solo: Solo,
    /// Ends before the log is let go: the socket belongs to whoever has the log.
    pub(super) listening: Option<Listening>,
    log: Option<RunLog>,
    clock: Clock,
    now: Timestamp,
    prepared: PreparedVertices,
    observers: Vec<Arc<dyn Observer>>,
    hub: Arc<Hub>,
    heard: OnActivationText,
    desk: CallDesk,
    call_events: mpsc::UnboundedReceiver<CallEvent>,
    controls: mpsc::UnboundedReceiver<Control>,
    finished: mpsc::UnboundedReceiver<(ActivationKey, Outcome)>,
    finish: mpsc::UnboundedSender<(ActivationKey, Outcome)>,
    tasks: HashMap<ActivationKey, tokio::task::AbortHandle>,
    appends: FuturesUnordered<BoxFuture<'static, Appended>>,
    detached: bool,
    leave_when_paused: bool,
    deadlines: Deadlines,
    acknowledgements: Acknowledgements<LogToken>,
    /// Told how the run ended.
    cancelling: Vec<oneshot::Sender<RunStatus>>,
}

impl Driver {
    pub(super) fn new(
        setup: Setup,
        config: RunConfig,
        run: RunName,
        hub: Arc<Hub>,
        controls: mpsc::UnboundedReceiver<Control>,
    ) -> Result<Self, RunError> {
        let mut prepared = PreparedVertices::new(Arc::clone(&setup.programs));
        for (name, graph) in &config.library {
            prepared.prepare(name, graph)?;
        }
        let watched = setup.observers.iter().any(|observer| observer.watches_calls());
        let (desk, call_events) = CallDesk::new(watched);
        let (finish, finished) = mpsc::unbounded_channel();
        let clock = Clock(tokio::time::Instant::now());
        Ok(Self {
            owner: setup.owner,
            run,
            solo: Solo::new(config, Arc::new(EdgeExpressions::new(setup.programs))),
            listening: None,
            log: None,
            clock,
            now: clock.now(),
            prepared,
            heard: heard_by(setup.observers.clone(), Arc::clone(&hub)),
            observers: setup.observers,
            hub,
            desk,
            call_events,
            controls,
            finished,
            finish,
            tasks: HashMap::new(),
            appends: FuturesUnordered::new(),
            detached: false,
            leave_when_paused: setup.leave_when_paused,
            deadlines: Deadlines::default(),
            acknowledgements: Acknowledgements::new(),
            cancelling: Vec::new(),
        })
    }

    pub(super) fn begin(&mut self, log: RunLog) {
        self.log = Some(log);
        self.solo.begin(&self.owner, self.now);
    }

    pub(super) fn resume(&mut self, log: RunLog, records: &[Record]) -> Result<(), RunError> {
        self.log = Some(log);
        let replayed = self.solo.resume(records, &self.owner, self.now);
        replayed.map_err(|source| RunError::Replay { run: self.run.clone(), source })
    }

    /// What was measured of the costs of edges, by this run and those before it.
    pub(super) fn costs(&self) -> &Costs {
        self.solo.coordinator().costs()
    }

    pub(super) async fn drive(&mut self) -> Result<Option<RunEnd>, RunError> {
        // What was asked of the run before it is driven comes first.
        self.look()?;
        loop {
            self.now = self.clock.now();
            if let Some(status) = self.act()? {
                self.tell_end(&status);
                return Ok(Some(RunEnd {
                    status,
                    outputs: self.solo.coordinator().outputs(),
                    totals: self.solo.coordinator().totals(),
                }));
            }
            if self.detached || self.is_left() {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    /// Whether only an answer could move the run, and nobody here gives one. A program whose call is in doubt
    /// still runs, and waits for the answer too.
    fn is_left(&self) -> bool {
        if !self.leave_when_paused || !self.solo.coordinator().is_paused() {
            return false;
        }
        let told = self.controls.is_empty() && self.finished.is_empty() && self.call_events.is_empty();
        let told = told && self.deadlines.next().is_none_or(|due| due > self.now);
        let held = self.tasks.keys().all(|key| self.desk.is_held(*key));
        told && held && self.appends.is_empty() && !self.solo.has_actions()
    }

    /// Carries out what the engine wants, up to a batch; the end of the run, if it has come.
    fn act(&mut self) -> Result<Option<RunStatus>, RunError> {
        for _ in 0..BATCH {
            let Some(action) = self.solo.poll_action() else { break };
            match action {
                Action::Append(token, records) => self.append(token, records)?,
                Action::Run(job) => self.start(job),
                Action::Abort(key) => self.abort(key),
                Action::Decide { ticket, decision, .. } => {
                    self.tell_calling(ticket, &decision);
                    self.desk.decide(ticket, decision);
                }
                Action::Notify(notice) => self.notify(&notice),
                Action::Ended(status) => return Ok(Some(status)),
            }
        }
        Ok(None)
    }

    fn append(&mut self, token: LogToken, records: Vec<Record>) -> Result<(), RunError> {
        let Some(log) = &mut self.log else { return Err(RunError::Empty { run: self.run.clone() }) };
        self.acknowledgements.appending(token, &records);
        let count = records.len() as u64;
        let mut append: Append = log.append(records);
        match (&mut append).now_or_never() {
            Some(result) => self.appended((token, count, result)),
            None => {
                self.appends.push(append.map(move |result| (token, count, result)).boxed());
                Ok(())
            }
        }
    }

    fn appended(&mut self, (token, count, result): Appended) -> Result<(), RunError> {
        match result {
            Ok(position) => {
                self.hub.durable(position.0 + count);
                self.acknowledgements.durable(token);
                self.solo.handle(Event::Durable(token), self.now);
                Ok(())
            }
            Err(source) => Err(RunError::Append { run: self.run.clone(), source }),
        }
    }

    fn start(&mut self, job: Job) {
        let key = job.key;
        let prepared = match self.prepared.get(&job, self.solo.coordinator()) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.finish_now(key, Outcome::Failed(Failure::permanent(error.to_string())));
                return;
            }
        };
        let (caller, calls) = self.desk.calls();
        let listener = Listener::new(Arc::clone(&self.heard), job.activation.clone());
        let ports = Arc::clone(&prepared.ports);
        match prepared.program.start(activation(job, ports, calls, listener)) {
            Execution::Ready(outcome) => self.finish_now(key, outcome),
            Execution::Running(future) => {
                self.desk.register(caller, key);
                let finish = self.finish.clone();
                let task = tokio::spawn(async move {
                    let outcome = unless_it_panics(future).await;
                    if finish.send((key, outcome)).is_err() {
                        tracing::trace!("the run ended before one of its programs");
                    }
                });
                self.tasks.insert(key, task.abort_handle());
            }
        }
    }

    fn finish_now(&mut self, key: ActivationKey, mut outcome: Outcome) {
        if let Outcome::Suspended(question) = &mut outcome {
            stamp(question, wall_clock());
        }
        self.solo.handle(Event::Finished { key, outcome }, self.now);
    }

    fn abort(&mut self, key: ActivationKey) {
        self.desk.forget(key);
        if let Some(task) = self.tasks.remove(&key) {
            task.abort();
        }
    }

    fn tell_calling(&self, ticket: u32, decision: &CallDecision) {
        let CallDecision::Perform { call, .. } = decision else { return };
        let subject = self.desk.subject(ticket);
        self.observers.iter().for_each(|observer| observer.calling(call, subject));
    }

    fn notify(&mut self, notice: &Notice) {
        if let Notice::Mutated { verdict: Verdict::Applied, .. } = notice {
            self.prepared.forget_unused();
        }
        if let Notice::Asked { id, question } = notice {
            self.deadlines.asked(id, question, self.now);
        }
        for observer in &self.observers {
            observer.notice(notice);
        }
        self.hub.notice(notice);
    }

    /// Takes in what comes next from outside; at once, if something is left to be done.
    async fn wait(&mut self) -> Result<(), RunError> {
        if self.solo.has_actions() {
            return self.look();
        }
        let due = self.solo.poll_timeout().into_iter().chain(self.deadlines.next()).min();
        let due = due.map(|timeout| self.clock.at(timeout));
        let timeout = tokio::time::sleep_until(
            due.unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_secs(3_600)),
        );
        tokio::select! {
            Some(appended) = self.appends.next() => {
                self.now = self.clock.now();
                self.appended(appended)?;
            }
            Some((key, outcome)) = self.finished.recv() => self.finished(key, outcome),
            Some(event) = self.call_events.recv() => self.call(event),
            Some(control) = self.controls.recv() => self.control(control),
            () = timeout => {
                self.now = self.clock.now();
                self.solo.handle_timeout(self.now);
            }
        }
        self.look()
    }

    /// Takes in everything that has come, without waiting.
    fn look(&mut self) -> Result<(), RunError> {
        self.now = self.clock.now();
        while let Some(Some(appended)) = self.appends.next().now_or_never() {
            self.appended(appended)?;
        }
        while let Ok((key, outcome)) = self.finished.try_recv() {
            self.finished(key, outcome);
        }
        while let Ok(event) = self.call_events.try_recv() {
            self.call(event);
        }
        while let Ok(control) = self.controls.try_recv() {
            self.control(control);
        }
        if self.solo.poll_timeout().is_some_and(|due| due <= self.now) {
            self.solo.handle_timeout(self.now);
        }
        for (activation, answer) in self.deadlines.take_due(self.now) {
            self.solo.handle(Event::Answer(activation, answer), self.now);
        }
        Ok(())
    }

    fn finished(&mut self, key: ActivationKey, outcome: Outcome) {
        self.now = self.clock.now();
        self.tasks.remove(&key);
        self.desk.forget(key);
        self.finish_now(key, outcome);
    }

    fn call(&mut self, event: CallEvent) {
        self.now = self.clock.now();
        if let Some(event) = self.desk.translate(event) {
            self.solo.handle(event, self.now);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.tasks.values().for_each(tokio::task::AbortHandle::abort);
        self.hub.close();
    }
}

/// The attempt that `job` describes, for its program.
pub(super) fn activation(job: Job, ports: Arc<[Port]>, calls: Calls, listener: Listener) -> Activation {
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
pub(super) async fn unless_it_panics(running: BoxFuture<'static, Outcome>) -> Outcome {
    let outcome = std::panic::AssertUnwindSafe(running).catch_unwind().await;
    outcome.unwrap_or_else(|panic| Outcome::Failed(panicked(&*panic)))
}

fn heard_by(observers: Vec<Arc<dyn Observer>>, hub: Arc<Hub>) -> OnActivationText {
    Arc::new(move |activation, text| {
        observers.iter().for_each(|observer| observer.text(activation, text));
        hub.text(activation, text);
    })
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
