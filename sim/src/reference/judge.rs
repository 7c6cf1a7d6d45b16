//! What a superstep will do, once its messages are there (rules 12 to 15, 19 and 20).

use std::collections::{BTreeMap, BTreeSet};

use superstep_engine::{Failure, FailureClass, FrameId, LimitKind, Notice, Payload, RunStatus};
use superstep_graph::{VertexName, WhenIncomplete};

use super::frame::{Place, Standing};
use super::program::elements;
use super::{Ended, Run};

/// What a superstep will do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Who starts, and whether a join fires.
    pub(super) starts: BTreeMap<Place, bool>,
    /// Joins that fail.
    pub(super) fails: BTreeSet<Place>,
    /// Joins whose messages are dropped.
    pub(super) skips: BTreeSet<Place>,
    /// Who is cancelled, in flight or before it starts.
    pub(super) losers: BTreeSet<Place>,
    /// Slots that owe nothing more.
    pub(super) pardons: Vec<(Place, VertexName)>,
    /// Frames that end, and whether a limit of their own ended them.
    pub(super) closes: Vec<(FrameId, Ended, bool)>,
}

impl Run<'_> {
    pub(super) fn judge(&mut self) -> Plan {
        let mut plan = Plan::default();
        let places: Vec<Place> = self.places();
        let half = |run: &Self, place: &Place| {
            !run.open.contains_key(place) && run.frames[&place.0].standing(&place.1) == Standing::HalfFilled
        };
        for place in places.iter().filter(|place| !self.open.contains_key(*place)) {
            match self.frames[&place.0].standing(&place.1) {
                Standing::Fires => drop(plan.starts.insert(place.clone(), true)),
                Standing::Poked => drop(plan.starts.insert(place.clone(), false)),
                Standing::Idle | Standing::HalfFilled => {}
            }
        }
        let half: BTreeSet<Place> = places.iter().filter(|place| half(self, place)).cloned().collect();
        self.fail_frames(&half, &mut plan);
        let gone: BTreeSet<FrameId> = self.inside(plan.closes.iter().map(|(id, _, _)| *id).collect());
        plan.starts.retain(|place, _| !gone.contains(&place.0));
        let half = half.into_iter().filter(|place| !gone.contains(&place.0)).collect();
        self.judge_joins(half, &gone, &mut plan);
        self.close_quiescent(&gone, &mut plan);
        plan
    }

    fn places(&self) -> Vec<Place> {
        let of = |(id, frame): (&FrameId, &super::Frame<'_>)| {
            frame.states.keys().map(|name| (*id, name.clone())).collect::<Vec<_>>()
        };
        self.frames.iter().flat_map(of).collect()
    }

    /// The frames and all that are inside them.
    fn inside(&self, mut frames: BTreeSet<FrameId>) -> BTreeSet<FrameId> {
        for (id, frame) in &self.frames {
            // A frame has a higher number than the one that it is in.
            if frame.parent.as_ref().is_some_and(|((outer, _), _)| frames.contains(outer)) {
                frames.insert(*id);
            }
        }
        frames
    }

    /// Frames that failed at the last barrier, or are past their own limit with work to do (rule 19).
    fn fail_frames(&self, half: &BTreeSet<Place>, plan: &mut Plan) {
        let mut gone = BTreeSet::new();
        for (id, frame) in self.frames.iter().filter(|(id, _)| **id != FrameId::ROOT) {
            if self.inside(gone.clone()).contains(id) {
                continue;
            }
            let works = self.open.keys().chain(plan.starts.keys()).chain(half).any(|place| place.0 == *id);
            let most = frame.rules.0.limits.supersteps;
            let over = works && self.superstep - frame.opened >= most;
            let limit = || {
                let message = format!("the sub-graph reached its limit of {most} supersteps");
                Failure::new(FailureClass::Frame, message)
            };
            let failure = frame.failed.clone().or_else(|| over.then(limit));
            let limited = frame.failed.is_none();
            if let Some(failure) = failure {
                gone.insert(*id);
                plan.closes.push((*id, Err(failure), limited));
            }
        }
    }

    /// Frames in which nothing is in flight and nothing starts (rule 19).
    fn close_quiescent(&self, gone: &BTreeSet<FrameId>, plan: &mut Plan) {
        let flying = self.open.keys().filter(|place| !plan.losers.contains(place));
        let busy: BTreeSet<FrameId> =
            flying.chain(plan.starts.keys()).chain(&plan.fails).map(|place| place.0).collect();
        let lost = |id: &FrameId| {
            let parent = self.frames[id].parent.as_ref();
            parent.is_some_and(|(place, _)| plan.losers.contains(place))
        };
        let lost = self.inside(self.frames.keys().copied().filter(lost).collect());
        for (id, frame) in self.frames.iter().filter(|(id, _)| **id != FrameId::ROOT) {
            if !busy.contains(id) && !gone.contains(id) && !lost.contains(id) {
                let output = superstep_engine::ProgramResult::output(Payload::from(frame.result()));
                plan.closes.push((*id, Ok(output), false));
            }
        }
    }

    /// Whether the run ends in place of a superstep (rules 8 and 20).
    pub(super) fn verdict(&self, plan: &Plan) -> Option<RunStatus> {
        let acts = !plan.starts.is_empty() || !plan.fails.is_empty() || !plan.closes.is_empty();
        let flying = self.open.keys().any(|place| !plan.losers.contains(place));
        if !acts && !flying {
            return Some(RunStatus::Succeeded);
        }
        let limits = &self.frames[&FrameId::ROOT].rules.0.limits;
        if self.superstep >= limits.supersteps {
            return Some(RunStatus::LimitReached(LimitKind::Supersteps));
        }
        let start = plan.starts.iter().filter(|(place, _)| !plan.losers.contains(*place));
        let weight: u64 = start.map(|(place, fires)| self.weight(place, *fires)).sum();
        (self.activations + weight > limits.activations)
            .then_some(RunStatus::LimitReached(LimitKind::Activations))
    }

    /// How many activations a start counts for (rule 17).
    fn weight(&self, place: &Place, fires: bool) -> u64 {
        let mut frame = self.frames[&place.0].clone();
        let Some(vertex) = frame.rules.vertex(&place.1) else { return 0 };
        if vertex.for_each.is_none() {
            return 1;
        }
        let drained = frame.drain(&place.1, fires).0;
        let parts = super::program::parted(vertex.combiner, &drained);
        let received = super::program::received(vertex.combiner, &parts);
        received.and_then(|received| elements(&received)).map_or(1, |elements| elements.len() as u64)
    }

    pub(super) fn tell_incomplete(&mut self, place: &Place, action: WhenIncomplete) {
        let missing = self.frames[&place.0].missing(&place.1).into_iter().collect();
        let (frame, vertex) = place.clone();
        self.notices.push(Notice::JoinIncomplete { frame, vertex, action, missing });
    }
}
