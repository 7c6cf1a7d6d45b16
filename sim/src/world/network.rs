//! What the parts of the process say to each other, to the store and to observers.

use superstep_engine::{
    Command, CoordinatorAction, CoordinatorEvent, Effect, Epoch, LimitKind, MessageStatus, Notice,
    PartitionEvent, PartitionId, Record, RunStatus, Timestamp, Token,
};
use superstep_graph::Verdict;

use super::{Append, Item, Sabotage, World};

impl World<'_> {
    /// Does everything that the parts want done.
    pub(super) fn pump(&mut self) {
        while self.violation.is_none() {
            let Some(process) = &mut self.process else { return };
            if let Some(action) = process.coordinator.poll_action() {
                self.coordinate(action);
                continue;
            }
            let parts = (0u32..).zip(&mut process.partitions);
            let mut effects = parts
                .filter_map(|(number, part)| part.poll_effect().map(|effect| (PartitionId(number), effect)));
            let Some((from, effect)) = effects.next() else { break };
            self.effect(from, effect);
        }
        self.plan_wake();
    }

    fn coordinate(&mut self, action: CoordinatorAction) {
        match action {
            CoordinatorAction::Command(Some(to), command) => self.tell(to, command),
            CoordinatorAction::Command(None, command) => {
                let count = self.process.as_ref().map_or(0, |process| process.partitions.len());
                for to in (0..u32::try_from(count).unwrap_or(0)).map(PartitionId) {
                    self.tell(to, command.clone());
                }
            }
            CoordinatorAction::Append(token, records) => self.append(None, token, records),
            CoordinatorAction::Notify(notice) => self.notice(notice),
            CoordinatorAction::Ended(status) => self.ended(status),
        }
    }

    fn effect(&mut self, from: PartitionId, effect: Effect) {
        match effect {
            Effect::Report(report) => {
                if self.faults.latency {
                    let at = self.arrival((Some(from), None));
                    self.at(at, Some(self.life), Item::Report(from, report));
                } else {
                    self.coordinator(CoordinatorEvent::Report(from, report));
                }
            }
            Effect::Run(job) => self.launch(job),
            Effect::Abort(key) => self.stop(key),
            Effect::Decide { key: _, ticket, decision } => self.decide(ticket, decision),
            Effect::Append(token, records) => self.append(Some(from), token, records),
            Effect::Send { to, superstep, messages } => {
                self.counters.batches += 1;
                if self.faults.sabotage == Some(Sabotage::LostMessages) {
                    return;
                }
                let mut delay = if self.faults.latency { self.random.below(9_000) } else { 0 };
                if self.happens(self.faults.hazards.lost) {
                    // Whoever sends hears nothing of it, and sends it again.
                    self.counters.batches_lost += 1;
                    delay += self.random.between(10_000, 60_000);
                }
                let sent = self.batches.entry(to).or_default();
                sent.0 += 1;
                let number = sent.0;
                if self.repeats() {
                    let later = delay + self.random.below(20_000);
                    self.later(later, Item::Messages { number, to, superstep, messages: messages.clone() });
                }
                self.later(delay, Item::Messages { number, to, superstep, messages });
            }
            Effect::Notify(notice) => self.notice(notice),
        }
    }

    fn tell(&mut self, to: PartitionId, command: Command) {
        if self.faults.latency {
            let at = self.arrival((None, Some(to)));
            self.at(at, Some(self.life), Item::Command(to, command));
        } else {
            self.command(to, command);
        }
    }

    pub(super) fn command(&mut self, to: PartitionId, command: Command) {
        if let Command::Deliver { superstep, starts, .. } = command {
            self.counters.deliveries += 1;
            self.counters.deliveries_that_start += u64::from(starts);
            if superstep > self.store.commits {
                let commits = self.store.commits;
                self.broken(format!("superstep {superstep} is delivered after {commits} durable commits"));
            }
        }
        self.partition(to, PartitionEvent::Command(command));
    }

    /// Counts what a batch proves that arrives: that one sent after it came before it, or that its
    /// superstep is over.
    pub(super) fn arrived(&mut self, number: u64, to: PartitionId, superstep: u64) {
        let (_, last) = self.batches.entry(to).or_default();
        self.counters.batches_reordered += u64::from(number < *last);
        *last = number.max(*last);
        self.counters.batches_late += u64::from(superstep < self.store.commits);
    }

    /// When what is said now on a link arrives: links keep their order. What is lost is sent again, and
    /// what is behind it waits.
    fn arrival(&mut self, link: (Option<PartitionId>, Option<PartitionId>)) -> u64 {
        let mut at = self.now + self.random.below(4_000);
        if self.happens(self.faults.hazards.lost / 2) {
            self.counters.packets_lost += 1;
            at += self.random.between(5_000, 30_000);
        }
        let last = self.links.entry(link).or_default();
        *last = at.max(*last);
        *last
    }

    pub(super) fn repeats(&mut self) -> bool {
        let repeats = self.random.below(100) < self.faults.duplicates;
        self.counters.duplicates += u64::from(repeats);
        repeats
    }

    pub(super) fn append(&mut self, from: Option<PartitionId>, token: Token, records: Vec<Record>) {
        self.say(|| format!("append {from:?} {token:?} {records:?}"));
        if self.status.is_some() && from.is_none() {
            self.broken(format!("after the end {records:?} is appended"));
        }
        let mut delay = self.random.between(50, 3_000);
        if self.happens(self.faults.hazards.slow) {
            self.counters.writes_slow += 1;
            delay += self.random.between(50_000, 400_000);
        }
        self.store.busy_until = self.store.busy_until.max(self.now + delay);
        let at = self.store.busy_until;
        let epoch = self.process.as_ref().map_or(Epoch(0), |process| process.coordinator.epoch());
        let behind = self.behind.take();
        self.store.waiting.push_back(Append { from, token, records, epoch, behind });
        self.at(at, Some(self.life), Item::Write);
        if self.faults.sabotage == Some(Sabotage::EarlyDurable) {
            self.later(0, Item::Durable(from, token));
        }
    }

    /// Says that a write is durable, perhaps twice.
    pub(super) fn acknowledge(&mut self, append: &Append) {
        let delay = self.random.between(10, 1_000);
        self.store.said_until = self.store.said_until.max(self.now + delay);
        let at = self.store.said_until;
        self.at(at, Some(self.life), Item::Durable(append.from, append.token));
        if self.repeats() {
            let later = at + self.random.below(30_000);
            self.at(later, Some(self.life), Item::Durable(append.from, append.token));
        }
    }

    /// Lets what is due take effect when it is.
    fn plan_wake(&mut self) {
        let Some(process) = &self.process else { return };
        let parts = process.partitions.iter().filter_map(superstep_engine::Partition::poll_timeout);
        let Some(Timestamp(due)) = parts.chain(process.coordinator.poll_timeout()).min() else { return };
        let due = due.max(self.now);
        if self.wake_at.is_none_or(|at| due < at) {
            self.wake_at = Some(due);
            self.at(due, Some(self.life), Item::Wake);
        }
    }

    /// Takes in what observers are told.
    pub(super) fn notice(&mut self, notice: Notice) {
        self.say(|| format!("{notice:?}"));
        match &notice {
            Notice::Committed { superstep, .. } if *superstep >= self.store.commits => {
                self.broken(format!("superstep {superstep} is shown as committed, and is not durable"));
            }
            Notice::Ended { .. } if !self.store.ended => {
                self.broken("the run is shown as ended, and that is not durable");
            }
            Notice::Asked { id, question } => self.question(id, question),
            Notice::Started { activation, .. } if self.store.held && !self.telling_past => {
                self.broken(format!("{activation} has started, and the run is suspended"));
            }
            Notice::Started { .. }
            | Notice::SuperstepStarted { .. }
            | Notice::Retrying { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Settled { .. }
            | Notice::Mutated { .. }
            | Notice::Committed { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. }
            | Notice::Ended { .. } => {}
        }
        self.notices.push(notice);
    }

    pub(super) fn ended(&mut self, status: RunStatus) {
        self.say(|| format!("ended {status:?}"));
        self.status = Some(status);
    }

    pub(super) fn count(&mut self, notice: &Notice) {
        let counters = &mut self.counters;
        match notice {
            Notice::Completed { .. } => counters.completed += 1,
            Notice::Cancelled { .. } => counters.cancelled += 1,
            Notice::JoinIncomplete { .. } => counters.joins_incomplete += 1,
            Notice::Retrying { .. } => counters.retries += 1,
            Notice::Asked { .. } => counters.questions += 1,
            Notice::Committed { .. } => counters.supersteps += 1,
            Notice::Mutated { verdict, .. } => match verdict {
                Verdict::Applied => counters.mutations_applied += 1,
                Verdict::Collapsed => {}
                Verdict::Refused(_) => counters.mutations_refused += 1,
            },
            Notice::Settled { status, .. } => {
                counters.messages += 1;
                match status {
                    MessageStatus::Late => counters.messages_late += 1,
                    MessageStatus::Buffered => counters.messages_buffered += 1,
                    MessageStatus::DeadLettered => counters.messages_dead += 1,
                    MessageStatus::Refused => counters.messages_refused += 1,
                    MessageStatus::Combined => counters.messages_combined += 1,
                    MessageStatus::Delivered | MessageStatus::Filtered | MessageStatus::Cancelled => {}
                }
            }
            Notice::Started { .. }
            | Notice::SuperstepStarted { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Paused
            | Notice::Resumed { .. } => {}
            Notice::Suspended => counters.stood_still += 1,
            Notice::Ended { status, .. } => match status {
                RunStatus::Succeeded => counters.ended_succeeded += 1,
                RunStatus::Failed { .. } => counters.ended_failed += 1,
                RunStatus::LimitReached(limit) => {
                    counters.ended_limit += 1;
                    counters.ended_cost += u64::from(*limit == LimitKind::Cost);
                }
                RunStatus::Cancelled => counters.ended_cancelled += 1,
            },
        }
    }
}
