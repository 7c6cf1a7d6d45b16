//! The commit of a superstep: the one record that makes its results count.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_graph::{
    Capabilities, Fold, MutationOrder, PriorityClass, Request, ValidatedGraph, Verdict, VertexName, fold,
};

use super::standstill::Beginning;
use super::{Coordinator, Phase};
use crate::costs::Measured;
use crate::defect::{self, Defect};
use crate::ids::{FrameId, Place, Timestamp};
use crate::notice::{Notice, RunStatus};
use crate::program::{Failure, FailureClass};
use crate::protocol::{Command, Committed, Completed};
use crate::record::{Commit, Completion, Patch, Record};

/// A commit on its way to the log, with what follows from it.
#[derive(Debug)]
pub(super) struct Committing {
    pub(super) record: Arc<Commit>,
    completed: BTreeMap<Place, Box<Completed>>,
    changes: Vec<Change>,
    /// What those have cost of which it is worth to be kept.
    pub(super) measured: Vec<Measured>,
    /// Whether the run stands still behind it.
    pub(super) holds: bool,
}

/// What the mutations of a barrier make of one frame's graph.
#[derive(Debug)]
struct Change {
    frame: FrameId,
    requests: Vec<Request>,
    fold: Fold,
    graph: Option<ValidatedGraph>,
}

impl Coordinator {
    /// Commits everything that has completed at this instant.
    pub(super) fn commit(&mut self, now: Timestamp) {
        let completed = std::mem::take(&mut self.completed);
        let patches = std::mem::take(&mut self.patches);
        self.prepare(completed, &patches, now);
        let Some(committing) = &self.committing else { return };
        let commit = Record::Committed(Arc::clone(&committing.record));
        let records = if committing.measured.is_empty() {
            vec![commit]
        } else {
            vec![Record::Measured(committing.measured.clone()), commit]
        };
        let token = self.append(records);
        self.phase = Phase::Committing(token);
        if defect::is(Defect::ResultsBeforeCommit) && !self.replaying {
            self.committed(now);
        }
    }

    pub(super) fn prepare(
        &mut self,
        mut completed: BTreeMap<Place, Box<Completed>>,
        patches: &[Patch],
        now: Timestamp,
    ) {
        let changes = self.judge_mutations(&completed, patches);
        let failing =
            completed.values().find(|completed| completed.fatal && completed.place.0 == FrameId::ROOT);
        if let (Some(failing), false) = (failing, self.close_now) {
            let failure = failing.failure.clone().unwrap_or_else(|| Failure::permanent("it failed"));
            self.ending.get_or_insert(RunStatus::Failed { activation: failing.activation.clone(), failure });
        }
        let since = self.working_since.map_or(0, |since| now.0.saturating_sub(since.0));
        let record = Commit {
            superstep: self.superstep,
            elapsed: self.totals.elapsed + since,
            completed: completed
                .values()
                .map(|completed| Completion {
                    frame: completed.place.0,
                    vertex: completed.activation.vertex.clone(),
                    end: completed.end.clone(),
                })
                .collect(),
            patches: patches.iter().map(|patch| patch.requester.clone()).collect(),
            revisions: changes
                .iter()
                .filter_map(|change| change.graph.as_ref().map(|graph| (change.frame, graph.revision())))
                .collect(),
            closing: self.ending.clone(),
        };
        let measured = completed.values_mut().filter_map(|completed| completed.measured.take());
        let measured = measured.map(|measured| *measured).collect();
        let holds = self.is_suspended();
        self.committing = Some(Committing { record: Arc::new(record), completed, changes, measured, holds });
    }

    /// Judges the mutations asked for at this barrier, frame by frame.
    fn judge_mutations(&self, completed: &BTreeMap<Place, Box<Completed>>, patches: &[Patch]) -> Vec<Change> {
        let mut requests: BTreeMap<FrameId, Vec<Request>> = BTreeMap::new();
        for patch in patches {
            let list = requests.entry(FrameId::ROOT).or_default();
            for (request, mutation) in (0u32..).zip(&patch.mutations) {
                let order = MutationOrder { class: patch.class, requester: patch.requester.clone(), request };
                list.push(Request {
                    order,
                    mutation: mutation.clone(),
                    capabilities: Capabilities::unlimited(),
                });
            }
        }
        for (place, completed) in completed.iter().filter(|(_, completed)| !completed.mutations.is_empty()) {
            let Some(frame) = self.frames.get(&place.0) else { continue };
            let capabilities = Capabilities::of(&frame.graph.topology().vertex(place.1).spec);
            for (request, mutation) in (0u32..).zip(&completed.mutations) {
                let requester = completed.activation.to_string();
                let order = MutationOrder { class: PriorityClass::Vertex, requester, request };
                let request =
                    Request { order, mutation: mutation.clone(), capabilities: capabilities.clone() };
                requests.entry(place.0).or_default().push(request);
            }
        }
        let mut applied = self.totals.mutations;
        let mut changes = Vec::new();
        for (frame, requests) in requests {
            let Some(change) = self.fold_one(frame, requests, applied) else { continue };
            applied +=
                change.fold.verdicts.iter().filter(|verdict| **verdict == Verdict::Applied).count() as u64;
            changes.push(change);
        }
        changes
    }

