//! The end of a life of the process, and the beginning of the next.

use std::sync::Arc;

use superstep_engine::{Action, Record, Solo, Timestamp};

use super::{Item, Process, Sabotage, Side, World};
use crate::scenario::RUN;
use crate::words::Words;

impl World<'_> {
    pub(super) fn may_crash(&self) -> bool {
        self.counters.crashes < self.faults.most_crashes
    }

    /// Writes the oldest append, unless the process or the store fails on either side of it.
    pub(super) fn write(&mut self) {
        let number = self.store.writes;
        let fails = match self.faults.crash_at {
            Some((at, side)) if at == number && self.counters.crashes == 0 => Some(side),
            Some(_) | None => self.random_failure(),
        };
        if fails == Some(Side::Before) {
            self.say(|| format!("write {number} fails"));
            self.counters.store_failed_before += 1;
            self.store.waiting.clear();
            self.crash();
            return;
        }
        let again = self.store.waiting.front().filter(|append| {
            self.faults.sabotage == Some(Sabotage::DoubleCommit)
                && matches!(append.records.last(), Some(Record::Committed(_)))
        });
        if let Some(again) = again.cloned() {
            self.store.waiting.push_front(again);
            self.write_one();
        }
        let Some(append) = self.write_one() else { return };
        if fails == Some(Side::After) {
            self.say(|| format!("write {number} succeeds, and nobody hears of it"));
            self.counters.store_failed_after += 1;
            self.store.waiting.clear();
            self.crash();
            return;
        }
        self.acknowledge(&append);
    }

    fn random_failure(&mut self) -> Option<Side> {
        if !self.may_crash() {
            return None;
        }
        if let Some(side) = self.dies_at_first_write.take() {
            return Some(side);
        }
        let fails = self.random.below(100) < self.faults.store;
        fails.then(|| self.random.pick(&[Side::Before, Side::After]))
    }

    fn write_one(&mut self) -> Option<crate::store::Append> {
        match self.store.write(RUN) {
            Ok(append) => append,
            Err(what) => {
                self.broken(what);
                None
            }
        }
    }

    /// The process dies. Of the writes on their way, some may still land.
    pub(super) fn crash(&mut self) {
        self.counters.crashes += 1;
        self.counters.crashes_in_recovery += u64::from(!self.store.led);
        if self.faults.crash_at.is_none() && self.random.chance(50) {
            for _ in 0..self.random.index(self.store.waiting.len() + 1) {
                self.counters.writes_landed += 1;
                self.write_one();
            }
        }
        self.store.waiting.clear();
        self.store.busy_until = 0;
        self.store.said_until = 0;
        self.store.led = false;
        if self.faults.sabotage == Some(Sabotage::LostTail) {
            self.store.log.pop();
        }
        self.process = None;
        self.life += 1;
        self.running.clear();
        self.calls.clear();
        self.stopped.clear();
        self.links.clear();
        self.wake_at = None;
        if self.faults.rescales {
            let before = self.faults.partitions;
            self.faults.partitions = u32::try_from(self.random.between(1, 3)).unwrap_or(1);
            self.counters.rescaled += u64::from(before != self.faults.partitions);
        }
        let pause = self.random.between(0, 20_000);
        self.later(pause, Item::Recover);
    }

    /// The process begins the run, or goes on from the log.
    pub(super) fn recover(&mut self) {
        self.notices.clear();
        let mut solo = Solo::new(self.scenario.config(self.faults.partitions), Arc::new(Words));
        let owner = format!("life {}", self.life);
        let now = Timestamp(self.now);
        self.say(|| owner.clone());
        if self.store.log.is_empty() {
            solo.begin(&owner, now);
        } else if let Err(error) = solo.resume(&self.log_as_read(), &owner, now) {
            self.broken(format!("the run cannot be resumed: {error}"));
            return;
        }
        if self.may_crash() && self.random.below(100) < self.faults.recovery {
            self.dies_at_first_write = Some(self.random.pick(&[Side::Before, Side::After]));
        }
        let actions: Vec<Action> = std::iter::from_fn(|| solo.poll_action()).collect();
        let (coordinator, partitions) = solo.into_parts();
        self.process = Some(Process { coordinator, partitions });
        for action in actions {
            match action {
                Action::Append(token, records) => self.append(token.partition(), token.token(), records),
                Action::Run(job) => self.launch(job),
                Action::Abort(key) => self.stop(key),
                Action::Decide { key: _, ticket, decision } => self.decide(ticket, decision),
                Action::Notify(notice) => self.notice(notice),
                Action::Ended(status) => self.ended(status),
            }
        }
    }

    /// The log as a resumed run reads it, spoilt by some defects.
    fn log_as_read(&self) -> Vec<Record> {
        let forgets = self.faults.sabotage == Some(Sabotage::ForgottenOutcomes);
        let free = self.faults.sabotage == Some(Sabotage::FreeIntents);
        let kept = |record: &&Record| !(forgets && matches!(record, Record::CallEnded { .. }));
        let mut log: Vec<Record> = self.store.log.iter().filter(kept).cloned().collect();
        for record in log.iter_mut().filter(|_| free) {
            if let Record::CallIntent { request, .. } = record {
                request.reserve = superstep_engine::Usage::default();
            }
        }
        log
    }
}
