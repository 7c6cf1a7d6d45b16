//! The calls of running programs, between the programs and the engine.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use superstep_engine::{ActivationKey, CallDecision as Decision, Event, Usage};
use tokio::sync::{mpsc, oneshot};

use crate::call_subject::CallSubject;
use crate::calls::{CallDecision, CallEvent, Caller, Calls};

/// Numbers callers and calls, and keeps who waits for what.
pub(super) struct CallDesk {
    sender: Arc<mpsc::UnboundedSender<CallEvent>>,
    /// Whether anybody wants to know what calls are about.
    watched: bool,
    next_caller: u64,
    next_ticket: u32,
    callers: HashMap<Caller, ActivationKey>,
    by_activation: HashMap<ActivationKey, Caller>,
    tickets: HashMap<(Caller, u32), u32>,
    waiting: HashMap<u32, Waiting>,
    /// Calls that are being made.
    performing: HashSet<u32>,
    /// What was set aside for calls that have not ended, and for what.
    reserved: HashMap<u32, (String, Usage)>,
}

enum Waiting {
    ToBegin(oneshot::Sender<CallDecision>, Option<Box<CallSubject>>),
    ToGoOn(oneshot::Sender<()>),
}

impl CallDesk {
    pub(super) fn new(watched: bool) -> (Self, mpsc::UnboundedReceiver<CallEvent>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let desk = Self {
            sender: Arc::new(sender),
            watched,
            next_caller: 0,
            next_ticket: 0,
            callers: HashMap::new(),
            by_activation: HashMap::new(),
            tickets: HashMap::new(),
            waiting: HashMap::new(),
            performing: HashSet::new(),
            reserved: HashMap::new(),
        };
        (desk, receiver)
    }

    /// The way to the outside for one attempt. It is known to the desk only once it is registered.
    pub(super) fn calls(&mut self) -> (Caller, Calls) {
        let caller = Caller(self.next_caller);
        self.next_caller += 1;
        (caller, Calls::new(caller, Arc::clone(&self.sender)).watched(self.watched))
    }

    /// Expects calls of an attempt that goes on.
    pub(super) fn register(&mut self, caller: Caller, key: ActivationKey) {
        self.callers.insert(caller, key);
        self.by_activation.insert(key, caller);
    }

    /// Forgets an attempt that is over.
    pub(super) fn forget(&mut self, key: ActivationKey) {
        let Some(caller) = self.by_activation.remove(&key) else { return };
        self.callers.remove(&caller);
        let (waiting, performing, reserved) = (&mut self.waiting, &mut self.performing, &mut self.reserved);
        self.tickets.retain(|(other, _), ticket| {
            if *other == caller {
                waiting.remove(ticket);
                performing.remove(ticket);
                reserved.remove(ticket);
            }
            *other != caller
        });
    }

    /// Whether an attempt waits for what is decided of a call, and makes none meanwhile.
    pub(super) fn is_held(&self, key: ActivationKey) -> bool {
        let Some(caller) = self.by_activation.get(&key) else { return false };
        let own = || self.tickets.iter().filter(|((other, _), _)| other == caller).map(|(_, ticket)| ticket);
        let waits = |ticket: &u32| matches!(self.waiting.get(ticket), Some(Waiting::ToBegin(..)));
        own().any(waits) && !own().any(|ticket| self.performing.contains(ticket))
    }

    /// What the engine is to be told, unless the caller is gone.
    pub(super) fn translate(&mut self, event: CallEvent) -> Option<Event> {
        match event {
            CallEvent::Asked { activation, ordinal, request, subject, reply } => {
                let key = *self.callers.get(&activation)?;
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.tickets.insert((activation, ordinal), ticket);
                self.waiting.insert(ticket, Waiting::ToBegin(reply, subject));
                self.reserved.insert(ticket, (request.target.clone(), request.reserve));
                Some(Event::CallAsked { key, ticket, request })
            }
            CallEvent::Ended { activation, ordinal, outcome, reply } => {
                let key = *self.callers.get(&activation)?;
                let ticket = self.tickets.remove(&(activation, ordinal))?;
                self.performing.remove(&ticket);
                if let Some((target, reserved)) = self.reserved.remove(&ticket) {
                    tell_excess(&target, reserved, outcome.usage);
                }
                self.waiting.insert(ticket, Waiting::ToGoOn(reply));
                Some(Event::CallEnded { key, ticket, outcome })
            }
        }
    }

    /// What a call is about that is yet to be decided on.
    pub(super) fn subject(&self, ticket: u32) -> Option<&CallSubject> {
        match self.waiting.get(&ticket)? {
            Waiting::ToBegin(_, subject) => subject.as_deref(),
            Waiting::ToGoOn(_) => None,
        }
    }

    /// Hands the engine's decision to the program. A program that is gone does not take it.
    pub(super) fn decide(&mut self, ticket: u32, decision: Decision) {
        let taken = match (self.waiting.remove(&ticket), decision) {
            (Some(Waiting::ToBegin(reply, _)), Decision::Reuse(outcome)) => {
                reply.send(CallDecision::Reuse(outcome)).is_ok()
            }
            (Some(Waiting::ToBegin(reply, _)), Decision::Perform { idempotency_key, .. }) => {
                self.performing.insert(ticket);
                reply.send(CallDecision::Perform { idempotency_key }).is_ok()
            }
            (Some(Waiting::ToBegin(reply, _)), Decision::Refused(failure)) => {
                reply.send(CallDecision::Refused(failure)).is_ok()
            }
            (Some(Waiting::ToGoOn(reply)), Decision::Recorded) => reply.send(()).is_ok(),
            // The program is gone.
            (None, _) | (Some(Waiting::ToBegin(..)), Decision::Recorded) | (Some(Waiting::ToGoOn(_)), _) => {
                false
            }
        };
        if !taken {
            tracing::trace!(ticket, "a decision came for a program that is gone");
        }
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
