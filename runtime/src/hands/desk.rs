//! The calls of running programs, between the programs and the engine.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use superstep_engine::{ActivationKey, CallDecision as Decision, CallOutcome, CallRequest, Failure, Usage};
use tokio::sync::{mpsc, oneshot};

use super::Deed;
use crate::call_subject::CallSubject;
use crate::calls::{CallDecision, CallEvent, Caller, Calls};

/// Numbers callers and calls, and keeps who waits for what.
pub(super) struct CallDesk {
    sender: Arc<mpsc::UnboundedSender<CallEvent>>,
    events: mpsc::UnboundedReceiver<CallEvent>,
    /// Whether anybody wants to know what calls are about.
    watched: bool,
    next_caller: u64,
    next_ticket: u32,
    callers: HashMap<Caller, Attempt>,
    by_activation: HashMap<ActivationKey, Caller>,
    /// The attempt of a call, and its position there.
    tickets: HashMap<u32, (Caller, u32)>,
    /// What the engine is to be told.
    deeds: VecDeque<Deed>,
}

/// An attempt that goes on, and the calls that it has asked for, in order.
#[derive(Default)]
struct Attempt {
    /// None while no partition knows it.
    key: Option<ActivationKey>,
    calls: Vec<Call>,
}

struct Call {
    ordinal: u32,
    ticket: u32,
    request: CallRequest,
    stage: Stage,
}

/// How far a call has come, as its program knows.
enum Stage {
    /// Its program waits for what is decided.
    ToBegin(oneshot::Sender<CallDecision>, Option<Box<CallSubject>>),
    /// It is made.
    Performing,
    /// It has ended, and its program waits until that is durable.
    ToGoOn(oneshot::Sender<()>, CallOutcome),
    /// Its program has gone on.
    Over,
}

/// What an adopted attempt cannot do.
pub(super) struct Unfit {
    pub(super) key: ActivationKey,
    pub(super) failure: Failure,
}

