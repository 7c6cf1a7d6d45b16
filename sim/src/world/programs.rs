//! Programs that run, and the calls that they make.

use superstep_engine::{ActivationKey, CallDecision, CallOutcome, CallRequest, Failure, Job, PartitionEvent};

use super::{Item, Sabotage, World};
use crate::behaviour::{Step, step};

/// A program that runs.
#[derive(Debug)]
pub(super) struct Running {
    job: Job,
    /// How its calls ended so far, in the order in which it asked for them.
    answers: Vec<CallOutcome>,
    /// The tickets that it waits for.
    open: Vec<u32>,
}

/// A call that a program waits for.
#[derive(Debug)]
pub(super) struct Call {
    run: u64,
    request: CallRequest,
    outcome: Option<CallOutcome>,
    settled: bool,
}

impl World<'_> {
    pub(super) fn launch(&mut self, job: Job) {
        self.say(|| format!("run {} {:?}", job.activation, job.view));
        if job.activation.superstep > self.store.commits {
            self.broken(format!(
                "{} runs before superstep {} is durable",
                job.activation, self.store.commits
            ));
        }
        self.runs += 1;
        let run = self.runs;
        self.running.insert(run, Running { job, answers: Vec::new(), open: Vec::new() });
        self.think(run);
    }

    /// Stops the program behind a handle. Some go on for a while; what they say is to be ignored.
    pub(super) fn stop(&mut self, key: ActivationKey) {
        let activation = self.running.values().find(|running| running.job.key == key);
        if let Some(activation) = activation.map(|running| running.job.activation.clone()) {
            *self.stopped.entry(activation).or_default() += 1;
        }
        if self.random.below(100) < self.faults.late {
            self.counters.late_events += 1;
            return;
        }
        self.running.retain(|_, running| running.job.key != key);
    }

    fn think(&mut self, run: u64) {
        let longest = if self.random.chance(10) { 100_000 } else { 15_000 };
        let delay = self.random.between(100, longest);
        self.later(delay, Item::Step(run));
    }

    pub(super) fn step(&mut self, run: u64) {
        let Some(running) = self.running.get(&run) else { return };
        let key = running.job.key;
        match step((&running.job).into(), &running.answers) {
            Step::Call(requests) => {
                let tickets: Vec<u32> =
                    (1u32..).take(requests.len()).map(|number| self.tickets + number).collect();
                self.tickets += u32::try_from(requests.len()).unwrap_or(0);
                if let Some(running) = self.running.get_mut(&run) {
                    running.open.clone_from(&tickets);
                }
                for (ticket, request) in tickets.into_iter().zip(requests) {
                    let call = Call { run, request: request.clone(), outcome: None, settled: false };
                    self.calls.insert(ticket, call);
                    self.partition(
                        key.partition,
                        PartitionEvent::CallAsked { key, ticket, request, under_way: false },
                    );
                }
            }
            Step::End(outcome) => {
                self.running.remove(&run);
                if self.repeats() {
                    let delay = self.random.below(10_000);
                    self.later(delay, Item::Finished(key, outcome.clone()));
                }
                self.partition(key.partition, PartitionEvent::Finished { key, outcome });
            }
        }
    }

    pub(super) fn decide(&mut self, ticket: u32, decision: CallDecision) {
        self.say(|| format!("call {ticket}: {decision:?}"));
        let Some(call) = self.calls.get_mut(&ticket) else { return };
        match decision {
            CallDecision::Reuse(outcome) => {
                if !self.store.holds(call.request.digest, &outcome) {
                    self.broken(format!("call {ticket} is answered by an outcome that is not durable"));
                }
                self.counters.calls_reused += 1;
                self.settled(ticket, outcome);
            }
            CallDecision::Refused(failure) => {
                self.counters.calls_refused += 1;
                self.settled(ticket, refused(failure));
            }
            CallDecision::Perform { idempotency_key, .. } => {
                let request = Box::new(call.request.clone());
                self.send(ticket, request, idempotency_key);
            }
            CallDecision::Recorded => match call.outcome.clone() {
                Some(outcome) => {
                    if !self.store.holds(call.request.digest, &outcome) {
                        self.broken(format!("call {ticket} is recorded, and is not durable"));
                    }
                    self.settled(ticket, outcome);
                }
                // A person said how it ended: the driver finds that in the log.
                None => self.settled_by_log(ticket),
            },
        }
    }

    fn settled_by_log(&mut self, ticket: u32) {
        let Some(digest) = self.calls.get(&ticket).map(|call| call.request.digest) else { return };
        let found = self.store.last_outcome(digest);
        match found {
            Some(outcome) => self.settled(ticket, outcome),
            None => self.broken(format!("call {ticket} is recorded, and not in the log")),
        }
    }

    fn send(&mut self, ticket: u32, request: Box<CallRequest>, key: String) {
        let key = if self.faults.sabotage == Some(Sabotage::FreshKeys) {
            format!("{key}-{}", self.life)
        } else {
            key
        };
        if !self.store.intents.contains(&key) {
            self.broken(format!("call {key} is sent, and its intent is not durable"));
        }
        if self.store.outcomes.contains_key(&key) {
            self.broken(format!("call {key} is sent again, and had ended"));
        }
        let (life, sent) = (self.life, self.model.send(&key, self.life));
        self.store.ledger = self.model.ledger.len();
        // An attempt that ran out of time leaves a call behind, and the next one sends it again.
        let stopped = self.calls.get(&ticket).and_then(|call| self.running.get(&call.run));
        let stopped =
            stopped.and_then(|running| self.stopped.get(&running.job.activation)).copied().unwrap_or(0);
        if sent.iter().filter(|before| **before == life).count() > 1 + stopped {
            self.broken(format!("call {key} is sent twice without a crash"));
        }
        self.counters.calls_sent += 1;
        self.counters.calls_resent += u64::from(sent.len() > 1);
        let delay = self.random.between(50, 5_000);
        self.later(delay, Item::CallArrives(ticket, request, key));
    }

    /// A request reaches its server, even if who sent it is dead.
    pub(super) fn call_arrives(&mut self, ticket: u32, request: &CallRequest, key: &str) {
        let outcome = self.model.execute(key, request);
        self.say(|| format!("call {key} is executed: {outcome:?}"));
        let delay = self.random.between(50, 30_000);
        if self.calls.contains_key(&ticket) {
            self.later(delay, Item::CallReturns(ticket, outcome));
        }
    }

    pub(super) fn call_returns(&mut self, ticket: u32, outcome: CallOutcome) {
        let Some(call) = self.calls.get_mut(&ticket) else { return };
        if call.outcome.is_none() {
            call.outcome = Some(outcome.clone());
        }
        let Some(running) = self.running.get(&call.run) else { return };
        let key = running.job.key;
        if self.repeats() {
            let delay = self.random.below(10_000);
            self.later(delay, Item::CallReturns(ticket, outcome.clone()));
        }
        self.partition(key.partition, PartitionEvent::CallEnded { key, ticket, outcome });
    }

    /// A call has ended for its program, which goes on once all have that it waits for.
    fn settled(&mut self, ticket: u32, outcome: CallOutcome) {
        let Some(call) = self.calls.get_mut(&ticket) else { return };
        if std::mem::replace(&mut call.settled, true) {
            return;
        }
        call.outcome = Some(outcome);
        let run = call.run;
        let calls = &self.calls;
        let Some(running) = self.running.get_mut(&run) else { return };
        let outcome_of = |ticket: &u32| {
            calls.get(ticket).filter(|call| call.settled).and_then(|call| call.outcome.clone())
        };
        let all: Option<Vec<CallOutcome>> = running.open.iter().map(outcome_of).collect();
        let Some(all) = all.filter(|all| !all.is_empty()) else { return };
        running.answers.extend(all);
        running.open.clear();
        self.think(run);
    }
}

/// What a program takes a refusal for.
fn refused(failure: Failure) -> CallOutcome {
    CallOutcome { answer: Err(failure), usage: superstep_engine::Usage::default() }
}
