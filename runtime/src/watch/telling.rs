//! What the records of a log tell, event by event.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use superstep_engine::{Action, Notice, Record, Remains, ReplayError, RunStatus, Solo};
use superstep_store::RunName;

use super::order::{Known, Unit};
use super::reader::{Identity, identity_of};
use super::{Happened, Happening, WatchFrom};
use crate::expressions::EdgeExpressions;
use crate::programs::Programs;
use crate::runner::{RunEnd, RunError, config_of};

/// Replays records as they come. The events of a record depend on it and those before it alone, so their
/// numbers are the same however the log is read.
pub(super) struct Telling {
    run: RunName,
    programs: Arc<Programs>,
    from: WatchFrom,
    /// None before the first batch.
    solo: Option<Solo>,
    /// How many records were taken in.
    position: u64,
    /// How many events there were.
    offset: u64,
    superstep: u64,
    /// How much is known of the unit that is being taken in, and how many events it had so far.
    known: Known,
    events: u32,
    /// The first superstep of which the log has everything.
    kept_from: u64,
    /// Which run it is, once that is known.
    identity: Option<Identity>,
    ended: Option<RunStatus>,
    /// What is to be told, each with its number in its unit.
    happened: VecDeque<(u32, Happened)>,
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling").field("position", &self.position).field("offset", &self.offset).finish()
    }
}

impl Telling {
    pub(super) fn new(run: &RunName, programs: Arc<Programs>, from: WatchFrom) -> Self {
        // What is known of the unit that was told of in part is counted again.
        let offset = match &from {
            WatchFrom::Cursor(cursor) => {
                cursor.offset - cursor.begun.as_ref().map_or(0, |(_, events)| u64::from(*events))
            }
            WatchFrom::Offset(_) | WatchFrom::Superstep(_) => 0,
        };
        Self {
            run: run.clone(),
            programs,
            from,
            solo: None,
            position: 0,
            offset,
            superstep: 0,
            known: Known::Events(0),
            events: 0,
            kept_from: 0,
            identity: None,
            ended: None,
            happened: VecDeque::new(),
        }
    }

    /// How many records were taken in.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next event that is to be told, with its number in its unit, and whether it is the last one of it.
    pub(super) fn next(&mut self) -> Option<(u32, bool, Happened)> {
        let (number, happened) = self.happened.pop_front()?;
        Some((number, self.happened.is_empty(), happened))
    }

    /// Whether an event is to be told.
    pub(super) fn has_next(&self) -> bool {
        !self.happened.is_empty()
    }

    /// The first superstep of which the log has everything.
    pub(super) fn kept_from(&self) -> u64 {
        self.kept_from
    }

    /// Which run it is, once that is known.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// How the run ended, if its end was taken in.
    pub(super) fn end(&self) -> Option<RunEnd> {
        let coordinator = self.solo.as_ref()?.coordinator();
        let status = self.ended.clone()?;
        Some(RunEnd { status, outputs: coordinator.outputs(), totals: coordinator.totals() })
    }

    /// Begins with the first batch of the log, which has all that the run begins with. Its records are still to be
    /// taken in. Later batches change nothing.
    pub(super) fn begin(&mut self, records: &[Record]) -> Result<(), RunError> {
        if self.solo.is_none() {
            self.kept_from = Remains::of(records).map_or(0, |remains| remains.from);
            self.identity = identity_of(records);
            self.demand_same()?;
            self.demand_kept()?;
            let config = config_of(&self.run, records)?;
            let expressions = EdgeExpressions::new(Arc::clone(&self.programs));
            self.solo = Some(Solo::new(config, Arc::new(expressions)));
        }
        Ok(())
    }

    /// Takes the next unit in.
    pub(super) fn take_in(&mut self, unit: &Unit) -> Result<(), RunError> {
        (self.known, self.events) = (unit.known, 0);
        unit.records.iter().try_for_each(|record| self.record(record))
    }