impl CallDesk {
    pub(super) fn new(watched: bool) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        Self {
            sender: Arc::new(sender),
            events,
            watched,
            next_caller: 0,
            next_ticket: 0,
            callers: HashMap::new(),
            by_activation: HashMap::new(),
            tickets: HashMap::new(),
            deeds: VecDeque::new(),
        }
    }

    /// The way to the outside for one attempt. It is known to the desk only once it is registered.
    pub(super) fn calls(&mut self) -> (Caller, Calls) {
        let caller = Caller(self.next_caller);
        self.next_caller += 1;
        (caller, Calls::new(caller, Arc::clone(&self.sender)).watched(self.watched))
    }

    /// Expects calls of an attempt that goes on.
    pub(super) fn register(&mut self, caller: Caller, key: ActivationKey) {
        self.callers.insert(caller, Attempt { key: Some(key), calls: Vec::new() });
        self.by_activation.insert(key, caller);
    }

    /// Forgets an attempt that is over.
    pub(super) fn forget(&mut self, key: ActivationKey) {
        if let Some(caller) = self.by_activation.remove(&key) {
            self.forget_caller(caller);
        }
    }

    pub(super) fn forget_caller(&mut self, caller: Caller) {
        for call in self.callers.remove(&caller).into_iter().flat_map(|attempt| attempt.calls) {
            self.tickets.remove(&call.ticket);
        }
    }

    /// Lets an attempt go on whose partition is gone: nobody hears of its calls until it is adopted.
    pub(super) fn orphan(&mut self, key: ActivationKey) -> Option<Caller> {
        let caller = self.by_activation.remove(&key)?;
        let attempt = self.callers.get_mut(&caller)?;
        attempt.key = None;
        for call in &attempt.calls {
            self.tickets.remove(&call.ticket);
        }
        Some(caller)
    }

    /// Forgets what was to be told to a partition that is gone: whoever adopts an attempt hears of its calls anew.
    pub(super) fn forget_deeds(&mut self) {
        self.deeds.clear();
    }

    /// Gives an attempt that goes on to another partition, which is told of the calls that it has asked for, in
    /// order: those that its log has are used again, and what is under way is not made anew.
    pub(super) fn adopt(&mut self, caller: Caller, key: ActivationKey) {
        let Some(attempt) = self.callers.get_mut(&caller) else { return };
        attempt.key = Some(key);
        self.by_activation.insert(key, caller);
        for call in &mut attempt.calls {
            call.ticket = self.next_ticket;
            self.next_ticket += 1;
            self.tickets.insert(call.ticket, (caller, call.ordinal));
            let under_way = matches!(call.stage, Stage::Performing | Stage::ToGoOn(..));
            let (ticket, request) = (call.ticket, call.request.clone());
            self.deeds.push_back(Deed::Asked { key, ticket, request, under_way });
        }
    }

    /// Whether an attempt waits for what is decided of a call, and makes none meanwhile.
    pub(super) fn is_held(&self, key: ActivationKey) -> bool {
        let attempt = self.by_activation.get(&key).and_then(|caller| self.callers.get(caller));
        let Some(attempt) = attempt else { return false };
        let waits = |call: &Call| matches!(call.stage, Stage::ToBegin(..));
        let works = |call: &Call| matches!(call.stage, Stage::Performing);
        attempt.calls.iter().any(waits) && !attempt.calls.iter().any(works)
    }

    /// Whether something is to be told already.
    pub(super) fn is_empty(&self) -> bool {
        self.deeds.is_empty() && self.events.is_empty()
    }

    /// What a program does next. It may be given up and begun again.
    pub(super) async fn next(&mut self) -> Deed {
        loop {
            if let Some(deed) = self.deeds.pop_front() {
                return deed;
            }
            let event = self.events.recv().await.expect("the desk holds a sender itself");
            self.take(event);
        }
    }

    /// What a program has done, without waiting.
    pub(super) fn try_next(&mut self) -> Option<Deed> {
        loop {
            if let Some(deed) = self.deeds.pop_front() {
                return Some(deed);
            }
            let event = self.events.try_recv().ok()?;
            self.take(event);
        }
    }

    fn take(&mut self, event: CallEvent) {
        match event {
            CallEvent::Asked { activation, ordinal, request, subject, reply } => {
                let Some(attempt) = self.callers.get_mut(&activation) else { return };
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                if let Some(key) = attempt.key {
                    self.tickets.insert(ticket, (activation, ordinal));
                    let (request, under_way) = (request.clone(), false);
                    self.deeds.push_back(Deed::Asked { key, ticket, request, under_way });
                }
                attempt.calls.push(Call { ordinal, ticket, request, stage: Stage::ToBegin(reply, subject) });
            }
            CallEvent::Ended { activation, ordinal, outcome, reply } => {
                let Some(attempt) = self.callers.get_mut(&activation) else { return };
                let Some(call) = attempt.calls.iter_mut().find(|call| call.ordinal == ordinal) else {
                    return;
                };
                tell_excess(&call.request.target, call.request.reserve, outcome.usage);
                if let Some(key) = attempt.key {
                    self.deeds.push_back(Deed::Ended { key, ticket: call.ticket, outcome: outcome.clone() });
                }
                call.stage = Stage::ToGoOn(reply, outcome);
            }
        }
    }

    fn call(&mut self, ticket: u32) -> Option<(Option<ActivationKey>, &mut Call)> {
        let (caller, ordinal) = self.tickets.get(&ticket)?;
        let attempt = self.callers.get_mut(caller)?;
        let call = attempt.calls.iter_mut().find(|call| call.ordinal == *ordinal)?;
        Some((attempt.key, call))
    }

    /// What a call is about that is yet to be decided on.
    pub(super) fn subject(&mut self, ticket: u32) -> Option<&CallSubject> {
        match &self.call(ticket)?.1.stage {
            Stage::ToBegin(_, subject) => subject.as_deref(),
            Stage::Performing | Stage::ToGoOn(..) | Stage::Over => None,
        }
    }

    /// Whether its program has yet to be told whether it makes a call.
    pub(super) fn is_to_begin(&mut self, ticket: u32) -> bool {
        self.call(ticket).is_some_and(|(_, call)| matches!(call.stage, Stage::ToBegin(..)))
    }

    /// Hands the engine's decision to the program. A program that is gone does not take it.
    ///
    /// # Errors
    /// An adopted attempt makes a call, or has made one, that it must not make.
    pub(super) fn decide(&mut self, ticket: u32, decision: Decision) -> Result<(), Unfit> {
        let Some((key, call)) = self.call(ticket) else { return Ok(()) };
        let (stage, deed) = match (std::mem::replace(&mut call.stage, Stage::Over), decision) {
            (Stage::ToBegin(reply, _), Decision::Reuse(outcome)) => {
                told(reply.send(CallDecision::Reuse(outcome)).is_ok());
                (Stage::Over, None)
            }
            (Stage::ToBegin(reply, _), Decision::Perform { idempotency_key, .. }) => {
                told(reply.send(CallDecision::Perform { idempotency_key }).is_ok());
                (Stage::Performing, None)
            }
            (Stage::ToBegin(reply, _), Decision::Refused(failure)) => {
                told(reply.send(CallDecision::Refused(failure)).is_ok());
                (Stage::Over, None)
            }
            (Stage::ToGoOn(reply, _), Decision::Recorded | Decision::Reuse(_)) => {
                told(reply.send(()).is_ok());
                (Stage::Over, None)
            }
            // It had ended before its attempt was adopted: its outcome follows.
            (Stage::ToGoOn(reply, outcome), Decision::Perform { .. }) => {
                let deed = key.map(|key| Deed::Ended { key, ticket, outcome: outcome.clone() });
                (Stage::ToGoOn(reply, outcome), deed)
            }
            (Stage::Performing | Stage::ToGoOn(..), Decision::Refused(failure)) => {
                return key.map_or(Ok(()), |key| Err(Unfit { key, failure }));
            }
            (stage @ (Stage::Performing | Stage::Over | Stage::ToBegin(..)), _) => (stage, None),
        };
        call.stage = stage;
        self.deeds.extend(deed);
        Ok(())
    }
}

fn told(heard: bool) {
    if !heard {
        tracing::trace!("a decision came for a program that is gone");
    }
}

/// Tells of a call that has used more than was set aside for it: a budget may be exceeded by as much.
fn tell_excess(target: &str, reserved: Usage, used: Usage) {
    if used.tokens() > reserved.tokens() || used.cost > reserved.cost {
        let (tokens, cost) = (used.tokens(), used.cost);
        let (reserved_tokens, reserved_cost) = (reserved.tokens(), reserved.cost);
        tracing::warn!(
            call = target,
            tokens,
            reserved_tokens,
            cost,
            reserved_cost,
            "a call has used more than was reserved for it"
        );
    }
}
