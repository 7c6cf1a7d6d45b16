//! After delivery: joins that nothing can complete act, losers are cancelled, frames that are
//! quiescent end, and the superstep starts, or the run ends.

use std::collections::{BTreeMap, BTreeSet};

use superstep_graph::{JoinMode, OnSatisfied, SlotIx, Topology, VertexIx, VertexName, WhenIncomplete};

use super::reach::sources_of;
use super::{Coordinator, Phase};
use crate::costs::Spent;
use crate::defect::{self, Defect};
use crate::ids::{FrameId, Place, Timestamp};
use crate::notice::{LimitKind, Notice, RunStatus};
use crate::program::{Failure, FailureClass};
use crate::protocol::{Closing, Command, JoinReport, Start};

type Live = BTreeMap<FrameId, BTreeSet<VertexIx>>;

impl Coordinator {
    /// Judges what delivery has led to, and starts the superstep.
    pub(super) fn judge(&mut self, now: Timestamp) {
        if self.ends_in_place_of_starting(now) {
            return;
        }
        let mut planned = std::mem::take(&mut self.planned);
        let joins = std::mem::take(&mut self.joins);
        planned.sort_by_key(|planned| planned.place);
        let mut start = Start { superstep: self.superstep, ..Start::default() };
        self.fail_frames(&planned, &joins, &mut start);
        planned.retain(|planned| self.frames.contains_key(&planned.place.0));
        let mut fires = 0;
        if !joins.is_empty() || planned.iter().any(|planned| !planned.owed.is_empty()) {
            fires = self.judge_joins(joins, &planned, &mut start);
        }
        planned.retain(|planned| !start.cancel.contains(&planned.place));
        let judged = start.verdicts.iter().any(|(_, action)| *action != WhenIncomplete::Skip);
        let acts = judged || !planned.is_empty();
        if self.frames.len() > 1 {
            self.close_quiescent(&planned, &mut start);
        }
        let weight: u64 = planned.iter().map(|planned| planned.weight).sum::<u64>() + fires;
        let acts = acts || !start.closed.is_empty() || self.answers_matter();
        if let Some(status) = self.verdict(acts, weight) {
            self.finish(status, now);
            return;
        }
        let waits = !acts && self.flying.iter().all(|place| self.suspended.contains(place));
        if waits && start.verdicts.is_empty() && start.pardons.is_empty() && start.cancel.is_empty() {
            self.pause(now);
            return;
        }
        self.pause_after_start = waits;
        self.only_answers = !judged
            && planned.is_empty()
            && start.verdicts.is_empty()
            && start.closed.is_empty()
            && start.pardons.is_empty()
            && start.cancel.is_empty();
        self.begun = 0;
        self.carried = self.flying.len() as u64;
        let answers = self.hand_on();
        if !answers.is_empty() {
            self.command(None, Command::Answer(answers));
        }
        self.phase = Phase::Starting(self.config.homes.count());
        self.command(None, Command::Start(start));
    }

    /// Whether the run ends here.
    pub(super) fn verdict(&self, acts: bool, weight: u64) -> Option<RunStatus> {
        if !acts && self.flying.is_empty() {
            return Some(RunStatus::Succeeded);
        }
        let limits = &self.frames.get(&FrameId::ROOT)?.graph.spec().limits;
        if self.superstep >= limits.supersteps {
            return Some(RunStatus::LimitReached(LimitKind::Supersteps));
        }
        (self.totals.activations + weight > limits.activations)
            .then_some(RunStatus::LimitReached(LimitKind::Activations))
    }

    pub(super) fn pause(&mut self, now: Timestamp) {
        if self.phase != Phase::Paused {
            self.notify(Notice::Paused);
            self.tell_suspended();
        }
        self.stop_clock(now);
        self.phase = Phase::Paused;
        if self.close_now
            && let Some(status) = self.ending.clone()
        {
            self.finish(status, now);
        } else if self.replaying || self.must_stand() {
            // What comes from outside waits.
        } else if !self.answers.is_empty() {
            self.wake(now);
        } else if !self.patches.is_empty() {
            self.go_on_and_commit(now);
        }
    }

    fn live(&self, planned: &[crate::protocol::Planned]) -> Live {
        let mut live = Live::new();
        for place in self.flying.iter().copied().chain(planned.iter().map(|planned| planned.place)) {
            live.entry(place.0).or_default().insert(place.1);
        }
        live
    }

