//! Supersteps that start when they are delivered, because nothing has to be judged between the two.
//!
//! Otherwise a partition tells what it has planned, and waits to hear what becomes of that. Where nothing can wait
//! for more than a message, no sub-graph is open, no answer is to be handed on and no limit is near, all that it would
//! hear is to start: then it is told so beforehand.

use superstep_graph::{JoinMode, OnSatisfied, Topology};

use super::{Coordinator, Phase};
use crate::ids::{FrameId, Timestamp};
use crate::protocol::{FrameWanted, Planned};

/// What the coordinator knows of a superstep that starts by itself.
#[derive(Debug, Default)]
pub(super) struct AtOnce {
    /// Whether nothing of the run's own graph has to be judged, as it was when the run began.
    pub(super) plain: bool,
    /// Whether whoever drives the run wants an instant of rest before each superstep.
    forbidden: bool,
    /// Whether the present delivery is followed by the start.
    starts: bool,
    /// What partitions have started while others had yet to deliver.
    started: Vec<(Vec<FrameWanted>, Vec<Planned>)>,
}

/// Whether every vertex of a graph starts when something comes, and counts for one activation.
pub(super) fn is_plain(topology: &Topology) -> bool {
    topology.vertices().iter().all(|vertex| {
        let join = &vertex.join;
        join.mode == JoinMode::Any
            && join.on_satisfied == OnSatisfied::LetRun
            && vertex.spec.for_each.is_none()
    })
}

impl Coordinator {
    /// Whether supersteps may start when they are delivered, as they may unless this says otherwise. A run
    /// [rests](Self::rests) only before those that may not.
    pub fn let_start_at_once(&mut self, may: bool) {
        self.at_once.forbidden = !may;
    }

    /// Whether the superstep that is about to be delivered starts by itself.
    pub(super) fn begin_at_once(&mut self) -> bool {
        let apart = self.config.homes.count() > 1 && !self.replaying;
        self.at_once.starts = apart && self.has_nothing_to_judge();
        self.at_once.starts
    }

    fn has_nothing_to_judge(&self) -> bool {
        if !self.at_once.plain || self.at_once.forbidden {
            return false;
        }
        let Some(root) = self.frames.get(&FrameId::ROOT) else { return false };
        let limits = &root.graph.spec().limits;
        let most = self.totals.activations.saturating_add(root.graph.topology().vertices().len() as u64);
        // Messages whose edges were removed wait like those of joins, and partitions tell of them only once nothing
        // else wakes their receivers.
        self.totals.mutations == 0
            && self.frames.len() == 1
            && self.abandoned.is_empty()
            && self.due_answers.is_empty()
            && !self.standstill.is_ending()
            && self.superstep < limits.supersteps
            && most <= limits.activations
    }

    /// Whether what starts is not known yet.
    pub(super) fn is_starting(&self) -> bool {
        match self.phase {
            Phase::Starting(_) => true,
            Phase::Delivering(_) => self.at_once.starts,
            Phase::New
            | Phase::Recording(_)
            | Phase::Running
            | Phase::Committing(_)
            | Phase::Paused
            | Phase::Still
            | Phase::Ending(_)
            | Phase::Ended => false,
        }
    }

    /// All partitions have delivered.
    pub(super) fn delivered(&mut self, now: Timestamp) {
        if !std::mem::take(&mut self.at_once.starts) {
            return self.judge(now);
        }
        let acts = !std::mem::take(&mut self.planned).is_empty();
        self.joins.clear();
        let before_others = std::mem::take(&mut self.at_once.started);
        // No limit is near.
        if let Some(status) = self.verdict(acts, 0) {
            return self.finish(status, now);
        }
        (self.begun, self.carried) = (0, self.flying.len() as u64);
        self.only_answers = !acts;
        self.phase = Phase::Starting(self.config.homes.count());
        for (wanted, started) in before_others {
            self.started(wanted, started, now);
        }
    }

    /// A partition has started, and others have yet to deliver.
    pub(super) fn started_before_others(&mut self, wanted: Vec<FrameWanted>, started: Vec<Planned>) {
        if self.is_starting() {
            self.at_once.started.push((wanted, started));
        }
    }
}
