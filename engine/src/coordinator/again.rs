//! Commits that a log tells of, made again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use superstep_graph::VertexName;

use super::{Coordinator, Phase};
use crate::ids::{FrameId, Timestamp, Token};
use crate::misfit::Misfit;
use crate::notice::RunStatus;
use crate::program::{Failure, ProgramResult};
use crate::record::{Commit, Completion, End, Patch};

impl Coordinator {
    /// Commits as the log says. What the record lists must have been taken in by the partitions.
    ///
    /// # Errors
    /// The record does not fit the state that the records before it lead to.
    pub(crate) fn replay_commit(&mut self, record: &Arc<Commit>, now: Timestamp) -> Result<(), Misfit> {
        let patches = self.take_patches(&record.patches)?;
        let made = self.make_again(record, &patches, now)?;
        if let Some(part) = differing(&made, record) {
            return Err(Misfit::OtherCommit { superstep: record.superstep, part });
        }
        if let Some(committing) = &mut self.committing {
            committing.record = Arc::clone(record);
            committing.measured = std::mem::take(&mut self.measured);
        }
        self.committed(now);
        Ok(())
    }

    /// Commits what a record of the log lists, with further changes that `requester` has asked for.
    ///
    /// # Errors
    /// As [`Self::replay_commit`].
    pub(crate) fn commit_again(
        &mut self,
        record: &Commit,
        requester: &str,
        now: Timestamp,
    ) -> Result<Arc<Commit>, Misfit> {
        let mut requesters = record.patches.clone();
        requesters.push(requester.to_owned());
        let patches = self.take_patches(&requesters)?;
        let made = Arc::new(self.make_again(record, &patches, now)?);
        if let Some(committing) = &mut self.committing {
            committing.record = Arc::clone(&made);
            committing.measured = std::mem::take(&mut self.measured);
        }
        self.committed(now);
        Ok(made)
    }

    /// Prepares the commit that a record tells of; the record that comes of it, with the time of the log.
    fn make_again(&mut self, record: &Commit, patches: &[Patch], now: Timestamp) -> Result<Commit, Misfit> {
        if self.phase == Phase::Paused {
            self.go_on(now);
        }
        if self.phase != Phase::Running || self.superstep != record.superstep {
            let (superstep, present) = (record.superstep, self.superstep);
            return Err(Misfit::OutOfTurn { superstep, present, phase: format!("{:?}", self.phase) });
        }
        let listed: BTreeSet<(FrameId, &VertexName)> =
            record.completed.iter().map(|completion| (completion.frame, &completion.vertex)).collect();
        let (completed, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.completed)
            .into_iter()
            .partition(|(place, completed)| listed.contains(&(place.0, &completed.activation.vertex)));
        self.completed = rest;
        if completed.len() != record.completed.len() {
            return Err(Misfit::NotEnded(record.superstep));
        }
        // That a vertex has failed follows from what completed; every other end came from elsewhere.
        self.ending = record.closing.clone().filter(|closing| !matches!(closing, RunStatus::Failed { .. }));
        self.prepare(completed, patches, now);
        let committing = self.committing.as_ref().expect("what was prepared is about to be committed");
        Ok(Commit { elapsed: record.elapsed, ..(*committing.record).clone() })
    }

    pub(crate) fn set_replaying(&mut self, replaying: bool) {
        self.replaying = replaying;
    }

    /// Begins to work for real after a replay.
    pub fn go_live(&mut self, epoch: crate::ids::Epoch, now: Timestamp) {
        self.replaying = false;
        self.epoch = epoch;
        match self.phase {
            Phase::Ended => {}
            Phase::Paused => self.leave_pause(now),
            Phase::Still => {}
            Phase::Ending(_) => {
                if let Some(status) = self.ending.clone() {
                    self.finish(status, now);
                }
            }
            Phase::New
            | Phase::Recording(_)
            | Phase::Delivering(_)
            | Phase::Starting(_)
            | Phase::Running
            | Phase::Committing(_) => {
                self.working_since = Some(now);
                self.due_answers.append(&mut self.answers);
                self.check_barrier(now);
            }
        }
    }

    /// Begins a replay: the first records are durable already. Nothing begins in a run of which only remains are
    /// left: its end comes with its log.
    pub(crate) fn replay_begin(&mut self, now: Timestamp) {
        let Some(remains) = &self.config.remains else { return self.open_root(now) };
        (self.totals, self.superstep) = (remains.totals, remains.totals.supersteps);
        self.phase = Phase::Ending(Token(u64::MAX));
    }
}

/// What of a commit that was made again is not as it was.
fn differing(made: &Commit, record: &Commit) -> Option<&'static str> {
    // What was taken in from the record is shared with it, and need not be looked through.
    let same = |one: &Completion, other: &Completion| {
        one.frame == other.frame && one.vertex == other.vertex && same_end(&one.end, &other.end)
    };
    let same_results = made.completed.len() == record.completed.len()
        && made.completed.iter().zip(&record.completed).all(|(one, other)| same(one, other));
    [
        (same_results, "results"),
        (made.patches == record.patches, "patches"),
        (made.revisions == record.revisions, "revisions"),
        (made.closing == record.closing, "ends"),
    ]
    .into_iter()
    .find_map(|(same, part)| (!same).then_some(part))
}

fn same_end(one: &End, other: &End) -> bool {
    let same = |one: &Result<Arc<ProgramResult>, Failure>, other: &Result<Arc<ProgramResult>, Failure>| match (
        one, other,
    ) {
        (Ok(one), Ok(other)) => Arc::ptr_eq(one, other) || one == other,
        (Err(one), Err(other)) => one == other,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    match (one, other) {
        (End::Derived, End::Derived) => true,
        (End::Single(one), End::Single(other)) => same(one, other),
        (End::Each(one), End::Each(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (End::Derived | End::Single(_) | End::Each(_), _) => false,
    }
}
