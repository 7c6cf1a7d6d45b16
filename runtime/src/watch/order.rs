//! In which order a watch takes in what it reads: what it knew when it began, and then everything else.

use std::collections::VecDeque;

use superstep_engine::Record;
use superstep_store::{Cursor, Lane, Told};

use super::WatchCursor;

/// A record of the log, or the records of one entry of a journal.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) lane: Lane,
    pub(super) records: Vec<Record>,
    /// How many of its events are known; none that are not, if all are.
    pub(super) known: Known,
}

/// How much of a unit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The first so many of its events.
    Events(u32),
    /// All.
    Whole,
}

/// Units on their way from the log. Those that are known come first, in the order in which they are read, then the one
/// that is known in part, then the others: this is an order in which they could have been read.
#[derive(Debug)]
pub(super) struct Order {
    known: WatchCursor,
    /// What was read so far.
    read: Cursor,
    due: VecDeque<Unit>,
    /// What is not known, as long as something that is known was not read.
    behind: Option<VecDeque<Unit>>,
}

impl Order {
    pub(super) fn behind(known: WatchCursor) -> Self {
        let mut order =
            Self { known, read: Cursor::default(), due: VecDeque::new(), behind: Some(VecDeque::new()) };
        order.go_on();
        order
    }

    /// Takes in what was read.
    pub(super) fn add(&mut self, told: Told<Record>) {
        let mut records = told.records.into_iter();
        for span in told.spans {
            let (units, size) = if span.lane == Lane::Log { (span.records, 1) } else { (1, span.records) };
            for _ in 0..units {
                let records = records.by_ref().take(size).collect();
                self.sort(Unit { lane: span.lane.clone(), records, known: Known::Events(0) });
            }
        }
        self.go_on();
    }

    /// What is to be taken in next.
    pub(super) fn next(&mut self) -> Option<Unit> {
        self.due.pop_front()
    }

    fn sort(&mut self, mut unit: Unit) {
        let Some(behind) = &mut self.behind else { return self.due.push_back(unit) };
        let number = self.read.count(&unit.lane);
        self.read.advance(&unit.lane, 1);
        let told = self.known.told.count(&unit.lane);
        if number < told {
            unit.known = Known::Whole;
            return self.due.push_back(unit);
        }
        match &self.known.begun {
            Some((lane, events)) if *lane == unit.lane && number == told => {
                unit.known = Known::Events(*events);
                behind.push_front(unit);
            }
            Some(_) | None => behind.push_back(unit),
        }
    }

    /// Lets come what is not known, once everything was read that is.
    fn go_on(&mut self) {
        let known = &self.known;
        let has = |lane: &Lane, count: u64| self.read.count(lane) >= count;
        let mut journals = known.told.journals.iter();
        let has_all = has(&Lane::Log, known.told.log)
            && journals.all(|(name, count)| has(&Lane::Journal(name.clone()), *count))
            && known.begun.as_ref().is_none_or(|(lane, _)| has(lane, known.told.count(lane) + 1));
        if has_all {
            self.due.extend(self.behind.take().into_iter().flatten());
        }
    }
}
