//! Whether a store can be reached.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// One request that fails may be a matter of that request; from this one on the store is away.
const MISSES: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What is known of a store's absence, by all who talk to it.
#[derive(Clone, Debug)]
pub(super) struct Absence {
    place: Arc<str>,
    missed: Arc<Mutex<Option<Missed>>>,
}

/// Requests that failed since the last one that was answered.
#[derive(Debug)]
struct Missed {
    since: Instant,
    count: u32,
}

impl Absence {
    pub(super) fn new(place: Arc<str>) -> Self {
        Self { place, missed: Arc::default() }
    }

    /// Since when the store is away; none while it answers.
    pub(super) fn since(&self) -> Option<Instant> {
        self.lock().as_ref().filter(|missed| missed.count >= MISSES).map(|missed| missed.since)
    }

    /// A request was not answered.
    pub(super) fn missed(&self, error: &object_store::Error) {
        let mut missed = self.lock();
        let missed = missed.get_or_insert_with(|| Missed { since: Instant::now(), count: 0 });
        missed.count += 1;
        if missed.count == MISSES {
            tracing::warn!(place = &*self.place, %error, "the store is away, and is tried until it is back");
        }
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        if let Some(missed) = self.lock().take().filter(|missed| missed.count >= MISSES) {
            let seconds = missed.since.elapsed().as_secs();
            tracing::warn!(place = &*self.place, seconds, "the store is back");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Missed>> {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait before a request is made again that failed `times` times.
pub(super) fn pause(times: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << times.saturating_sub(1).min(8)).min(LONGEST_PAUSE)
}
