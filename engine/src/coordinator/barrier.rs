//! When a superstep ends, and when the run does.

use superstep_graph::{BarrierMode, BarrierSpec, Refusal, Verdict};

use super::{Coordinator, Phase};
use crate::ids::{FrameId, Timestamp};
use crate::misfit::Misfit;
use crate::notice::{Notice, RunStatus};
use crate::protocol::Command;
use crate::record::Record;

impl Coordinator {
    /// Opens the barrier if enough of what is unsuspended has completed.
    pub(super) fn check_barrier(&mut self, now: Timestamp) {
        if self.phase != Phase::Running || self.replaying {
            return;
        }
        // What is suspended is in flight, and counting it costs the same however wide the superstep is.
        let unsuspended = self.flying.len().saturating_sub(self.suspended.len());
        if self.close_now || opens(self.rule(), unsuspended, self.completed.len()) {
            self.commit(now);
        }
    }

    /// The rule of the barrier. A run that is ending, or is to stand still, waits for what is in flight: calls
    /// under way are paid for, and their results are kept.
    fn rule(&self) -> BarrierSpec {
        let root = self.frames.get(&FrameId::ROOT);
        match root {
            Some(root) if self.ending.is_none() && !self.is_suspended() => root.graph.spec().barrier,
            Some(_) | None => BarrierSpec::default(),
        }
    }

    /// Ends the run at once with what has completed.
    pub(super) fn close(&mut self, status: RunStatus, now: Timestamp) {
        if self.ending.is_some() && self.close_now {
            return;
        }
        self.ending.get_or_insert(status);
        self.close_now = true;
        match self.phase {
            Phase::Running => self.check_barrier(now),
            Phase::Paused => {
                if let Some(status) = self.ending.clone() {
                    self.finish(status, now);
                }
            }
            Phase::Still => {
                if let Some(status) = self.ending.clone() {
                    self.end_standing(status, now);
                }
            }
            Phase::New
            | Phase::Recording(_)
            | Phase::Delivering(_)
            | Phase::Starting(_)
            | Phase::Committing(_)
            | Phase::Ending(_)
            | Phase::Ended => {}
        }
    }

    /// Ends the run: nothing is started any more, and the end goes to the log.
    pub(super) fn finish(&mut self, status: RunStatus, now: Timestamp) {
        self.stop_clock(now);
        self.refuse_patches();
        self.command(None, Command::End(status.clone()));
        let token = self.append(vec![Record::Ended(status.clone())]);
        self.ending = Some(status);
        self.phase = Phase::Ending(token);
    }

    /// Ends the run as its log says.
    pub(crate) fn replay_end(&mut self, status: &RunStatus, now: Timestamp) {
        if self.phase == Phase::Still {
            return self.end_standing(status.clone(), now);
        }
        self.refuse_patches();
        if let Phase::Ending(_) = self.phase {
            self.ending = Some(status.clone());
        } else {
            self.command(None, Command::End(status.clone()));
            self.ending = Some(status.clone());
        }
        self.ended();
    }

    /// Tells what becomes of changes that no barrier will judge.
    pub(super) fn refuse_patches(&mut self) {
        for patch in std::mem::take(&mut self.patches) {
            for mutation in patch.mutations {
                self.notify(Notice::Mutated {
                    frame: FrameId::ROOT,
                    requester: patch.requester.clone(),
                    mutation,
                    verdict: Verdict::Refused(Refusal::Ended),
                });
            }
        }
    }

    /// Takes a term in from the log.
    ///
    /// # Errors
    /// The term is not higher than those before it.
    pub(crate) fn replay_epoch(&mut self, epoch: crate::ids::Epoch) -> Result<(), Misfit> {
        if epoch <= self.epoch {
            return Err(Misfit::Epoch { epoch, before: self.epoch });
        }
        self.epoch = epoch;
        Ok(())
    }

    /// Whether the run has ended, durably.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    pub(super) fn ended(&mut self) {
        let Some(status) = self.ending.clone() else { return };
        self.phase = Phase::Ended;
        self.flying.clear();
        self.suspended.clear();
        self.completed.clear();
        self.notify(Notice::Ended { status: status.clone(), totals: self.totals });
        self.actions.push_back(super::CoordinatorAction::Ended(status));
    }

    pub(super) fn stop_clock(&mut self, now: Timestamp) {
        if let Some(since) = self.working_since.take() {
            self.totals.elapsed += now.0.saturating_sub(since.0);
        }
    }
}

/// Whether a barrier opens when `completed` of `unsuspended` activations have completed.
fn opens(rule: BarrierSpec, unsuspended: usize, completed: usize) -> bool {
    let enough = match rule.mode {
        BarrierMode::All => false,
        BarrierMode::Any => completed >= 1,
        BarrierMode::Quorum => completed >= rule.count.unwrap_or(1).max(1) as usize,
    };
    enough || completed >= unsuspended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_opens_by_its_rule() {
        let rule = |mode, count| BarrierSpec { mode, count };
        for (rule, unsuspended, completed, expected) in [
            (rule(BarrierMode::All, None), 3, 2, false),
            (rule(BarrierMode::All, None), 3, 3, true),
            (rule(BarrierMode::All, None), 0, 0, true),
            (rule(BarrierMode::Any, None), 3, 0, false),
            (rule(BarrierMode::Any, None), 3, 1, true),
            (rule(BarrierMode::Quorum, Some(2)), 3, 1, false),
            (rule(BarrierMode::Quorum, Some(2)), 3, 2, true),
            (rule(BarrierMode::Quorum, Some(5)), 3, 3, true),
        ] {
            assert_eq!(opens(rule, unsuspended, completed), expected, "{rule:?} {unsuspended} {completed}");
        }
    }
}
