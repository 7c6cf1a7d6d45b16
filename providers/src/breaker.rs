//! What keeps requests back that are known to fail, or to come too early.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::fault::{Fault, FaultKind};

/// How long a used-up quota is believed, where the provider does not say.
const QUOTA_COOL_DOWN: Duration = Duration::from_secs(5 * 60);

/// How long others wait for the first request to a model, which may tell them that theirs would fail.
const PATIENCE: Duration = Duration::from_secs(1);

/// Remembers why the last request for an account or a model failed for good, and until when a provider
/// wants to be left alone.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    /// Held by the first request while nothing is known.
    first: tokio::sync::Mutex<()>,
    /// How long others wait for it.
    patience: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: Mutex::default(), first: tokio::sync::Mutex::default(), patience: PATIENCE }
    }
}

/// Held by the first request to a model while it is on its way.
pub(crate) struct First<'a> {
    _held: tokio::sync::MutexGuard<'a, ()>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<Open>,
    held_until: Option<Instant>,
    /// Whether a request has ended since nothing was known.
    is_known: bool,
}

#[derive(Debug)]
struct Open {
    fault: Fault,
    /// None: for the life of the process.
    until: Option<Instant>,
}

impl Breaker {
    /// One by which others wait so long for the first request.
    #[cfg(test)]
    pub(crate) fn with_patience(patience: Duration) -> Self {
        Self { patience, ..Self::default() }
    }

    /// Why no request is sent at `now`, if none is.
    pub(crate) fn fault(&self, now: Instant) -> Option<Fault> {
        let mut state = self.state();
        let open = state.open.as_ref()?;
        let rest = open.until.map(|until| until.saturating_duration_since(now));
        if rest == Some(Duration::ZERO) {
            *state = State { open: None, is_known: false, ..*state };
            return None;
        }
        Some(open.fault.clone().not_sent(rest))
    }

    /// Waits for the first request to end, but not for long. The first one itself gets what it is to hold
    /// until it ends; what is dropped before makes place for another first.
    pub(crate) async fn follow(&self) -> Option<First<'_>> {
        if self.state().is_known {
            return None;
        }
        let Ok(held) = timeout(self.patience, self.first.lock()).await else {
            // It is under way, and errors that others share are told at once.
            self.ended();
            return None;
        };
        (!self.state().is_known).then_some(First { _held: held })
    }

    /// Takes note that a request has ended, or is well under way.
    pub(crate) fn ended(&self) {
        self.state().is_known = true;
    }

    /// Keeps requests back because of `fault`, which happened at `now`.
    pub(crate) fn trip(&self, fault: &Fault, now: Instant) {
        let passes = matches!(fault.kind, FaultKind::Quota | FaultKind::Allowance);
        let until = passes.then(|| now + fault.wait.unwrap_or(QUOTA_COOL_DOWN));
        self.state().open = Some(Open { fault: fault.clone(), until });
    }

    /// Lets requests wait for `pause` from `now`.
    pub(crate) fn hold(&self, pause: Duration, now: Instant) {
        let mut state = self.state();
        let until = now + pause;
        state.held_until = Some(state.held_until.map_or(until, |held| held.max(until)));
    }

    /// How long a request has to wait at `now`.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        let held = self.state().held_until;
        held.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single assignment, so a panic elsewhere leaves no half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_cools_down_and_a_credential_does_not() {
        let now = Instant::now();
        for (kind, wait, closed_after) in [
            (FaultKind::Quota, None, Some(QUOTA_COOL_DOWN)),
            (FaultKind::Allowance, Some(Duration::from_secs(3600)), Some(Duration::from_secs(3600))),
            (FaultKind::Credential, None, None),
            (FaultKind::UnknownModel, None, None),
        ] {
            let breaker = Breaker::default();
            assert!(breaker.fault(now).is_none());
            breaker.trip(&Fault { wait, ..Fault::new(kind, "no") }, now);
            assert_eq!(breaker.fault(now).unwrap().kind, kind);
            let later = now + closed_after.unwrap_or(Duration::from_secs(1_000_000));
            assert!(breaker.fault(later.checked_sub(Duration::from_millis(1)).unwrap()).is_some());
            assert_eq!(breaker.fault(later).is_none(), closed_after.is_some(), "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_wait_for_the_first_and_not_for_long() {
        let breaker = Breaker::default();
        let first = breaker.follow().await;
        assert!(first.is_some());
        // Given up, it makes place.
        drop(first);
        let second = breaker.follow().await;
        assert!(second.is_some());
        let begun = tokio::time::Instant::now();
        for _ in 0..2 {
            assert!(breaker.follow().await.is_none());
            assert_eq!(begun.elapsed(), PATIENCE);
        }
        // Ended, it holds nobody up.
        let breaker = Breaker::default();
        let first = breaker.follow().await;
        breaker.ended();
        drop(first);
        assert!(breaker.follow().await.is_none());
        assert_eq!(begun.elapsed(), PATIENCE);
    }

    #[test]
    fn the_longest_pause_holds() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.pause(now), Duration::ZERO);
        breaker.hold(Duration::from_secs(9), now);
        breaker.hold(Duration::from_secs(1), now);
        assert_eq!(breaker.pause(now + Duration::from_secs(4)), Duration::from_secs(5));
        assert_eq!(breaker.pause(now + Duration::from_secs(9)), Duration::ZERO);
    }
}
