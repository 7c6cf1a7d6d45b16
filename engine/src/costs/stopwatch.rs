//! How long an activation was at work.

use crate::ids::Timestamp;

/// Measures an activation from its start to the last end of one of its programs, without pauses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stopwatch {
    since: Timestamp,
    micros: u64,
}

impl Stopwatch {
    /// One that starts.
    pub(crate) fn start(now: Timestamp) -> Self {
        Self { since: now, micros: 0 }
    }

    /// Counts the time up to now.
    pub(crate) fn lap(&mut self, now: Timestamp) {
        self.micros += now.0.saturating_sub(self.since.0);
        self.since = now;
    }

    /// Leaves out the time since the last lap: it was a pause.
    pub(crate) fn skip(&mut self, now: Timestamp) {
        self.since = now;
    }

    /// The time counted, in microseconds.
    pub(crate) fn micros(&self) -> u64 {
        self.micros
    }
}
