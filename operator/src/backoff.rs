//! How long an object that could not be reconciled waits.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(300);

/// Waits of objects by their uid: each failure doubles an object's own, success ends it.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
    random: RandomState,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub(crate) fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count += 1;
        let wait = FIRST.saturating_mul(1 << (*count - 1).min(16)).min(LONGEST);
        // Objects that failed together are not tried together: up to a quarter less.
        let less = self.random.hash_one((uid, *count)) % 256;
        wait - wait.mul_f64(f64::from(u32::try_from(less).unwrap_or_default()) / 1_024.0)
    }

    /// It went well, or the object is gone.
    pub(crate) fn done(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_and_success_begins_again() {
        let backoff = Backoff::default();
        let waits: Vec<Duration> = (0..20).map(|_| backoff.failed("a")).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST.mul_f64(0.74));
        assert!(waits[5] > 16 * FIRST);
        assert!(waits[19] <= LONGEST && waits[19] >= LONGEST.mul_f64(0.74));
        assert!(backoff.failed("b") <= FIRST);
        backoff.done("a");
        assert!(backoff.failed("a") <= FIRST);
    }
}
