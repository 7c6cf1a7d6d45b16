//! What a server has done, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of times, in seconds; above the last there is no bound.
pub(crate) const BOUNDS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Times, by how long they were.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// How many were within each bound and not within the one before; at last those within none.
    pub(crate) within: [Count; BOUNDS.len() + 1],
    /// All of them, in microseconds.
    pub(crate) micros: Count,
}

impl Times {
    pub(crate) fn note(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let place = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.within[place].add(1);
        self.micros.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

/// What a server has done since it began.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests that were answered, or whose stream has begun.
    pub(crate) answered: Count,
    /// Requests that were refused, or failed.
    pub(crate) refused: Count,
    /// Requests that found the queue full.
    pub(crate) turned_away: Count,
    /// Requests that boarded a flight that was on its way, or got what it had brought.
    pub(crate) joined: Count,
    /// Flights that ended early, because nobody listened any more.
    pub(crate) abandoned: Count,
    /// Answers that the model was asked for.
    pub(crate) generations: Count,
    /// Tokens read.
    pub(crate) prompt_tokens: Count,
    /// Tokens written.
    pub(crate) completion_tokens: Count,
    /// From being let in to the first text.
    pub(crate) first_text: Times,
    /// From being let in to the end of the answer.
    pub(crate) whole_answer: Times,
}
