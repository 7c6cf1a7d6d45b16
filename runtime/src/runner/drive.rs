//! The loop that drives a run: it moves events and actions between the engine, the log, the
//! programs and the outside, and decides nothing.

mod outside;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use superstep_engine::{
    Action, CallDecision, Costs, Event, Job, LogToken, Notice, Record, RunConfig, RunStatus, Solo, Timestamp,
};
use superstep_graph::Verdict;
use superstep_store::{Append, AppendError, Position, RunName};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::requests::Requests;
use super::{Control, Observer, RunEnd, RunError, RunLog, Setup};
use crate::clock::Clock;
use crate::control::Listening;
use crate::events::Hub;
use crate::expressions::EdgeExpressions;
use crate::hands::{Deed, Hands};
use crate::program::OnActivationText;

/// How many actions are carried out before the outside is looked at.
const BATCH: u32 = 256;
/// How long the log may take with what it was given before the run was let go: a store that is away may take for ever.
const LAST_APPENDS: Duration = Duration::from_secs(5);

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
    hands: Hands,
    observers: Vec<Arc<dyn Observer>>,
    hub: Arc<Hub>,
    controls: mpsc::UnboundedReceiver<Control>,
    appends: FuturesUnordered<BoxFuture<'static, Appended>>,
    detached: bool,
    leave_when_paused: bool,
    requests: Requests<LogToken>,
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
        let watched = setup.observers.iter().any(|observer| observer.watches_calls());
        let heard = heard_by(setup.observers.clone(), Arc::clone(&hub));
        let mut hands = Hands::new(Arc::clone(&setup.programs), heard, watched);
        for (name, graph) in &config.library {
            hands.prepare(name, graph)?;
        }
        let clock = Clock::start();
        Ok(Self {
            owner: setup.owner,
            run,
            solo: Solo::new(config, Arc::new(EdgeExpressions::new(setup.programs))),
            listening: None,
            log: None,
            clock,
            now: clock.now(),
            hands,
            observers: setup.observers,
            hub,
            controls,
            appends: FuturesUnordered::new(),
            detached: false,
            leave_when_paused: setup.leave_when_paused,
            requests: Requests::default(),
            cancelling: Vec::new(),
        })
    }

    pub(super) fn begin(&mut self, log: RunLog) {
        self.log = Some(log);
        self.solo.begin(&self.owner, self.now);
    }

    pub(super) fn resume(&mut self, log: RunLog, records: &[Record]) -> Result<(), RunError> {
        self.log = Some(log);
        self.requests.remember(records);
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
                return Ok(Some(self.end(status)));
            }
            if self.detached {
                return self.let_go().await;
            }
            if self.is_left() {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    fn end(&mut self, status: RunStatus) -> RunEnd {
        self.tell_end(&status);
        let coordinator = self.solo.coordinator();
        RunEnd { status, outputs: coordinator.outputs(), totals: coordinator.totals() }
    }

    /// Tells of what was already given to the log, once that is durable: whoever goes on with the run goes on behind it, and
    /// tells nothing of it. Nothing else is begun.
    async fn let_go(&mut self) -> Result<Option<RunEnd>, RunError> {
        while let Ok(Some(appended)) = timeout(LAST_APPENDS, self.appends.next()).await {
            self.now = self.clock.now();
            self.appended(appended)?;
        }
        while let Some(action) = self.solo.poll_action() {
            match action {
                Action::Notify(notice) => self.notify(&notice),
                Action::Ended(status) => return Ok(Some(self.end(status))),
                Action::Append(..) | Action::Run(_) | Action::Abort(_) | Action::Decide { .. } => {}
            }
        }
        Ok(None)
    }

    /// Whether only an answer could move the run, and nobody here gives one. A program whose call is in doubt
    /// still runs, and waits for the answer too.
    fn is_left(&self) -> bool {
        if !self.leave_when_paused || !self.solo.coordinator().is_paused() {
            return false;
        }
        let told = self.controls.is_empty() && self.requests.next_deadline().is_none_or(|due| due > self.now);
        told && self.hands.are_held() && self.appends.is_empty() && !self.solo.has_actions()
    }

    /// Carries out what the engine wants, up to a batch; the end of the run, if it has come.
    fn act(&mut self) -> Result<Option<RunStatus>, RunError> {
        for _ in 0..BATCH {
            let Some(action) = self.solo.poll_action() else { break };
            match action {
                Action::Append(token, records) => self.append(token, records)?,
                Action::Run(job) => self.start(job),
                Action::Abort(key) => self.hands.abort(key),
                Action::Decide { ticket, decision, .. } => {
                    self.tell_calling(ticket, &decision);
                    self.hands.decide(ticket, decision);
                }
                Action::Notify(notice) => self.notify(&notice),
                Action::Ended(status) => return Ok(Some(status)),
            }
        }
        Ok(None)
    }

    fn append(&mut self, token: LogToken, records: Vec<Record>) -> Result<(), RunError> {
        let Some(log) = &mut self.log else { return Err(RunError::Empty { run: self.run.clone() }) };
        self.requests.appending(token, &records);
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
                self.requests.durable(token);
                self.solo.handle(Event::Durable(token), self.now);
                Ok(())
            }
            Err(source) => Err(RunError::Append { run: self.run.clone(), source }),
        }
    }

    fn start(&mut self, job: Job) {
        let key = job.key;
        let graph = self.solo.coordinator().graph(job.activation.frame);
        if let Some(outcome) = self.hands.start(job, graph.map(|graph| &**graph.topology())) {
            self.solo.handle(Event::Finished { key, outcome }, self.now);
        }
    }

    fn tell_calling(&mut self, ticket: u32, decision: &CallDecision) {
        let CallDecision::Perform { call, .. } = decision else { return };
        let subject = self.hands.subject(ticket);
        self.observers.iter().for_each(|observer| observer.calling(call, subject));
    }

    fn notify(&mut self, notice: &Notice) {
        if let Notice::Mutated { verdict: Verdict::Applied, .. } = notice {
            self.hands.forget_unused();
        }
        if let Notice::Asked { id, question } = notice {
            self.requests.asked(id, question, self.now);
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
        let due = self.solo.poll_timeout().into_iter().chain(self.requests.next_deadline()).min();
        let due = tokio::time::sleep_until(self.clock.at(due));
        tokio::select! {
            Some(appended) = self.appends.next() => {
                self.now = self.clock.now();
                self.appended(appended)?;
            }
            deed = self.hands.next() => self.done(deed),
            Some(control) = self.controls.recv() => self.control(control),
            () = due => {
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
        while let Some(deed) = self.hands.try_next() {
            self.done(deed);
        }
        while let Ok(control) = self.controls.try_recv() {
            self.control(control);
        }
        if self.solo.poll_timeout().is_some_and(|due| due <= self.now) {
            self.solo.handle_timeout(self.now);
        }
        for (activation, answer) in self.requests.take_due(self.now) {
            self.solo.handle(Event::Answer(activation, answer), self.now);
        }
        Ok(())
    }

    fn done(&mut self, deed: Deed) {
        self.now = self.clock.now();
        let event = match deed {
            Deed::Finished { key, outcome } => Event::Finished { key, outcome },
            Deed::Asked { key, ticket, request, .. } => Event::CallAsked { key, ticket, request },
            Deed::Ended { key, ticket, outcome } => Event::CallEnded { key, ticket, outcome },
        };
        self.solo.handle(event, self.now);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.hub.close();
    }
}

fn heard_by(observers: Vec<Arc<dyn Observer>>, hub: Arc<Hub>) -> OnActivationText {
    Arc::new(move |activation, text| {
        observers.iter().for_each(|observer| observer.text(activation, text));
        hub.text(activation, text);
    })
}
