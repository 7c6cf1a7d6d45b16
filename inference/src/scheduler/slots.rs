//! Which slot a request gets, and what it need not read because it was read before.
//!
//! The keys and values of a token depend on the tokens before it and on the adapter alone. So a request that begins as
//! another one did, which still runs or has left its slot as it was, takes them over; and of several that begin alike
//! and come together, the first reads for all.

use std::cmp::Reverse;

use super::{Scheduler, WORTH_SHARING};
use crate::adapter::AdapterId;
use crate::sequence::{Job, Sequence};

/// A slot that no sequence holds.
pub(super) struct Free {
    slot: usize,
    /// The tokens whose keys and values are still in the cache.
    tokens: Vec<u32>,
    /// What they were run with.
    adapter: Option<AdapterId>,
    /// Grows from one release to the next.
    since: u64,
}

impl Free {
    pub(super) fn empty(slot: usize) -> Self {
        Self { slot, tokens: Vec::new(), adapter: None, since: 0 }
    }

    /// How many tokens it holds that a request begins with.
    fn shared(&self, prompt: &[u32], adapter: Option<AdapterId>) -> usize {
        if self.adapter == adapter { shared(&self.tokens, prompt) } else { 0 }
    }
}

impl Scheduler<'_> {
    pub(super) fn release(&mut self, sequence: Sequence) {
        self.released += 1;
        let adapter = sequence.adapter().map(|adapter| adapter.id());
        let (slot, tokens) = sequence.into_cached();
        self.free.push(Free { slot, tokens, adapter, since: self.released });
    }

    /// Gives free slots to waiting jobs in their order.
    pub(super) fn admit(&mut self) {
        while !self.free.is_empty() {
            let Some(job) = self.waiting.pop_front() else { break };
            let free = self.free.swap_remove(self.choose(&job));
            // The last token of the prompt is always run, its logits choose the first token of the output.
            let cached = free.shared(&job.prompt, job.adapter_id()).min(job.prompt.len() - 1);
            self.tally.prompt.add(job.prompt.len());
            self.tally.reused.add(cached);
            self.active.push(Sequence::new(job, (free.slot, cached), self.model.guesses));
        }
    }

    /// The free slot for a job: one in which hardly anything is lost that somebody could go on from, of those the one
    /// that has most of the prompt; else the one that was given back first.
    fn choose(&self, job: &Job) -> usize {
        let order = |index: &usize| {
            let free = &self.free[*index];
            let has = free.shared(&job.prompt, job.adapter_id());
            let loses = free.tokens.len() - has > WORTH_SHARING;
            (loses, Reverse(if loses { 0 } else { has }), free.since)
        };
        (0..self.free.len()).min_by_key(order).unwrap_or(0)
    }

    /// Lets sequences that read go on from what others have read.
    pub(super) fn share(&mut self) {
        for index in 0..self.active.len() {
            let Some((from, len)) = self.most_read(index) else { continue };
            let reader = &mut self.active[index];
            let positions = reader.position()..len;
            self.tally.reused.add(positions.len());
            reader.ran(positions.len());
            self.cache.copy(from, reader.slot(), positions);
        }
    }

    /// The slot that holds most of what a sequence is reading, and how many tokens, if that is worth a copy.
    fn most_read(&self, index: usize) -> Option<(usize, usize)> {
        let reader = &self.active[index];
        if reader.pending().len() <= WORTH_SHARING {
            return None;
        }
        let adapter = reader.adapter().map(|adapter| adapter.id());
        let free = self.free.iter().map(|free| (free.slot, free.shared(reader.tokens(), adapter)));
        let others = self.active.iter().filter(|other| other.slot() != reader.slot());
        let others = others.filter(|other| other.adapter().map(|adapter| adapter.id()) == adapter);
        let active = others.map(|other| {
            let read = &other.tokens()[..other.position()];
            (other.slot(), shared(read, reader.tokens()))
        });
        let (slot, len) = free.chain(active).max_by_key(|(_, len)| *len)?;
        let len = len.min(reader.tokens().len() - 1);
        (len >= reader.position() + WORTH_SHARING).then_some((slot, len))
    }

    /// Whether a sequence waits for an older one to read what both begin with.
    pub(super) fn waits(&self, index: usize) -> bool {
        let reader = &self.active[index];
        let adapter = reader.adapter().map(|adapter| adapter.id());
        let older = self.active[..index].iter().filter(|older| older.pending().len() > 1);
        let mut older = older.filter(|older| older.adapter().map(|adapter| adapter.id()) == adapter);
        reader.pending().len() > WORTH_SHARING
            && older.any(|older| {
                let common = shared(older.tokens(), reader.tokens());
                common >= reader.position() + WORTH_SHARING && common > older.position()
            })
    }
}

/// The number of tokens with which both begin.
fn shared(cached: &[u32], prompt: &[u32]) -> usize {
    cached.iter().zip(prompt).take_while(|(a, b)| a == b).count()
}
