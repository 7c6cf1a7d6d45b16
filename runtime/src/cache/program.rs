//! A program whose results are kept.

use std::sync::Arc;

use futures::FutureExt as _;
use superstep_engine::{CallOutcome, CallRequest, Failure, Outcome, Payload, ProgramResult, Usage};
use superstep_store::Digest;

use super::flight::Part;
use super::{CACHE_TARGET, Keying, ResultCache};
use crate::calls::Calls;
use crate::program::{Activation, Execution, Program};

/// A program whose results are kept.
pub(crate) struct Cached(Arc<Inside>);

struct Inside {
    program: Arc<dyn Program>,
    cache: ResultCache,
    keying: Keying,
}

impl Cached {
    pub(crate) fn new(program: Arc<dyn Program>, cache: ResultCache, keying: Keying) -> Self {
        Self(Arc::new(Inside { program, cache, keying }))
    }
}

impl Program for Cached {
    fn start(&self, activation: Activation) -> Execution {
        let inside = Arc::clone(&self.0);
        Execution::Running(async move { inside.run(activation).await }.boxed())
    }
}

impl Inside {
    async fn run(self: Arc<Self>, activation: Activation) -> Outcome {
        let key = match self.keying.key(&activation.view) {
            Ok(key) => key,
            Err(failure) => return Outcome::Failed(failure),
        };
        // Who looks before he has a part may miss what is kept just then, and work at it again.
        let leading = match self.cache.flights.join(key) {
            Part::Lead(leading) => Some(leading),
            Part::Follow(waiting) => {
                waiting.end().await;
                None
            }
        };
        if let Some(result) = self.find(key).await {
            drop(leading);
            return taken(key, result, activation).await;
        }
        // Where who worked has failed, each works for itself now, and nobody waits for another failure.
        let outcome = self.program.start(activation).outcome().await;
        if let Outcome::Done(result) = &outcome {
            let (inside, result) = (Arc::clone(&self), result.clone());
            aside(move || inside.cache.keep(key, inside.keying.ttl, &result)).await;
        }
        drop(leading);
        outcome
    }

    async fn find(self: &Arc<Self>, key: Digest) -> Option<ProgramResult> {
        let inside = Arc::clone(self);
        aside(move || inside.cache.find(key, inside.keying.ttl)).await.flatten()
    }
}

/// Runs what waits for the disk where it holds nobody up; none if the process ends.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Records that a kept result is taken: its intent and its outcome are those of a call that uses nothing.
async fn taken(key: Digest, result: ProgramResult, activation: Activation) -> Outcome {
    let mut digest = [0; 16];
    digest.copy_from_slice(&key.as_bytes()[..16]);
    match record(&activation.calls, digest, &result).await {
        Ok(()) => Outcome::Done(result),
        Err(failure) => Outcome::Failed(failure),
    }
}

async fn record(calls: &Calls, digest: [u8; 16], result: &ProgramResult) -> Result<(), Failure> {
    let request =
        CallRequest { target: CACHE_TARGET.to_owned(), digest, repeatable: true, reserve: Usage::default() };
    let answer = result.as_output().cloned().unwrap_or_else(Payload::null);
    let outcome = CallOutcome { answer: Ok(answer), usage: Usage::default() };
    calls.perform(request, |_| async move { outcome }).await.map(drop)
}
