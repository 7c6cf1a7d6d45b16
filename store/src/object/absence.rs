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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tracing::{Event, Level, Metadata, Subscriber, span};

    use super::*;

    /// Counts what is said at the level of warnings.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicU64>);

    impl Subscriber for Warnings {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            assert_eq!(*event.metadata().level(), Level::WARN);
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn an_absence_is_said_once_and_its_end_once() {
        let warnings = Warnings::default();
        let said = || warnings.0.load(Ordering::Relaxed);
        let error =
            object_store::Error::NotImplemented { operation: String::new(), implementer: String::new() };
        tracing::subscriber::with_default(warnings.clone(), || {
            let absence = Absence::new("test://".into());
            absence.missed(&error);
            absence.answered();
            assert_eq!((said(), absence.since()), (0, None), "one miss is none");
            for round in 0..3 {
                (0..10).for_each(|_| absence.clone().missed(&error));
                assert!(absence.since().is_some());
                assert_eq!(said(), 2 * round + 1);
                (0..10).for_each(|_| absence.answered());
                assert_eq!((said(), absence.since()), (2 * round + 2, None));
            }
        });
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(pause(1), FIRST_PAUSE);
        assert!((1..100).all(|times| pause(times) <= pause(times + 1)));
        assert_eq!(pause(100), LONGEST_PAUSE);
    }
}
