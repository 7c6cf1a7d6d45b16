//! Continuous batching: every step runs one token of each decoding sequence, its guess at the next ones, and a share
//! of the waiting prompts.

mod slots;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use self::slots::Free;
use crate::adapter::Adapter;
use crate::kv::KvCache;
use crate::model::Model;
use crate::network::{Batch, Row};
use crate::sequence::{Progress, Sequence};
use crate::work::Tally;

pub(crate) use crate::sequence::Job;

/// Rows of one step, so that a long prompt does not hold up the sequences that decode.
const ROWS: usize = 256;
/// Rows of sequences that decode, up to which a step has room for guesses: with more, each costs what it saves.
const GUESSING_ROWS: usize = 16;
/// Tokens that are worth a copy of their keys and values, or a wait for somebody else to have read them.
const WORTH_SHARING: usize = 16;

/// Serves jobs until there is neither a sender nor an unfinished job left.
pub(crate) fn run(model: &Model, queue: &Receiver<Job>, tally: &Tally) {
    let mut scheduler = Scheduler {
        model,
        tally,
        cache: model.cache(),
        waiting: VecDeque::new(),
        active: Vec::new(),
        free: (0..model.slots).map(Free::empty).collect(),
        released: 0,
    };
    while scheduler.receive(queue) {
        scheduler.admit();
        scheduler.share();
        scheduler.step();
    }
}

struct Scheduler<'a> {
    model: &'a Model,
    tally: &'a Tally,
    cache: KvCache,
    waiting: VecDeque<Job>,
    /// In the order in which they were admitted.
    active: Vec<Sequence>,
    free: Vec<Free>,
    /// Sequences that have given back their slots.
    released: u64,
}

/// What one sequence has in a step.
struct Share {
    slot: usize,
    /// Rows of tokens that it has.
    read: usize,
    /// Tokens that it may have next.
    guess: Vec<u32>,
    /// Rows whose logits are wanted.
    wanted: usize,
}

/// The rows of a step.
#[derive(Default)]
struct Plan {
    rows: Vec<Row>,
    shares: Vec<Share>,
    adapters: Vec<Arc<Adapter>>,
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

    fn step(&mut self) {
        let Plan { rows, shares, adapters } = self.plan();
        if rows.is_empty() {
            return;
        }
        self.tally.passes.add(1);
        let batch = Batch { rows: &rows, adapters: &adapters };
        match self.model.network.forward(&mut self.cache, batch) {
            Ok(logits) => {
                let mut logits = logits.into_iter();
                for share in shares {
                    let own = logits.by_ref().take(share.wanted).collect();
                    self.advance(share, own);
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
    fn plan(&mut self) -> Plan {
        let mut plan = Plan::default();
        let waits: Vec<bool> = (0..self.active.len()).map(|index| self.waits(index)).collect();
        let is_decoding = |sequence: &Sequence| sequence.pending().len() == 1;
        let decoding = self.active.iter().filter(|sequence| is_decoding(sequence)).count();
        let mut room = GUESSING_ROWS.saturating_sub(decoding);
        for sequence in self.active.iter_mut().filter(|sequence| is_decoding(sequence)) {
            let guess = sequence.guess(room);
            room -= guess.len();
            plan.add(sequence, guess);
        }
        let reading = self.active.iter().zip(waits).filter(|(sequence, _)| !is_decoding(sequence));
        for (sequence, waits) in reading {
            if !waits && plan.rows.len() < ROWS {
                plan.add(sequence, Vec::new());
            }
        }
        plan
    }

    fn advance(&mut self, share: Share, logits: Vec<Vec<f32>>) {
        let Share { slot, read, guess, .. } = share;
        let Some(index) = self.active.iter().position(|sequence| sequence.slot() == slot) else { return };
        let sequence = &mut self.active[index];
        sequence.ran(read);
        let (mut progress, mut accepted, chooses) = (Progress::Goes, 0, !logits.is_empty());
        // All is counted before it is told: who has an answer finds it among what was done.
        self.tally.guessed.add(if chooses { guess.len() } else { 0 });
        // Each token is chosen as if there had been no guess. While it is the one that was guessed, the next logits
        // are those that a pass over it would give.
        for logits in logits {
            self.tally.chosen.add(1);
            progress = sequence.advance(&self.model.tokenizer, logits);
            if progress == Progress::Ended || guess.get(accepted) != sequence.last() {
                break;
            }
            accepted += 1;
            self.tally.accepted.add(1);
            sequence.ran(1);
        }
        if chooses {
            sequence.learn(guess.len(), accepted);
        }
        if progress == Progress::Ended {
            let sequence = self.active.remove(index);
            self.release(sequence);
        }
    }
}

impl Plan {
    /// Adds what a sequence has to run, as far as there is room, and its guess at what follows.
    fn add(&mut self, sequence: &Sequence, guess: Vec<u32>) {
        let pending = sequence.pending();
        let read = pending.len().min(ROWS.saturating_sub(self.rows.len()));
        let adapter = sequence.adapter().map(|adapter| self.place(adapter));
        let reaches_end = read == pending.len();
        let tokens = pending[..read].iter().chain(&guess).enumerate();
        self.rows.extend(tokens.map(|(index, token)| Row {
            slot: sequence.slot(),
            position: sequence.position() + index,
            token: *token,
            wanted: reaches_end && index + 1 >= read,
            adapter,
        }));
        let wanted = if reaches_end { 1 + guess.len() } else { 0 };
        self.shares.push(Share { slot: sequence.slot(), read, guess, wanted });
    }

    /// The place of an adapter in the batch.
    fn place(&mut self, adapter: &Arc<Adapter>) -> usize {
        let found = self.adapters.iter().position(|known| known.id() == adapter.id());
        found.unwrap_or_else(|| {
            self.adapters.push(Arc::clone(adapter));
            self.adapters.len() - 1
        })
    }
}

#[cfg(test)]
mod tests;