    /// Lets joins act, pardons slots and picks losers; how many activations the joins that fire count for.
    fn judge_joins(
        &mut self,
        joins: Vec<JoinReport>,
        planned: &[crate::protocol::Planned],
        start: &mut Start,
    ) -> u64 {
        let mut live = self.live(planned);
        let mut half: Vec<JoinReport> = joins.iter().filter(|join| join.half_filled).cloned().collect();
        half.retain(|join| self.frames.contains_key(&join.place.0));
        let mut weights: BTreeMap<Place, u64> = BTreeMap::new();
        let mut fired: Vec<(Place, Vec<SlotIx>)> = planned
            .iter()
            .filter(|planned| !planned.owed.is_empty())
            .map(|planned| (planned.place, planned.owed.clone()))
            .collect();
        while let Some(index) = self.first_to_act(&half, &live) {
            let join = half.remove(index);
            let Some(frame) = self.frames.get(&join.place.0) else { continue };
            let topology = frame.graph.topology();
            let vertex = topology.vertex(join.place.1);
            let action = vertex.join.when_incomplete;
            let missing = missing_names(topology, &join);
            let notice =
                Notice::JoinIncomplete { frame: join.place.0, vertex: vertex.name.clone(), action, missing };
            match action {
                WhenIncomplete::Fire | WhenIncomplete::Fail => {
                    live.entry(join.place.0).or_default().insert(join.place.1);
                    weights.insert(join.place, if action == WhenIncomplete::Fire { join.weight } else { 0 });
                }
                WhenIncomplete::Skip => {}
            }
            let cancels =
                vertex.join.mode == JoinMode::Quorum && vertex.join.on_satisfied == OnSatisfied::CancelRest;
            if action == WhenIncomplete::Fire && cancels {
                fired.push((join.place, join.missing.clone()));
            }
            start.verdicts.push((join.place, action));
            self.notify(notice);
        }
        for (place, owed) in fired {
            if start.cancel.contains(&place) {
                continue;
            }
            self.cancel_losers(place, &owed, &mut live, start);
        }
        for join in joins.iter().filter(|join| !join.owing.is_empty()) {
            self.pardon(join, &live, start);
        }
        start.verdicts.iter().filter_map(|(place, _)| weights.get(place)).sum()
    }

    /// The half-filled join that acts first: of a component of joins that wait for each other, that
    /// is due as a whole and waits for no other, Fire before Fail before Skip, then by name.
    fn first_to_act(&self, half: &[JoinReport], live: &Live) -> Option<usize> {
        if defect::is(Defect::JoinsLeft) {
            return None;
        }
        let none = BTreeSet::new();
        let states: Vec<(bool, Vec<usize>)> = half
            .iter()
            .map(|join| {
                let Some(frame) = self.frames.get(&join.place.0) else { return (false, Vec::new()) };
                let topology = frame.graph.topology();
                let targets = predecessors(topology, join.place.1, &join.missing);
                let sources = sources_of(topology, &targets, join.place.1, true);
                let sources_live =
                    live.get(&join.place.0).unwrap_or(&none).iter().any(|at| sources[at.0 as usize]);
                let waits = half.iter().enumerate().filter(|(_, other)| {
                    let same = other.place.0 == join.place.0 && other.place.1 != join.place.1;
                    same && sources[other.place.1.0 as usize]
                        && topology.vertex(other.place.1).join.when_incomplete != WhenIncomplete::Skip
                });
                (!sources_live, waits.map(|(index, _)| index).collect())
            })
            .collect();
        let rank = |index: usize| {
            let frame = self.frames.get(&half[index].place.0);
            frame.map(|frame| frame.graph.topology().vertex(half[index].place.1).join.when_incomplete).map(
                |action| match action {
                    WhenIncomplete::Fire => 0,
                    WhenIncomplete::Fail => 1,
                    WhenIncomplete::Skip => 2,
                },
            )
        };
        (0..half.len())
            .filter(|index| {
                let reach = closure(&states, *index);
                // Whoever it waits for, at any remove, waits for it too, and all of them are due.
                reach.iter().all(|other| {
                    states[*other].0 && (other == index || closure(&states, *other).contains(index))
                }) && states[*index].0
            })
            .min_by_key(|index| (half[*index].place.0, rank(*index), half[*index].place.1))
    }

    fn cancel_losers(&mut self, place: Place, owed: &[SlotIx], live: &mut Live, start: &mut Start) {
        if defect::is(Defect::LoserCounts) {
            return;
        }
        let Some(frame) = self.frames.get(&place.0) else { return };
        let none = BTreeSet::new();
        let own = live.get(&place.0).unwrap_or(&none);
        let losers = super::cancel::losers(&frame.graph, &self.config.library, place.1, owed, own);
        let names: Vec<VertexName> =
            losers.iter().map(|at| frame.graph.topology().vertex(*at).name.clone()).collect();
        self.close_questions(place.0, |vertex| names.contains(vertex));
        for at in losers {
            let loser = (place.0, at);
            live.entry(place.0).or_default().remove(&at);
            self.forget(loser);
            start.verdicts.retain(|(other, _)| *other != loser);
            start.cancel.push(loser);
        }
    }

    /// Drops an activation that is cancelled; frames that it opened end with it.
    pub(super) fn forget(&mut self, place: Place) {
        self.flying.remove(&place);
        self.suspended.remove(&place);
        self.completed.remove(&place);
        let opened: Vec<FrameId> = self
            .frames
            .iter()
            .filter(|(_, frame)| frame.parent.is_some_and(|(parent, _)| parent == place))
            .map(|(id, _)| *id)
            .collect();
        self.abandoned.extend(opened);
    }

