//! One order for the records of a run's log and of its journals.
//!
//! An entry of a journal whose writer knew *a* records of the log stands behind the first *a* records of the log,
//! before the next; entries that stand at the same place are ordered by the name of their journal, and by their
//! number in it. An entry that turns up when its place is past is told when it is seen.
//!
//! Whoever reads the log before the journals sees of each record of the log all that its writer had seen: a
//! worker's entry is durable before the leader hears of it, hence before the leader appends what follows from it.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
};

use crate::{Entry, JournalName, Position};

/// Where records stand: in the log of a run, or in one of its journals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// In the log, which counts its records.
    Log,
    /// In a journal, which counts its entries.
    Journal(JournalName),
}

/// Records that follow each other in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The lane.
    pub lane: Lane,
    /// How many records: as many of the log, or one entry of a journal.
    pub records: usize,
}

/// Records that were told, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<R> {
    /// In the order in which they are told.
    pub records: Vec<R>,
    /// Their places, in the same order.
    pub spans: Vec<Span>,
}

/// Where a reader of a run stands: how much of it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// How many records of the log.
    pub log: u64,
    /// How many entries of each journal; one that is absent was not told of.
    pub journals: BTreeMap<JournalName, u64>,
}

impl Cursor {
    pub(crate) fn of_log(log: u64) -> Self {
        Self { log, journals: BTreeMap::new() }
    }

    /// How much of a lane was told.
    #[must_use]
    pub fn count(&self, lane: &Lane) -> u64 {
        match lane {
            Lane::Log => self.log,
            Lane::Journal(journal) => self.of(journal),
        }
    }

    /// So much more of a lane was told: records of the log, or entries of a journal.
    pub fn advance(&mut self, lane: &Lane, more: u64) {
        match lane {
            Lane::Log => self.log += more,
            Lane::Journal(journal) => match self.journals.get_mut(journal) {
                Some(count) => *count += more,
                None => drop(self.journals.insert(journal.clone(), more)),
            },
        }
    }

    /// How many entries of a journal were told.
    pub(crate) fn of(&self, journal: &JournalName) -> u64 {
        self.journals.get(journal).copied().unwrap_or_default()
    }
}

/// What was read of a run and not told yet.
#[derive(Debug)]
pub(crate) struct Merge<R> {
    told: Cursor,
    /// Entries that stand before this record of the log are passed over.
    since: u64,
    log: VecDeque<R>,
    journals: BTreeMap<JournalName, VecDeque<Entry<R>>>,
}

impl<R> Merge<R> {
    /// A merge that goes on where `told` ends.
    pub(crate) fn after(told: Cursor) -> Self {
        Self { told, since: 0, log: VecDeque::new(), journals: BTreeMap::new() }
    }

    /// A merge that begins with record `from` of the log and the entries that stand directly before it.
    pub(crate) fn since(from: Position) -> Self {
        Self { since: from.0, ..Self::after(Cursor::of_log(from.0)) }
    }

    /// What was told so far.
    pub(crate) fn told(&self) -> &Cursor {
        &self.told
    }

    /// The number of the record of the log that is to be read next.
    pub(crate) fn next_of_log(&self) -> u64 {
        self.told.log + self.log.len() as u64
    }

    /// The number of the entry of a journal that is to be read next.
    pub(crate) fn next_of(&self, journal: &JournalName) -> u64 {
        self.told.of(journal) + self.journals.get(journal).map_or(0, |entries| entries.len() as u64)
    }

    /// Takes in the next records of the log.
    pub(crate) fn add_records(&mut self, records: Vec<R>) {
        if self.log.is_empty() {
            self.log = records.into();
        } else {
            self.log.extend(records);
        }
    }

    /// Takes in the next entries of a journal.
    pub(crate) fn add_entries(&mut self, journal: &JournalName, entries: Vec<Entry<R>>) {
        if !entries.is_empty() {
            self.journals.entry(journal.clone()).or_default().extend(entries);
        }
    }

    /// All that has its place up to the last record of the log that was read, in order. What stands behind is kept.
    pub(crate) fn tell(&mut self) -> Told<R> {
        let (mut records, mut spans) = (Vec::new(), Vec::new());
        loop {
            self.tell_entries(&mut records, &mut spans);
            let due = self.journals.values().filter_map(|entries| entries.front()).map(|entry| entry.after.0);
            let until = due.min().unwrap_or(u64::MAX);
            let count = usize::try_from(until - self.told.log).unwrap_or(usize::MAX).min(self.log.len());
            if count == 0 {
                return Told { records, spans };
            }
            self.told.log += count as u64;
            spans.push(Span { lane: Lane::Log, records: count });
            if records.is_empty() && count == self.log.len() {
                records = mem::take(&mut self.log).into();
            } else {
                records.extend(self.log.drain(..count));
            }
        }
    }

