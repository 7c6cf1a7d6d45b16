//! A run that somebody has suspended: it stands still at its next barrier, and goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_graph::VertexName;

use super::{Coordinator, Phase};
use crate::costs::EdgeCosts;
use crate::defect::{self, Defect};
use crate::ids::{FrameId, Timestamp, Token};
use crate::notice::{Notice, RunStatus};
use crate::payload::Payload;
use crate::record::Record;

/// What a superstep begins with beside its messages: what aggregators hold, and what edges cost.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    pub(super) aggregates: Vec<(FrameId, Arc<BTreeMap<VertexName, Payload>>)>,
    pub(super) costs: Vec<(FrameId, Arc<EdgeCosts>)>,
}

/// Whether the run is to stand still, and where it does.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// What was asked for last. A commit that is appended behind it obeys it: so the log alone tells which do.
    asked: bool,
    /// What was asked for and is not durable yet.
    asking: BTreeMap<Token, bool>,
    /// The superstep that is to begin when the run goes on.
    held: Option<Held>,
    /// Whether the run ends in place of going on.
    ends: bool,
}

impl Standstill {
    /// Whether the run is being ended, though what is on its way is still delivered.
    pub(super) fn is_ending(&self) -> bool {
        self.ends
    }
}

#[derive(Debug)]
struct Held {
    /// The append of the commit at which it stands, unless that is of the past.
    commit: Option<Token>,
    beginning: Beginning,
}

impl Coordinator {
    /// Whether the run is suspended, or is to be: what was asked for last.
    pub fn is_suspended(&self) -> bool {
        self.standstill.asked
    }

    /// Whether the run stands still because it is suspended.
    pub fn stands_still(&self) -> bool {
        self.phase == Phase::Still || (self.phase == Phase::Paused && self.must_stand())
    }

    /// Whether nothing may begin: it is suspended, or what lets it go on is not durable yet.
    pub(super) fn must_stand(&self) -> bool {
        self.standstill.asked || self.standstill.asking.values().any(|suspended| !suspended)
    }

    /// Takes in that the run is to stand still, or to go on, unless that is so.
    pub(super) fn take_suspension(&mut self, suspended: bool) {
        if self.is_over() || self.standstill.asked == suspended {
            return;
        }
        self.standstill.asked = suspended;
        let token = self.append(vec![Record::RunSuspended(suspended)]);
        self.standstill.asking.insert(token, suspended);
    }

    /// What was asked for with this append, once.
    pub(super) fn asked_with(&mut self, token: Token) -> Option<bool> {
        self.standstill.asking.remove(&token)
    }

    /// It is durable that the run is to stand still, or to go on.
    pub(super) fn suspension_durable(&mut self, token: Token, suspended: bool, now: Timestamp) {
        match self.phase {
            Phase::Paused if suspended => self.tell_suspended(),
            Phase::Paused => self.leave_pause(now),
            // The rule of its barrier is that of its graph again.
            Phase::Running => self.check_barrier(now),
            Phase::Still if !suspended && self.stands_since_before(token) => self.go_on_delivering(now),
            Phase::Committing(commit) if !suspended && commit < token => {
                self.committing.iter_mut().for_each(|committing| committing.holds = false);
            }
            Phase::New
            | Phase::Recording(_)
            | Phase::Delivering(_)
            | Phase::Starting(_)
            | Phase::Committing(_)
            | Phase::Still
            | Phase::Ending(_)
            | Phase::Ended => {}
        }
    }

    /// Tells that the run stands still, if that is so and durable.
    pub(super) fn tell_suspended(&mut self) {
        if self.standstill.asked && self.standstill.asking.is_empty() {
            self.notify(Notice::Suspended);
        }
    }

    fn stands_since_before(&self, token: Token) -> bool {
        let held = self.standstill.held.as_ref();
        held.is_some_and(|held| held.commit.is_none_or(|commit| commit < token))
    }

    /// Goes on after a pause with what has come from outside, unless it is to stand still.
    pub(super) fn leave_pause(&mut self, now: Timestamp) {
        if self.must_stand() {
            return;
        }
        if !self.patches.is_empty() {
            self.go_on_and_commit(now);
        } else if !self.answers.is_empty() {
            self.wake(now);
        }
    }

    /// Stands still behind a commit, which was appended with this token if it is not of the past.
    pub(super) fn stand_still(&mut self, commit: Option<Token>, beginning: Beginning, now: Timestamp) {
        self.stop_clock(now);
        self.standstill.held = Some(Held { commit, beginning });
        self.phase = Phase::Still;
        self.notify(Notice::Suspended);
    }

    fn go_on_delivering(&mut self, now: Timestamp) {
        let Some(held) = self.standstill.held.take() else { return };
        if !self.replaying {
            self.working_since = Some(now);
            self.due_answers.append(&mut self.answers);
        }
        self.deliver(held.beginning);
    }

    /// Ends a run that stands still: what is on its way is delivered, so that it has its status, and nothing starts.
    pub(super) fn end_standing(&mut self, status: RunStatus, now: Timestamp) {
        self.ending = Some(status);
        self.standstill.ends = true;
        self.go_on_delivering(now);
    }

    /// Ends the run, if its end came while it stood still; whether it did.
    pub(super) fn ends_in_place_of_starting(&mut self, now: Timestamp) -> bool {
        if !std::mem::take(&mut self.standstill.ends) {
            return false;
        }
        let Some(status) = self.ending.clone() else { return false };
        self.planned.clear();
        self.joins.clear();
        self.finish(status, now);
        if self.replaying {
            // The log has its end.
            self.ended();
        }
        true
    }

    /// Takes in from the log that the run is to stand still, or to go on.
    pub(crate) fn replay_suspension(&mut self, suspended: bool, now: Timestamp) {
        if defect::is(Defect::SuspensionForgotten) {
            return;
        }
        self.standstill.asked = suspended;
        match self.phase {
            Phase::Still if !suspended => self.go_on_delivering(now),
            Phase::Paused if suspended => self.tell_suspended(),
            Phase::New
            | Phase::Recording(_)
            | Phase::Delivering(_)
            | Phase::Starting(_)
            | Phase::Running
            | Phase::Committing(_)
            | Phase::Paused
            | Phase::Still
            | Phase::Ending(_)
            | Phase::Ended => {}
        }
    }
}
