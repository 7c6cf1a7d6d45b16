//! Frames opened, and activations started.

use superstep_graph::ValidatedGraph;

use super::at_once::is_plain;
use super::frame::FrameState;
use super::{Coordinator, Phase};
use crate::costs::Spent;
use crate::ids::{FrameId, Timestamp};
use crate::notice::{LimitKind, Notice, RunStatus};
use crate::program::{Failure, FailureClass};
use crate::protocol::{Closing, Command, FrameWanted, Opening, Planned, Start};

impl Coordinator {
    pub(super) fn open_root(&mut self, now: Timestamp) {
        let Some(graph) = self.config.library.get(&self.config.started.root).cloned() else {
            // A configuration without its own graph cannot be made by the driver's checks.
            self.phase = Phase::Ended;
            return;
        };
        let limits = &graph.spec().limits;
        let refused = if limits.supersteps == 0 {
            Some(LimitKind::Supersteps)
        } else if graph.topology().entry().len() as u64 > limits.activations {
            Some(LimitKind::Activations)
        } else {
            None
        };
        let carried = self.config.carried.clone();
        let mut root = FrameState::new(&self.config.started.root, graph.clone(), None);
        if let Some(carried) = &carried {
            root.carry(&carried.aggregates);
        }
        self.at_once.plain = is_plain(graph.topology());
        self.frames.insert(FrameId::ROOT, root);
        if let Some(limit) = refused {
            self.finish(RunStatus::LimitReached(limit), now);
            return;
        }
        let input = self.config.started.input.clone();
        self.phase = Phase::Starting(self.config.homes.count());
        let costs = self.costs_of(FrameId::ROOT);
        let opening = Opening { frame: FrameId::ROOT, graph, input, parent: None, costs, carried };
        self.command(None, Command::Open(vec![opening]));
    }

    pub(super) fn started(&mut self, wanted: Vec<FrameWanted>, started: Vec<Planned>, now: Timestamp) {
        let Phase::Starting(missing) = self.phase else {
            return self.started_before_others(wanted, started);
        };
        self.wanted.extend(wanted);
        for planned in started {
            self.flying.insert(planned.place);
            self.totals.activations += planned.weight;
            self.begun += planned.weight;
        }
        self.phase = Phase::Starting(missing - 1);
        if missing > 1 {
            return;
        }
        if !self.wanted.is_empty() {
            self.open_frames();
            return;
        }
        if std::mem::take(&mut self.pause_after_start) || self.is_idle() {
            self.pause(now);
            return;
        }
        let (started, carried) = (self.begun, self.carried);
        self.notify(Notice::SuperstepStarted { superstep: self.superstep, started, carried });
        self.phase = Phase::Running;
        self.check_barrier(now);
    }

    /// Whether answers were taken up that moved nothing: an element of a group has ended, and the others
    /// still wait.
    fn is_idle(&self) -> bool {
        self.only_answers
            && self.begun == 0
            && self.completed.is_empty()
            && !self.flying.is_empty()
            && self.flying.is_subset(&self.suspended)
    }

    /// Opens what activations want opened, in the order of their names.
    fn open_frames(&mut self) {
        let mut wanted = std::mem::take(&mut self.wanted);
        self.opening = 0;
        wanted.sort_by_key(|wanted| (wanted.parent, wanted.element));
        let mut openings = Vec::new();
        let mut closed = Vec::new();
        for wanted in wanted {
            let frame = FrameId(self.next_frame);
            self.next_frame += 1;
            let parent = Some((wanted.parent, wanted.element));
            match self.openable(&wanted) {
                Ok((graph, depth)) => {
                    let mut state = FrameState::new(&wanted.graph, graph.clone(), parent);
                    (state.depth, state.opened, state.opened_at) =
                        (depth, self.superstep, self.totals.elapsed);
                    self.frames.insert(frame, state);
                    self.tell_opened(frame, wanted.graph);
                    let costs = self.costs_of(frame);
                    let (input, carried) = (wanted.input, None);
                    openings.push(Opening { frame, graph, input, parent, costs, carried });
                }
                Err(failure) => closed.push(Closing {
                    frame,
                    parent,
                    end: Err(failure),
                    limited: true,
                    spent: Spent::default(),
                }),
            }
        }
        self.phase = Phase::Starting(self.config.homes.count());
        if openings.is_empty() {
            self.command(
                None,
                Command::Start(Start { superstep: self.superstep, closed, ..Start::default() }),
            );
            return;
        }
        if !closed.is_empty() {
            // Both are answered by one report each; the second answer counts.
            self.phase = Phase::Starting(self.config.homes.count() * 2);
            self.command(
                None,
                Command::Start(Start { superstep: self.superstep, closed, ..Start::default() }),
            );
        }
        self.command(None, Command::Open(openings));
    }

    fn tell_opened(&mut self, frame: FrameId, graph: String) {
        if let Some(by) = self.opener(frame) {
            self.notify(Notice::Opened { frame, graph, by });
        }
    }

    fn openable(&mut self, wanted: &FrameWanted) -> Result<(ValidatedGraph, u32), Failure> {
        let failed = |message: String| Failure::new(FailureClass::Frame, message);
        let graph = self.config.library.get(&wanted.graph);
        let graph = graph.cloned().ok_or_else(|| failed(format!("no graph is named {:?}", wanted.graph)))?;
        let entries = graph.topology().entry().len() as u64;
        let most = self.frames.get(&FrameId::ROOT).map_or(0, |root| root.graph.spec().limits.activations);
        if self.totals.activations + self.opening + entries > most {
            self.ending.get_or_insert(RunStatus::LimitReached(LimitKind::Activations));
            return Err(failed(format!(
                "limits.activations allows {most}: there is no room for the sub-graph"
            )));
        }
        self.opening += entries;
        let depth = self.frames.get(&wanted.parent.0).map_or(0, |frame| frame.depth) + 1;
        let most = self.frames.get(&FrameId::ROOT).map_or(0, |root| root.graph.spec().limits.depth);
        if depth > most {
            self.ending.get_or_insert(RunStatus::LimitReached(LimitKind::Depth));
            return Err(failed(format!("limits.depth allows {most} sub-graphs inside each other")));
        }
        Ok((graph.with_parameters(&wanted.parameters), depth))
    }
}