    fn fold_one(&self, frame: FrameId, requests: Vec<Request>, applied: u64) -> Option<Change> {
        let state = self.frames.get(&frame)?;
        let most = self.frames.get(&FrameId::ROOT)?.graph.spec().limits.mutations;
        let allowance = most.saturating_sub(applied);
        let fold = fold(state.graph.spec(), state.past(), &requests, allowance, &*self.expressions);
        let changed = fold.verdicts.contains(&Verdict::Applied);
        let graph = changed.then(|| ValidatedGraph::after_mutation(fold.spec.clone()));
        Some(Change { frame, requests, fold, graph })
    }

    /// What [`Defect::MutationAtOnce`] does: changes that one activation asks for are made now.
    pub(super) fn change_at_once(&mut self, completed: &mut Completed) {
        let only = BTreeMap::from([(completed.place, Box::new(completed.clone()))]);
        let changes = self.judge_mutations(&only, &[]);
        let graphs = self.apply(changes);
        completed.mutations.clear();
        let superstep = self.superstep;
        let changed = Committed { superstep, completed: Vec::new(), graphs, closing: false };
        self.command(None, Command::Commit(changed));
    }

    /// The commit is durable: its effects become true.
    pub(super) fn committed(&mut self, now: Timestamp) {
        let Some(committing) = self.committing.take() else { return };
        let Committing { record, completed, changes, measured, holds } = committing;
        let appended = if let Phase::Committing(token) = self.phase { Some(token) } else { None };
        self.learn(&measured);
        self.totals.supersteps = record.superstep + 1;
        if !self.replaying {
            self.due_answers.append(&mut self.answers);
        }
        self.restart_clock(record.elapsed, now);
        let mut contributions: BTreeMap<FrameId, Vec<(VertexName, crate::payload::Payload)>> =
            BTreeMap::new();
        let count = completed.len() as u64;
        let mut places = Vec::with_capacity(completed.len());
        for (place, completed) in completed {
            places.push(place);
            self.flying.remove(&place);
            self.close_questions(place.0, |vertex| *vertex == completed.activation.vertex);
            for (partition, messages) in &completed.outbound {
                *self.outbound.entry(*partition).or_default() += messages;
            }
            self.take_in(place, &completed, &mut contributions);
            let Completed { activation, output, failure, usage, .. } = *completed;
            self.notify(Notice::Completed { activation, output, failure, usage });
        }
        let aggregates = self.aggregate(&contributions);
        let graphs = self.apply(changes);
        let weighed = if measured.is_empty() && graphs.is_empty() { Vec::new() } else { self.weighed() };
        let closing = record.closing.is_some();
        let committed = Committed { superstep: record.superstep, completed: places, graphs, closing };
        self.command(None, Command::Commit(committed));
        if let Some(root) = self.frames.get(&FrameId::ROOT) {
            let revision = root.graph.revision();
            self.notify(Notice::Committed { superstep: record.superstep, completed: count, revision });
        }
        self.superstep = record.superstep + 1;
        if let Some(status) = record.closing.clone() {
            self.finish(status, now);
            return;
        }
        let beginning = Beginning { aggregates, costs: weighed };
        if holds && !defect::is(Defect::SuspensionIgnored) {
            self.stand_still(appended, beginning, now);
        } else {
            self.deliver(beginning);
        }
    }

