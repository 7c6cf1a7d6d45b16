//! Calls to the outside, each recorded before it is made and before its outcome is used.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use superstep_engine::{CallOutcome, CallRequest, Failure, Payload};
use superstep_graph::canonical_json;
use tokio::sync::{mpsc, oneshot};

use crate::call_subject::CallSubject;

/// Which activation in flight a call belongs to, as its runner numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

/// What a program tells the runner about one of its calls.
#[derive(Debug)]
pub enum CallEvent {
    /// A call is about to be made. Nothing is sent before the answer.
    Asked {
        /// The activation.
        activation: Caller,
        /// The position of the call among those of this attempt of the activation.
        ordinal: u32,
        /// What is called.
        request: CallRequest,
        /// What it is about, if those who watch the run want to know and the program says.
        subject: Option<Box<CallSubject>>,
        /// Takes what to do.
        reply: oneshot::Sender<CallDecision>,
    },
    /// A call has ended. Its outcome is not used before the answer.
    Ended {
        /// The activation.
        activation: Caller,
        /// The position that the call was asked for with.
        ordinal: u32,
        /// How it ended.
        outcome: CallOutcome,
        /// Told once the outcome is durable.
        reply: oneshot::Sender<()>,
    },
}

/// What the runner decides about a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallDecision {
    /// It was completed before: this is how it ended.
    Reuse(CallOutcome),
    /// Its intent is durable: make it.
    Perform {
        /// Equal whenever the same call is sent again.
        idempotency_key: String,
    },
    /// It must not be made.
    Refused(Failure),
}

/// What a call that is made needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTicket {
    /// Equal whenever the same call is sent again, so that a server can join it.
    pub idempotency_key: String,
    /// The position of the call among those of this attempt of the activation.
    pub ordinal: u32,
}

/// The way from one activation to its runner. Clones share the numbering of calls.
#[derive(Debug)]
pub struct Calls {
    activation: Caller,
    runner: Arc<mpsc::UnboundedSender<CallEvent>>,
    /// Made by the first call or clone: most activations have neither.
    next: OnceLock<Arc<AtomicU32>>,
    watched: bool,
}

impl Clone for Calls {
    fn clone(&self) -> Self {
        let next = Arc::clone(self.next.get_or_init(Arc::default)).into();
        let (activation, runner) = (self.activation, Arc::clone(&self.runner));
        Self { activation, runner, next, watched: self.watched }
    }
}

impl Calls {
    /// The calls of `activation`, told to `runner`.
    pub fn new(activation: Caller, runner: impl Into<Arc<mpsc::UnboundedSender<CallEvent>>>) -> Self {
        Self { activation, runner: runner.into(), next: OnceLock::new(), watched: false }
    }

    /// The same calls, whose subjects are told to the runner.
    #[must_use]
    pub fn watched(self, watched: bool) -> Self {
        Self { watched, ..self }
    }

    /// Makes a call, unless it was completed before. The intent is durable before `call` is run, and
    /// the outcome before it is given back. Calls are numbered in the order in which this method is
    /// called, not polled; several may be in flight.
    ///
    /// # Errors
    /// The call failed or was refused; a transient failure if the runner is gone.
    pub fn perform<F>(
        &self,
        request: CallRequest,
        call: impl FnOnce(CallTicket) -> F + Send,
    ) -> impl Future<Output = Result<Payload, Failure>> + Send
    where
        F: Future<Output = CallOutcome> + Send,
    {
        let made = self.make(request, None, call);
        async move { made.await?.0 }
    }

    /// As [`perform`](Self::perform), and tells those who watch the run what the call is about: `subject` is
    /// needed only if [somebody does](Self::is_watched).
    ///
    /// # Errors
    /// As [`perform`](Self::perform).
    pub fn perform_about<F>(
        &self,
        request: CallRequest,
        subject: Option<CallSubject>,
        call: impl FnOnce(CallTicket) -> F + Send,
    ) -> impl Future<Output = Result<Payload, Failure>> + Send
    where
        F: Future<Output = CallOutcome> + Send,
    {
        let made = self.make(request, subject, call);
        async move { made.await?.0 }
    }

    /// Whether anybody wants to know what calls are about.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// As [`perform`](Self::perform), but tells the failure of a call apart from a call that must not be
    /// made.
    ///
    /// # Errors
    /// The call was refused; a transient failure if the runner is gone.
    pub(crate) fn make<F, C>(
        &self,
        request: CallRequest,
        subject: Option<CallSubject>,
        call: C,
    ) -> impl Future<Output = Result<Made, Failure>> + Send + use<F, C>
    where
        F: Future<Output = CallOutcome> + Send,
        C: FnOnce(CallTicket) -> F + Send,
    {
        let subject = subject.map(Box::new);
        let ordinal = self.next.get_or_init(Arc::default).fetch_add(1, Ordering::Relaxed);
        let (activation, runner) = (self.activation, Arc::clone(&self.runner));
        async move {
            let (reply, decision) = oneshot::channel();
            runner
                .send(CallEvent::Asked { activation, ordinal, request, subject, reply })
                .map_err(|_| gone())?;
            let idempotency_key = match decision.await.map_err(|_| gone())? {
                CallDecision::Reuse(outcome) => return Ok(Made(outcome.answer)),
                CallDecision::Refused(failure) => return Err(failure),
                CallDecision::Perform { idempotency_key } => idempotency_key,
            };
            let outcome = call(CallTicket { idempotency_key, ordinal }).await;
            let answer = outcome.answer.clone();
            let (reply, durable) = oneshot::channel();
            runner.send(CallEvent::Ended { activation, ordinal, outcome, reply }).map_err(|_| gone())?;
            durable.await.map_err(|_| gone())?;
            Ok(Made(answer))
        }
    }
}

/// What a call that was made has given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Made(pub(crate) Result<Payload, Failure>);

/// What tells equal requests from others: the hash of their canonical JSON.
pub(crate) fn digest(request: &Value) -> [u8; 16] {
    let hash = blake3::hash(canonical_json(request).as_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&hash.as_bytes()[..16]);
    short
}

fn gone() -> Failure {
    Failure::transient("the runner of this activation is gone")
}

#[cfg(test)]
pub(crate) mod tests;
