//! The end of a life of the process, and the beginning of the next.

use std::sync::Arc;

use superstep_engine::{Action, Commit, Record, Solo, Timestamp};

use super::{Item, Process, Sabotage, Side, World};
use crate::store::Written;
use crate::words::Words;

impl World<'_> {
    pub(super) fn may_crash(&self) -> bool {
        self.counters.crashes < self.faults.most_crashes
    }

    /// Writes the oldest append, unless the process or the store fails on either side of it.
    pub(super) fn write(&mut self) {
        let number = self.store.tried;
        self.store.tried += 1;
        let planned = self.faults.crash_at.iter().find(|(at, _)| *at == number).map(|(_, side)| *side);
        let fails = planned.or_else(|| self.random_failure());
        match fails {
            Some(Side::Before) => {
                self.say(|| format!("write {number} fails"));
                self.counters.store_failed_before += 1;
                self.lose_writes();
                return self.crash();
            }
            Some(Side::Torn) => {
                self.say(|| format!("write {number} is torn"));
                self.counters.writes_torn += 1;
                self.tear();
                self.lose_writes();
                return self.crash();
            }
            Some(Side::After) | None => {}
        }
        let again = self.store.waiting.front().filter(|append| {
            self.faults.sabotage == Some(Sabotage::DoubleCommit)
                && matches!(append.records.last(), Some(Record::Committed(_)))
        });
        if let Some(again) = again.cloned() {
            self.store.waiting.push_front(again);
            self.write_one();
        }
        match self.write_one() {
            Written::Nothing => {}
            Written::Fenced => self.step_down(),
            Written::Done(_) if fails == Some(Side::After) => {
                self.say(|| format!("write {number} succeeds, and nobody hears of it"));
                self.counters.store_failed_after += 1;
                self.lose_writes();
                self.crash();
            }
            Written::Done(append) => self.acknowledge(&append),
        }
    }

    fn lose_writes(&mut self) {
        self.store.waiting.clear();
    }

    /// Leaves a part of the oldest append. Whoever reads the log next cuts it off, for it lacks its end.
    fn tear(&mut self) {
        if self.faults.sabotage != Some(Sabotage::TornTailKept) {
            return;
        }
        let Some(append) = self.store.waiting.front_mut() else { return };
        match append.records.pop() {
            Some(Record::Committed(commit)) if !commit.completed.is_empty() => {
                let mut part = Commit::clone(&commit);
                part.completed.pop();
                append.records.push(Record::Committed(Arc::new(part)));
            }
            Some(_) | None => {}
        }
        self.write_one();
    }

    fn random_failure(&mut self) -> Option<Side> {
        if !self.may_crash() {
            return None;
        }
        if let Some(side) = self.dies_at_first_write.take() {
            return Some(side);
        }
        let fails = self.random.below(100) < self.faults.store;
        let side = fails.then(|| self.random.pick(&[Side::Before, Side::After]))?;
        Some(if self.happens(self.faults.hazards.torn) { Side::Torn } else { side })
    }

    fn write_one(&mut self) -> Written {
        match self.store.write(self.faults.sabotage) {
            Ok(written) => written,
            Err(what) => {
                self.broken(what);
                Written::Nothing
            }
        }
    }

    /// The process finds that another one has written behind what it has read: it reads the log again.
    fn step_down(&mut self) {
        self.counters.writes_fenced += 1;
        self.say(|| "a write finds another in its place".to_owned());
        self.lose_writes();
        self.end_life();
    }

    /// The process dies. Of the writes on their way, some may still land.
    pub(super) fn crash(&mut self) {
        self.counters.crashes += 1;
        self.counters.crashes_in_recovery += u64::from(!self.store.led);
        let exhaustive = !self.faults.crash_at.is_empty() || self.faults.crash_before.is_some();
        if !exhaustive && self.random.chance(50) {
            for _ in 0..self.random.index(self.store.waiting.len() + 1) {
                if let Written::Fenced = self.write_one() {
                    // Each stands behind the one before it, so those have no place either.
                    break;
                }
                self.counters.writes_landed += 1;
            }
        }
        self.lose_writes();
        self.end_life();
    }

    /// The process is gone. Another one will take its place.
    pub(super) fn end_life(&mut self) {
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
        let read = self.read();
        let mut solo = Solo::new(self.scenario.config(self.faults.partitions), Arc::new(Words));
        let owner = format!("life {}", self.life);
        let now = Timestamp(self.now);
        self.say(|| owner.clone());
        if read.is_empty() {
            solo.begin(&owner, now);
        } else if let Err(error) = solo.resume(&read, &owner, now) {
            self.broken(format!("the run cannot be resumed: {error}"));
            return;
        }
        if self.may_crash() && self.random.below(100) < self.faults.recovery {
            self.dies_at_first_write = Some(self.random.pick(&[Side::Before, Side::After]));
        }
        let actions: Vec<Action> = std::iter::from_fn(|| solo.poll_action()).collect();
        let (coordinator, partitions) = solo.into_parts();
        self.process = Some(Process { coordinator, partitions });
        self.telling_past = true;
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
        self.telling_past = false;
    }

    /// The log as a resumed run reads it, spoilt by some defects.
    fn read(&mut self) -> Vec<Record> {
        let mut shown = self.store.log.len();
        if self.store.writes > 1 && self.happens(self.faults.hazards.stale) {
            shown = self.store.stale(self.random.index(4) + 1);
            self.counters.reads_stale += 1;
        }
        self.behind = Some(shown);
        let forgets = self.faults.sabotage == Some(Sabotage::ForgottenOutcomes);
        let free = self.faults.sabotage == Some(Sabotage::FreeIntents);
        let kept = |record: &&Record| !(forgets && matches!(record, Record::CallEnded { .. }));
        let mut log: Vec<Record> = self.store.log[..shown].iter().filter(kept).cloned().collect();
        for record in log.iter_mut().filter(|_| free) {
            if let Record::CallIntent { request, .. } = record {
                request.reserve = superstep_engine::Usage::default();
            }
        }
        log
    }
}