    /// Tells the entries whose place is before the next record of the log.
    fn tell_entries(&mut self, records: &mut Vec<R>, spans: &mut Vec<Span>) {
        for (name, entries) in &mut self.journals {
            let due = entries.iter().take_while(|entry| entry.after.0 <= self.told.log).count();
            if due > 0 {
                *self.told.journals.entry(name.clone()).or_default() += due as u64;
            }
            for entry in entries.drain(..due).filter(|entry| entry.after.0 >= self.since) {
                spans.push(Span { lane: Lane::Journal(name.clone()), records: entry.records.len() });
                records.extend(entry.records);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> JournalName {
        text.parse().unwrap()
    }

    fn entry(after: u64, record: &'static str) -> Entry<&'static str> {
        Entry { after: Position(after), records: vec![record] }
    }

    #[test]
    fn an_entry_stands_behind_what_its_writer_knew() {
        let mut merge = Merge::after(Cursor::default());
        merge.add_records(vec!["0", "1", "2"]);
        merge.add_entries(&name("b"), vec![entry(0, "b0"), entry(1, "b1"), entry(3, "b3")]);
        merge.add_entries(&name("a"), vec![entry(1, "a1"), entry(1, "a1'"), entry(4, "a4")]);
        assert_eq!(merge.tell().records, ["b0", "0", "a1", "a1'", "b1", "1", "2", "b3"]);
        assert_eq!(merge.told().journals, BTreeMap::from([(name("a"), 2), (name("b"), 3)]));
        assert_eq!((merge.tell().records, merge.next_of_log(), merge.next_of(&name("a"))), (vec![], 3, 3));
        merge.add_records(vec!["3"]);
        merge.add_entries(&name("c"), vec![entry(1, "late")]);
        assert_eq!(merge.tell().records, ["late", "3", "a4"]);
    }

    #[test]
    fn what_is_told_says_where_it_stands() {
        let mut merge = Merge::after(Cursor::default());
        merge.add_records(vec!["0", "1", "2"]);
        merge.add_entries(
            &name("a"),
            vec![Entry { after: Position(1), records: vec!["a", "b"] }, entry(1, "c")],
        );
        let span = |lane: Lane, records| Span { lane, records };
        let a = || Lane::Journal(name("a"));
        let told = merge.tell();
        assert_eq!(told.spans, [span(Lane::Log, 1), span(a(), 2), span(a(), 1), span(Lane::Log, 2)]);
        let mut cursor = Cursor::default();
        for span in &told.spans {
            cursor.advance(&span.lane, if span.lane == Lane::Log { span.records as u64 } else { 1 });
        }
        assert_eq!((&cursor, cursor.count(&a())), (merge.told(), 2));
    }

    #[test]
    fn a_journal_is_told_in_its_own_order() {
        let mut merge = Merge::after(Cursor::default());
        merge.add_records(vec!["0", "1"]);
        merge.add_entries(&name("a"), vec![entry(2, "first"), entry(0, "second")]);
        assert_eq!(merge.tell().records, ["0", "1", "first", "second"]);
    }

    #[test]
    fn what_stands_before_the_beginning_is_passed_over() {
        let mut merge = Merge::since(Position(2));
        merge.add_records(vec!["2"]);
        merge.add_entries(&name("a"), vec![entry(1, "before"), entry(2, "at"), entry(3, "after")]);
        assert_eq!(merge.tell().records, ["at", "2", "after"]);
        assert_eq!(merge.told().of(&name("a")), 3);
    }

    proptest! {
        /// However a run is read in pieces, and wherever reading begins again, each record is told once, in the
        /// order of its log or journal, and no record of the log before an entry that it follows from.
        #[test]
        fn each_record_is_told_once(steps in prop::collection::vec((0_u8..5, any::<bool>()), 1..60)) {
            let journals = [name("x"), name("y")];
            let mut merge: Merge<(usize, u64)> = Merge::after(Cursor::default());
            let (mut told, mut sent) = (Vec::new(), [0_u64; 3]);
            for (step, reopen) in steps {
                match step {
                    0 | 1 => {
                        merge.add_records(vec![(2, sent[2])]);
                        sent[2] += 1;
                    }
                    2 | 3 => {
                        let lane = usize::from(step - 2);
                        let after = Position(sent[2]);
                        merge.add_entries(&journals[lane], vec![Entry { after, records: vec![(lane, sent[lane])] }]);
                        sent[lane] += 1;
                    }
                    _ => told.extend(merge.tell().records),
                }
                if reopen {
                    told.extend(merge.tell().records);
                    merge = Merge::after(merge.told().clone());
                }
            }
            told.extend(merge.tell().records);
            for (lane, count) in sent.into_iter().enumerate() {
                let numbers: Vec<u64> = told.iter().filter(|told| told.0 == lane).map(|told| told.1).collect();
                prop_assert_eq!(numbers, (0..count).collect::<Vec<_>>());
            }
        }
    }
}