    fn record(&mut self, record: &Record) -> Result<(), RunError> {
        let Some(mut solo) = self.solo.take() else { return Err(RunError::Empty { run: self.run.clone() }) };
        let position = usize::try_from(self.position).unwrap_or(usize::MAX);
        solo.replay(std::slice::from_ref(record)).map_err(|found| RunError::Replay {
            run: self.run.clone(),
            source: ReplayError { position, why: found.why },
        })?;
        self.position += 1;
        if let Record::Compacted(remains) = record {
            self.superstep = remains.from;
        }
        if let Some(happening) = of_record(record) {
            self.tell(happening);
        }
        while let Some(action) = solo.poll_action() {
            match action {
                Action::Notify(notice) => self.notice(notice),
                Action::Ended(status) => self.ended = Some(status),
                // A replay wants nothing done.
                Action::Append(..) | Action::Run(_) | Action::Abort(_) | Action::Decide { .. } => {}
            }
        }
        self.solo = Some(solo);
        Ok(())
    }

    /// A place in a run that was removed is none in another one of its name.
    fn demand_same(&self) -> Result<(), RunError> {
        match &self.from {
            WatchFrom::Cursor(cursor) if cursor.of.is_some() && cursor.of != self.identity => {
                Err(RunError::Recreated { run: self.run.clone() })
            }
            WatchFrom::Cursor(_) | WatchFrom::Offset(_) | WatchFrom::Superstep(_) => Ok(()),
        }
    }

    /// A place in what a log told before it was compacted is none any more.
    fn demand_kept(&self) -> Result<(), RunError> {
        match &self.from {
            WatchFrom::Cursor(cursor)
                if (cursor.told.log > 0 || cursor.begun.is_some()) && cursor.kept_from != self.kept_from =>
            {
                Err(RunError::Compacted { run: self.run.clone(), from: self.kept_from })
            }
            WatchFrom::Cursor(_) | WatchFrom::Offset(_) | WatchFrom::Superstep(_) => Ok(()),
        }
    }

    fn notice(&mut self, notice: Notice) {
        let committed = matches!(notice, Notice::Committed { .. });
        self.tell(Happening::Notice(notice));
        self.superstep += u64::from(committed);
    }

    fn tell(&mut self, what: Happening) {
        let Known::Events(known) = self.known else { return };
        self.offset += 1;
        self.events += 1;
        let begun = match &self.from {
            WatchFrom::Offset(offset) => self.offset > *offset,
            WatchFrom::Superstep(superstep) => self.superstep >= *superstep,
            WatchFrom::Cursor(_) => self.events > known,
        };
        if begun {
            let happened = Happened { offset: self.offset, superstep: self.superstep, what };
            self.happened.push_back((self.events, happened));
        }
    }
}

/// What a record tells by itself, beside what follows from it.
fn of_record(record: &Record) -> Option<Happening> {
    match record {
        Record::EpochTaken { epoch, owner } => {
            Some(Happening::Taken { epoch: epoch.0, owner: owner.clone() })
        }
        Record::Answered { question, answer } => {
            Some(Happening::Answered { question: question.clone(), answer: answer.clone() })
        }
        Record::Patched(patch) => Some(Happening::Patched { requester: patch.requester.clone() }),
        // Only whoever makes the attempts is told of them by the engine.
        Record::AttemptFailed { activation, attempts, failure } => {
            Some(Happening::Notice(Notice::Retrying {
                activation: activation.clone(),
                attempts: *attempts,
                failure: failure.clone(),
            }))
        }
        Record::RunStarted(_)
        | Record::CallIntent { .. }
        | Record::CallEnded { .. }
        | Record::Suspended { .. }
        | Record::Committed(_)
        | Record::Ended(_)
        | Record::Known(_)
        | Record::Measured(_)
        | Record::Forked { .. }
        | Record::Continued(_)
        | Record::Placed(_)
        | Record::Compacted(_)
        | Record::Told(_)
        | Record::RunSuspended(_) => None,
    }
}