    pub(super) fn deliver(&mut self, Beginning { aggregates, costs }: Beginning) {
        self.phase = Phase::Delivering(self.config.homes.count());
        let superstep = self.superstep;
        let starts = self.begin_at_once();
        if self.config.homes.count() == 1 {
            self.command(None, Command::Deliver { superstep, expect: 0, aggregates, costs, starts });
            return;
        }
        let mut outbound = std::mem::take(&mut self.outbound);
        for partition in (0..self.config.homes.count()).map(crate::ids::PartitionId) {
            let expect = outbound.remove(&partition).unwrap_or(0);
            let (aggregates, costs) = (aggregates.clone(), costs.clone());
            let deliver = Command::Deliver { superstep, expect, aggregates, costs, starts };
            self.command(Some(partition), deliver);
        }
    }

    /// Takes one committed activation into its frame.
    fn take_in(
        &mut self,
        place: Place,
        completed: &Completed,
        contributions: &mut BTreeMap<FrameId, Vec<(VertexName, crate::payload::Payload)>>,
    ) {
        let Some(frame) = self.frames.get_mut(&place.0) else { return };
        frame.collect(completed);
        if !completed.contributions.is_empty() {
            contributions.entry(place.0).or_default().extend(completed.contributions.iter().cloned());
        }
        let Some(failure) = &completed.failure else { return };
        let limited = failure.class == FailureClass::Limit;
        if place.0 != FrameId::ROOT && (completed.fatal || limited) && frame.failed.is_none() {
            let message = format!(
                "vertex {:?} of the sub-graph failed: {}",
                completed.activation.vertex, failure.message
            );
            frame.failed = Some((Failure::new(FailureClass::Frame, message), limited));
        }
    }

    /// Folds the contributions of the commit. An aggregator that does not persist begins anew.
    fn aggregate(
        &mut self,
        contributions: &BTreeMap<FrameId, Vec<(VertexName, crate::payload::Payload)>>,
    ) -> Vec<(FrameId, Arc<BTreeMap<VertexName, crate::payload::Payload>>)> {
        let mut changed = Vec::new();
        for (id, frame) in &mut self.frames {
            let own = contributions.get(id).map(Vec::as_slice).unwrap_or_default();
            if frame.aggregate(own) {
                changed.push((*id, frame.aggregates()));
            }
        }
        changed
    }

    /// Replaces the graphs that mutations changed.
    fn apply(&mut self, changes: Vec<Change>) -> Vec<(FrameId, ValidatedGraph, Vec<VertexName>)> {
        let mut graphs = Vec::new();
        for change in changes {
            let mut applied = Vec::new();
            for (request, verdict) in change.requests.iter().zip(&change.fold.verdicts) {
                if *verdict == Verdict::Applied {
                    self.totals.mutations += 1;
                    applied.push(request.clone());
                }
                self.notify(Notice::Mutated {
                    frame: change.frame,
                    requester: request.order.requester.clone(),
                    mutation: request.mutation.asked().clone(),
                    verdict: verdict.clone(),
                });
            }
            if let Some(frame) = self.frames.get_mut(&change.frame) {
                frame.remember(applied);
            }
            let Some(graph) = change.graph else { continue };
            self.move_places(change.frame, &graph, &change.fold.removed);
            graphs.push((change.frame, graph, change.fold.removed));
        }
        graphs
    }

    /// Points everything that knows places of a frame to the indices of its new graph.
    fn move_places(&mut self, frame: FrameId, graph: &ValidatedGraph, removed: &[VertexName]) {
        let Some(state) = self.frames.get_mut(&frame) else { return };
        let old = state.adopt(graph);
        let moved = |place: Place| -> Option<Place> {
            if place.0 != frame {
                return Some(place);
            }
            let name = &old.topology().vertex(place.1).name;
            if removed.contains(name) {
                return None;
            }
            graph.topology().find(name).map(|at| (frame, at))
        };
        let gone: Vec<Place> = self.flying.iter().copied().filter(|place| moved(*place).is_none()).collect();
        for place in gone {
            self.forget(place);
        }
        self.close_questions(frame, |vertex| removed.contains(vertex));
        self.flying = self.flying.iter().copied().filter_map(moved).collect();
        self.suspended = self.suspended.iter().copied().filter_map(moved).collect();
        // What has completed and is not committed is reported anew by its partition.
        self.completed.retain(|place, _| place.0 != frame);
        for other in self.frames.values_mut() {
            if let Some((place, element)) = other.parent {
                other.parent = moved(place).map(|place| (place, element));
            }
        }
    }

    fn restart_clock(&mut self, elapsed: u64, now: Timestamp) {
        self.totals.elapsed = elapsed;
        if self.working_since.is_some() {
            self.working_since = Some(now);
        }
    }
}
