//! A leader that sleeps past its lease, and wakes when another one leads.

use std::collections::VecDeque;

use superstep_engine::{
    CallDecision, CoordinatorAction, CoordinatorEvent, Effect, PartitionEvent, PartitionId, Timestamp,
};

use super::{Item, Process, World};
use crate::store::{Append, Written};

/// A process that sleeps, with what has come for it meanwhile.
pub(super) struct Sleeper {
    pub(super) life: u32,
    process: Process,
    /// Its writes on their way.
    writes: Vec<Append>,
    pub(super) mail: VecDeque<Item>,
}

impl World<'_> {
    /// The process sleeps: to all others it is as if it were dead.
    pub(super) fn fall_asleep(&mut self) {
        let Some(process) = self.process.take() else { return };
        self.say(|| "the leader falls asleep".to_owned());
        self.counters.leaders_slept += 1;
        let writes = std::mem::take(&mut self.store.waiting).into();
        self.sleeper = Some(Sleeper { life: self.life, process, writes, mail: VecDeque::new() });
        self.counters.crashes += 1;
        self.end_life();
        let at = self.now + self.random.between(1_000, 120_000);
        self.outside_at(at, Item::LeaderWakes);
    }

    /// The sleeper goes on where it was, until the store tells it that its term is over. It makes no call:
    /// whoever leads looks at the log before.
    pub(super) fn wake_sleeper(&mut self) {
        let Some(mut sleeper) = self.sleeper.take() else { return };
        self.say(|| "a leader wakes".to_owned());
        self.counters.leaders_woken += 1;
        for append in std::mem::take(&mut sleeper.writes) {
            if self.is_fenced(append) {
                return;
            }
        }
        // What is still on its way comes before what it says from here on.
        let is_its = |_: &(u64, u64), (life, _): &mut (Option<u32>, Item)| *life == Some(sleeper.life);
        let on_its_way: Vec<_> = self.agenda.extract_if(.., is_its).map(|(_, (_, item))| item).collect();
        sleeper.mail.extend(on_its_way);
        while let Some(item) = sleeper.mail.pop_front() {
            sleeper.take_in(item, Timestamp(self.now));
            if self.let_go_on(&mut sleeper) {
                return;
            }
        }
    }

    /// Does what the sleeper wants done; true once a write of it was refused.
    fn let_go_on(&mut self, sleeper: &mut Sleeper) -> bool {
        let epoch = sleeper.process.coordinator.epoch();
        loop {
            if let Some(action) = sleeper.process.coordinator.poll_action() {
                match action {
                    CoordinatorAction::Command(to, command) => sleeper.tell(to, &command),
                    CoordinatorAction::Append(token, records) => {
                        let append = Append { from: None, token, records, epoch, behind: None };
                        if self.is_fenced(append) {
                            return true;
                        }
                    }
                    CoordinatorAction::Notify(_) | CoordinatorAction::Ended(_) => {}
                }
                continue;
            }
            let parts = (0u32..).zip(&mut sleeper.process.partitions);
            let mut effects = parts
                .filter_map(|(number, part)| part.poll_effect().map(|effect| (PartitionId(number), effect)));
            let Some((from, effect)) = effects.next() else { return false };
            match effect {
                Effect::Report(report) => sleeper.mail.push_back(Item::Report(from, report)),
                Effect::Send { to, superstep, messages } => {
                    sleeper.mail.push_back(Item::Messages { number: 0, to, superstep, messages });
                }
                Effect::Append(token, records) => {
                    let append = Append { from: Some(from), token, records, epoch, behind: None };
                    if self.is_fenced(append) {
                        return true;
                    }
                }
                Effect::Decide { decision: CallDecision::Perform { .. }, .. } => {
                    self.counters.stale_calls_withheld += 1;
                }
                Effect::Decide { .. } | Effect::Run(_) | Effect::Abort(_) | Effect::Notify(_) => {}
            }
        }
    }

    /// Tries a write of a leader that slept.
    fn is_fenced(&mut self, append: Append) -> bool {
        self.counters.stale_writes_tried += 1;
        match self.store.write_this(append, self.faults.sabotage) {
            Ok(Written::Fenced) => {
                self.counters.stale_writes_refused += 1;
                true
            }
            // Nobody has taken its place yet.
            Ok(Written::Done(_)) => false,
            Ok(Written::Nothing) => true,
            Err(what) => {
                self.broken(what);
                true
            }
        }
    }
}

impl Sleeper {
    fn take_in(&mut self, item: Item, now: Timestamp) {
        match item {
            Item::Command(to, command) => self.partition(to, PartitionEvent::Command(command), now),
            Item::Report(from, report) => {
                self.process.coordinator.handle(CoordinatorEvent::Report(from, report), now);
            }
            Item::Messages { to, superstep, messages, .. } => {
                self.partition(to, PartitionEvent::Messages { superstep, messages }, now);
            }
            Item::Durable(None, token) => {
                self.process.coordinator.handle(CoordinatorEvent::Durable(token), now)
            }
            Item::Durable(Some(to), token) => self.partition(to, PartitionEvent::Durable(token), now),
            Item::Finished(key, outcome) => {
                self.partition(key.partition, PartitionEvent::Finished { key, outcome }, now);
            }
            Item::Wake => self.process.coordinator.handle_timeout(now),
            Item::Write
            | Item::Step(_)
            | Item::CallArrives(..)
            | Item::CallReturns(..)
            | Item::Recover
            | Item::LeaderWakes
            | Item::Answer(_)
            | Item::Patch(_)
            | Item::Suspend(_)
            | Item::Cancel => {}
        }
    }

    /// What the parts of a process say to each other arrives in order.
    fn tell(&mut self, to: Option<PartitionId>, command: &superstep_engine::Command) {
        for part in (0u32..).map(PartitionId).take(self.process.partitions.len()) {
            if to.is_none_or(|to| to == part) {
                self.mail.push_back(Item::Command(part, command.clone()));
            }
        }
    }

    fn partition(&mut self, to: PartitionId, event: PartitionEvent, now: Timestamp) {
        if let Some(partition) = self.process.partitions.get_mut(to.0 as usize) {
            partition.handle(event, now);
        }
    }
}
