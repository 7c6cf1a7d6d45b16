//! What a generator has done, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What a [`Generator`](crate::Generator) has done since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// Passes through the network.
    pub passes: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of prompts whose keys and values were there, from this request's slot or another one.
    pub reused_tokens: u64,
    /// Tokens that were chosen.
    pub chosen_tokens: u64,
    /// Tokens that were guessed before they were chosen.
    pub guessed_tokens: u64,
    /// Guessed tokens that were chosen, too.
    pub accepted_tokens: u64,
}

/// The same as it grows. One thread writes it, any may read.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passes: Count,
    pub(crate) prompt: Count,
    pub(crate) reused: Count,
    pub(crate) chosen: Count,
    pub(crate) guessed: Count,
    pub(crate) accepted: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    pub(crate) fn work(&self) -> Work {
        Work {
            passes: self.passes.value(),
            prompt_tokens: self.prompt.value(),
            reused_tokens: self.reused.value(),
            chosen_tokens: self.chosen.value(),
            guessed_tokens: self.guessed.value(),
            accepted_tokens: self.accepted.value(),
        }
    }
}
