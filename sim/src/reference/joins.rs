//! Joins that nothing can complete, quorums that cancel the rest, and slots that are pardoned.

use std::collections::{BTreeMap, BTreeSet};

use superstep_engine::FrameId;
use superstep_graph::{VertexName, WhenIncomplete};

use super::Run;
use super::frame::Place;
use super::judge::Plan;

impl Run<'_> {
    /// Rules 13 to 15. `half` are the half-filled joins; frames in `gone` take no part.
    pub(super) fn judge_joins(
        &mut self,
        mut half: BTreeSet<Place>,
        gone: &BTreeSet<FrameId>,
        plan: &mut Plan,
    ) {
        let owing: Vec<(Place, VertexName)> = self.owing(gone);
        while let Some(place) = self.next_to_act(&half, plan) {
            half.remove(&place);
            let action = self.action(&place);
            self.tell_incomplete(&place, action);
            match action {
                WhenIncomplete::Fire => drop(plan.starts.insert(place, true)),
                WhenIncomplete::Fail => drop(plan.fails.insert(place)),
                WhenIncomplete::Skip => drop(plan.skips.insert(place)),
            }
        }
        let fired: Vec<Place> =
            plan.starts.iter().filter(|(_, fires)| **fires).map(|(place, _)| place.clone()).collect();
        for place in fired {
            if self.frames[&place.0].rules.cancels_rest(&place.1) && !plan.losers.contains(&place) {
                self.cancel_rest(&place, plan);
            }
        }
        for (place, slot) in owing {
            let rules = self.frames[&place.0].rules;
            let owed = |source: &VertexName| rules.reaches(source, &slot, &place.1, false);
            if !self.live(place.0, plan).iter().any(owed) {
                plan.pardons.push((place, slot));
            }
        }
    }

    fn owing(&self, gone: &BTreeSet<FrameId>) -> Vec<(Place, VertexName)> {
        let mut owing = Vec::new();
        for (id, frame) in self.frames.iter().filter(|(id, _)| !gone.contains(id)) {
            for name in frame.states.keys() {
                owing.extend(frame.owing(name).into_iter().map(|slot| ((*id, name.clone()), slot)));
            }
        }
        owing
    }

    fn action(&self, place: &Place) -> WhenIncomplete {
        let vertex = self.frames[&place.0].rules.vertex(&place.1);
        vertex.map_or(WhenIncomplete::Fire, |vertex| vertex.join.when_incomplete)
    }

    /// The live sources of a frame: what is in flight and what will start.
    fn live(&self, frame: FrameId, plan: &Plan) -> BTreeSet<VertexName> {
        let all = self.open.keys().chain(plan.starts.keys()).chain(&plan.fails);
        all.filter(|place| place.0 == frame && !plan.losers.contains(place))
            .map(|place| place.1.clone())
            .collect()
    }

    /// The half-filled join that acts next, if one does (rule 15).
    fn next_to_act(&self, half: &BTreeSet<Place>, plan: &Plan) -> Option<Place> {
        let waits: BTreeMap<&Place, BTreeSet<&Place>> =
            half.iter().map(|place| (place, self.waits_for(place, half))).collect();
        let may_act = |place: &Place| {
            let component = at_any_remove(&waits, place);
            component
                .iter()
                .all(|other| at_any_remove(&waits, other).contains(place) && self.is_due(other, plan))
        };
        let rank = |place: &Place| match self.action(place) {
            WhenIncomplete::Fire => 0,
            WhenIncomplete::Fail => 1,
            WhenIncomplete::Skip => 2,
        };
        half.iter()
            .filter(|place| may_act(place))
            .min_by_key(|place| (place.0, rank(place), &place.1))
            .cloned()
    }

    /// The other half-filled joins from which a missing slot of a join is reached.
    fn waits_for<'b>(&self, place: &Place, half: &'b BTreeSet<Place>) -> BTreeSet<&'b Place> {
        let frame = &self.frames[&place.0];
        let missing = frame.missing(&place.1);
        let reaches = |other: &&Place| {
            let reached = |slot| frame.rules.reaches(&other.1, slot, &place.1, true);
            other.0 == place.0
                && *other != place
                && self.action(other) != WhenIncomplete::Skip
                && missing.iter().any(reached)
        };
        half.iter().filter(reaches).collect()
    }

    /// Whether no live source reaches a missing slot of a join.
    fn is_due(&self, place: &Place, plan: &Plan) -> bool {
        let frame = &self.frames[&place.0];
        let missing = frame.missing(&place.1);
        let live = self.live(place.0, plan);
        !live
            .iter()
            .any(|source| missing.iter().any(|slot| frame.rules.reaches(source, slot, &place.1, true)))
    }

    /// Rule 14: whoever could only have filled slots that the firing leaves owing.
    fn cancel_rest(&self, place: &Place, plan: &mut Plan) {
        let frame = &self.frames[&place.0];
        let owed: BTreeSet<VertexName> =
            frame.missing(&place.1).union(&frame.owing(&place.1)).cloned().collect();
        for source in self.live(place.0, plan) {
            let candidate = owed.iter().any(|slot| frame.rules.reaches(&source, slot, &place.1, false));
            if candidate && !frame.rules.is_noticed(&source, &place.1, self.library) {
                plan.losers.insert((place.0, source));
            }
        }
    }
}

/// Everything that a join waits for, at any remove, and the join itself.
fn at_any_remove<'a>(waits: &BTreeMap<&'a Place, BTreeSet<&'a Place>>, place: &Place) -> BTreeSet<&'a Place> {
    let mut found: BTreeSet<&Place> = waits.keys().copied().filter(|other| *other == place).collect();
    loop {
        let next: BTreeSet<&Place> = found.iter().flat_map(|at| &waits[at]).copied().collect();
        let before = found.len();
        found.extend(next);
        if found.len() == before {
            return found;
        }
    }
}
