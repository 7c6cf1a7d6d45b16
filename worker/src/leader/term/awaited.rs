//! The workers of a term that have not taken their partitions over yet.

use tokio::time::{Duration, Instant};

use crate::leader::Attendant;

/// How long a worker may take to load what a run needs, which may have to be fetched.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// After so long it is said who is waited for.
const SILENT: Duration = Duration::from_secs(3);

/// Whose partitions do not work yet.
pub(super) struct Awaited {
    since: Instant,
    partitions: Vec<usize>,
}

impl Awaited {
    /// All of so many partitions, from now on.
    pub(super) fn all(partitions: usize) -> Self {
        Self { since: Instant::now(), partitions: (0..partitions).collect() }
    }

    /// A partition works.
    pub(super) fn ready(&mut self, partition: usize) {
        self.partitions.retain(|awaited| *awaited != partition);
    }

    /// When those that are awaited are taken for lost.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.partitions.is_empty()).then(|| self.since + PATIENCE)
    }

    /// Those that should have taken over by now.
    pub(super) fn overdue(&self, now: Instant) -> &[usize] {
        if now >= self.since + PATIENCE { &self.partitions } else { &[] }
    }

    /// Who is waited for, if that has taken a while.
    pub(super) fn told(&self, workers: &[Attendant], now: Instant) -> Option<String> {
        if self.partitions.is_empty() || now < self.since + SILENT {
            return None;
        }
        let names = self.partitions.iter().filter_map(|at| Some(workers.get(*at)?.name.as_str()));
        Some(format!("what it needs is not loaded yet at {}", names.collect::<Vec<_>>().join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_take_over_is_named_and_then_lost() {
        let mut awaited = Awaited::all(2);
        let begun = awaited.since;
        assert_eq!((awaited.told(&[], begun), awaited.overdue(begun)), (None, &[][..]));
        assert!(awaited.told(&[], begun + SILENT).is_some());
        awaited.ready(0);
        assert_eq!(awaited.deadline(), Some(begun + PATIENCE));
        assert_eq!(awaited.overdue(begun + PATIENCE), [1]);
        awaited.ready(1);
        assert_eq!((awaited.told(&[], begun + PATIENCE), awaited.deadline()), (None, None));
    }
}
