//! Continuous batching: every step runs one token of each decoding sequence and a share of the waiting prompts.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};

use crate::kv::KvCache;
use crate::model::Model;
use crate::network::Row;
use crate::sequence::{Progress, Sequence};

pub(crate) use crate::sequence::Job;

/// Rows of one step, so that a long prompt does not hold up the sequences that decode.
const ROWS: usize = 256;

/// Serves jobs until there is neither a sender nor an unfinished job left.
pub(crate) fn run(model: &Model, queue: &Receiver<Job>) {
    let mut scheduler = Scheduler {
        model,
        cache: model.cache(),
        waiting: VecDeque::new(),
        active: Vec::new(),
        free: (0..model.slots).map(|slot| Free { slot, tokens: Vec::new() }).collect(),
    };
    while scheduler.receive(queue) {
        scheduler.admit();
        scheduler.step();
    }
}

/// A slot that no sequence holds.
struct Free {
    slot: usize,
    /// The tokens whose keys and values are still in the cache.
    tokens: Vec<u32>,
}

struct Scheduler<'a> {
    model: &'a Model,
    cache: KvCache,
    waiting: VecDeque<Job>,
    active: Vec<Sequence>,
    free: Vec<Free>,
}

impl Scheduler<'_> {
    /// Takes what is queued and drops what was cancelled; waits if there is nothing to do, and says whether there
    /// can ever be something again.
    fn receive(&mut self, queue: &Receiver<Job>) -> bool {
        loop {
            match queue.try_recv() {
                Ok(job) => self.waiting.push_back(job),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.drop_cancelled();
                    return !(self.waiting.is_empty() && self.active.is_empty());
                }
            }
        }
        self.drop_cancelled();
        if !(self.waiting.is_empty() && self.active.is_empty()) {
            return true;
        }
        queue.recv().map(|job| self.waiting.push_back(job)).is_ok()
    }

    fn drop_cancelled(&mut self) {
        self.waiting.retain(|job| !job.events.is_closed());
        let (kept, cancelled): (Vec<_>, Vec<_>) =
            self.active.drain(..).partition(|sequence| !sequence.is_cancelled());
        self.active = kept;
        cancelled.into_iter().for_each(|sequence| self.release(sequence));
    }

    fn release(&mut self, sequence: Sequence) {
        let (slot, tokens) = sequence.into_cached();
        self.free.push(Free { slot, tokens });
    }

    /// Gives free slots to waiting jobs in their order, each the slot that already holds most of its prompt.
    fn admit(&mut self) {
        while !self.free.is_empty() {
            let Some(job) = self.waiting.pop_front() else { break };
            let best = (0..self.free.len())
                .max_by_key(|index| {
                    let tokens = &self.free[*index].tokens;
                    (shared(tokens, &job.prompt), std::cmp::Reverse(tokens.len()))
                })
                .unwrap_or(0);
            let free = self.free.swap_remove(best);
            // The last token of the prompt is always run, its logits choose the first token of the output.
            let cached = shared(&free.tokens, &job.prompt).min(job.prompt.len() - 1);
            self.active.push(Sequence::new(job, free.slot, cached));
        }
    }

    fn step(&mut self) {
        let rows = self.rows();
        if rows.is_empty() {
            return;
        }
        let wanted: Vec<usize> = rows.iter().filter(|row| row.wanted).map(|row| row.slot).collect();
        match self.model.network.forward(&mut self.cache, &rows) {
            Ok(logits) => {
                for row in &rows {
                    for sequence in self.active.iter_mut().filter(|sequence| sequence.slot() == row.slot) {
                        sequence.ran();
                    }
                }
                for (slot, logits) in wanted.into_iter().zip(logits) {
                    self.advance(slot, logits);
                }
            }
            Err(error) => {
                for sequence in std::mem::take(&mut self.active) {
                    sequence.fail_backend(&error);
                    self.release(sequence);
                }
            }
        }
    }

    /// The rows of the next step: first the sequences with one token to run, then prompts, oldest first.
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let decoding = self.active.iter().filter(|sequence| sequence.pending().len() == 1);
        let reading = self.active.iter().filter(|sequence| sequence.pending().len() > 1);
        for sequence in decoding.chain(reading) {
            let pending = sequence.pending();
            let take = pending.len().min(ROWS.saturating_sub(rows.len()));
            rows.extend(pending[..take].iter().enumerate().map(|(index, token)| Row {
                slot: sequence.slot(),
                position: sequence.position() + index,
                token: *token,
                wanted: index + 1 == pending.len(),
            }));
        }
        rows
    }

    fn advance(&mut self, slot: usize, logits: Vec<f32>) {
        let Some(index) = self.active.iter().position(|sequence| sequence.slot() == slot) else { return };
        match self.active[index].advance(&self.model.tokenizer, logits) {
            Progress::Goes => {}
            Progress::Ended => {
                let sequence = self.active.remove(index);
                self.release(sequence);
            }
        }
    }
}

/// The number of tokens with which both begin.
fn shared(cached: &[u32], prompt: &[u32]) -> usize {
    cached.iter().zip(prompt).take_while(|(a, b)| a == b).count()
}