    fn pardon(&self, join: &JoinReport, live: &Live, start: &mut Start) {
        let Some(frame) = self.frames.get(&join.place.0) else { return };
        let topology = frame.graph.topology();
        for slot in &join.owing {
            let targets = predecessors(topology, join.place.1, &[*slot]);
            let sources = sources_of(topology, &targets, join.place.1, false);
            let reached = live
                .get(&join.place.0)
                .is_some_and(|live| live.iter().any(|at| *at != join.place.1 && sources[at.0 as usize]));
            if !reached {
                start.pardons.push((join.place, *slot));
            }
        }
    }

    /// Closes frames that have failed, that are past their own limit, or whose opener is gone.
    fn fail_frames(&mut self, planned: &[crate::protocol::Planned], joins: &[JoinReport], start: &mut Start) {
        if self.frames.len() == 1 && self.abandoned.is_empty() {
            return;
        }
        for frame in std::mem::take(&mut self.abandoned) {
            self.close_frame(frame, None, start);
        }
        let failed: Vec<(FrameId, (Failure, bool))> = self
            .frames
            .iter()
            .filter(|(id, _)| **id != FrameId::ROOT)
            .filter_map(|(id, frame)| {
                let works = || {
                    self.flying.iter().any(|place| place.0 == *id)
                        || planned.iter().any(|planned| planned.place.0 == *id)
                        || joins.iter().any(|join| join.half_filled && join.place.0 == *id)
                };
                let age = self.superstep.saturating_sub(frame.opened);
                let over = age >= frame.graph.spec().limits.supersteps && works();
                let limit = || {
                    Failure::new(
                        FailureClass::Frame,
                        format!(
                            "the sub-graph reached its limit of {} supersteps",
                            frame.graph.spec().limits.supersteps
                        ),
                    )
                };
                frame.failed.clone().or_else(|| over.then(|| (limit(), true))).map(|failure| (*id, failure))
            })
            .collect();
        for (id, (failure, limited)) in failed {
            self.close_frame(id, Some((Err(failure), limited)), start);
        }
    }

    /// Closes frames in which nothing is in flight and nothing starts.
    fn close_quiescent(&mut self, planned: &[crate::protocol::Planned], start: &mut Start) {
        let busy: BTreeSet<FrameId> = self
            .flying
            .iter()
            .map(|place| place.0)
            .chain(planned.iter().map(|planned| planned.place.0))
            .chain(
                start
                    .verdicts
                    .iter()
                    .filter(|(_, action)| *action != WhenIncomplete::Skip)
                    .map(|(place, _)| place.0),
            )
            .collect();
        let quiet: Vec<FrameId> =
            self.frames.keys().copied().filter(|id| *id != FrameId::ROOT && !busy.contains(id)).collect();
        for id in quiet {
            let result = self.frames.get(&id).map(super::FrameState::result);
            self.close_frame(id, result.map(|result| (Ok(result), false)), start);
        }
        for frame in std::mem::take(&mut self.abandoned) {
            self.close_frame(frame, None, start);
        }
    }

    /// Closes a frame and those inside it. An end says also whether a limit of the frame led to it;
    /// without one, the frame's opener is gone.
    fn close_frame(
        &mut self,
        id: FrameId,
        end: Option<(Result<crate::payload::Payload, Failure>, bool)>,
        start: &mut Start,
    ) {
        let Some(frame) = self.frames.remove(&id) else { return };
        self.close_questions(id, |_| true);
        let inside: Vec<Place> = self.flying.iter().copied().filter(|place| place.0 == id).collect();
        for place in inside {
            self.forget(place);
        }
        let gone =
            Failure::new(FailureClass::Frame, "the activation that opened the sub-graph is gone".to_owned());
        let parent = if end.is_some() { frame.parent } else { None };
        let (end, limited) = end.unwrap_or((Err(gone), false));
        let spent = Spent::of(self.totals.elapsed.saturating_sub(frame.opened_at), &frame.settled);
        start.closed.push(Closing { frame: id, parent, end, limited, spent });
        let nested: Vec<FrameId> = self
            .frames
            .iter()
            .filter(|(_, other)| other.parent.is_some_and(|((parent, _), _)| parent == id))
            .map(|(id, _)| *id)
            .collect();
        for nested in nested {
            self.close_frame(nested, None, start);
        }
    }
}

/// All that `index` waits for, at any remove, itself included.
fn closure(states: &[(bool, Vec<usize>)], index: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut work = vec![index];
    while let Some(at) = work.pop() {
        if found.insert(at) {
            work.extend(states[at].1.iter().copied());
        }
    }
    found
}

fn predecessors(topology: &Topology, join: VertexIx, slots: &[SlotIx]) -> Vec<VertexIx> {
    let all = &topology.vertex(join).join.slots;
    slots.iter().filter_map(|slot| all.get(slot.0 as usize).copied().flatten()).collect()
}

fn missing_names(topology: &Topology, join: &JoinReport) -> Vec<VertexName> {
    predecessors(topology, join.place.1, &join.missing)
        .into_iter()
        .map(|at| topology.vertex(at).name.clone())
        .collect()
}
