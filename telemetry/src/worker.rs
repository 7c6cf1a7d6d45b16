//! The spans that one worker of a run sends, where several work on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::Event;
use superstep_engine::{ActivationId, CallKey, Epoch, Failure, FrameId, Notice, Usage};
use superstep_graph::{GraphSpec, VertexName};
use superstep_runtime::CallSubject;

use crate::activations::Activations;
use crate::context::{MessageContexts, context_of};
use crate::draft::Draft;
use crate::graphs::Graphs;
use crate::ids::{Place, TraceIds};
use crate::message::Settled;
use crate::over::{Over, Writing};
use crate::share::Share;
use crate::traces::Outlet;

/// The spans of the activations and calls of a run's partition in a worker, and of its part of each superstep, from
/// term to term.
///
/// A term begins with what the log tells of the past ([`Self::past`], [`Self::take_up`]); then come the notices of
/// the partition, and what the leader commands of which the partition tells nothing. What was open here before the
/// term goes on if it is still this worker's, and is sent if the log says that it has ended.
pub struct WorkerSpans {
    worker: String,
    ids: TraceIds,
    writing: Writing,
    outlet: Arc<Outlet>,
    graphs: Graphs,
    activations: Activations,
    superstep: u64,
    epoch: Epoch,
    share: Option<Share>,
    /// Parts of the present superstep in terms that are over.
    former: Vec<(Draft, SystemTime)>,
    /// What became of messages since the last commit, until the superstep begins.
    waiting: Vec<Event>,
    committed_at: Option<SystemTime>,
    /// The context that came last, of which others that come are often repetitions.
    came: Option<(Place, String)>,
}

/// What the log of a run tells a worker of its past.
pub struct WorkerPast {
    activations: Activations,
    superstep: u64,
    /// What was open before.
    open: BTreeSet<Place>,
    calls: BTreeSet<CallKey>,
    share: Option<u64>,
    /// What has ended it.
    missed: Vec<Notice>,
}

impl WorkerSpans {
    pub(crate) fn new(
        worker: &str,
        ids: TraceIds,
        writing: Writing,
        outlet: Arc<Outlet>,
        graphs: Graphs,
    ) -> Self {
        let over = Over::new(ids.clone(), writing.clone(), true);
        Self {
            activations: Activations::new(over, graphs.clone(), Some(worker.to_owned())),
            worker: worker.to_owned(),
            ids,
            writing,
            outlet,
            graphs,
            superstep: 0,
            epoch: Epoch(0),
            share: None,
            former: Vec::new(),
            waiting: Vec::new(),
            committed_at: None,
            came: None,
        }
    }

    /// The trace, for log lines.
    #[must_use]
    pub fn trace(&self) -> String {
        self.ids.trace().to_string()
    }

    /// The contexts with which messages travel.
    #[must_use]
    pub fn contexts(&self) -> MessageContexts {
        MessageContexts::new(self.ids.clone())
    }

    /// Begins to follow what the log tells.
    #[must_use]
    pub fn past(&self) -> WorkerPast {
        let over = Over::new(self.ids.clone(), self.writing.clone(), true);
        let (open, calls) = self.activations.known();
        WorkerPast {
            activations: Activations::new(over, self.graphs.clone(), Some(self.worker.clone())),
            superstep: 0,
            open: open.into_iter().collect(),
            calls: calls.into_iter().collect(),
            share: (self.share.is_some() || !self.former.is_empty()).then_some(self.superstep),
            missed: Vec::new(),
        }
    }

    /// Begins a term, behind what the log has told, in which the worker has the vertices that are `mine`.
    pub fn take_up(&mut self, past: WorkerPast, epoch: Epoch, mine: impl Fn(&VertexName) -> bool) {
        let now = SystemTime::now();
        self.let_go();
        for notice in &past.missed {
            if let Notice::Committed { superstep, .. } = notice {
                self.committed(*superstep);
            } else {
                self.activations.notice(notice, now);
            }
        }
        self.send();
        if past.superstep != self.superstep {
            self.former.clear();
        }
        let mut before = std::mem::replace(&mut self.activations, past.activations);
        self.activations.go_on(&mut before, epoch, now, mine);
        (self.superstep, self.epoch) = (past.superstep, epoch);
        self.waiting.clear();
        self.share = Some(self.begin_share(now));
        self.send();
    }

    /// The term is over: the worker's part of the superstep too, in so far as it is this term's.
    pub fn let_go(&mut self) {
        if let Some(share) = self.share.take() {
            self.former.push((share.end(), SystemTime::now()));
        }
    }

    /// The run is not this worker's any more. What it has not seen the end of is not sent, apart from calls, which
    /// it has made.
    pub fn release(&mut self) {
        self.activations.abandon_calls(SystemTime::now());
        self.send();
    }

    /// Follows a notice of the partition.
    pub fn notice(&mut self, notice: &Notice) {
        let now = SystemTime::now();
        match notice {
            Notice::Settled { frame, from, port, to, sent, taken, status } => {
                let settled = Settled { from, port, to, sent: *sent, status: *status };
                self.settled(*frame, &settled, taken.is_some(), now);
            }
            Notice::Started { elements, .. } => {
                if let Some(share) = &mut self.share {
                    share.started(u64::from(elements.unwrap_or(1)));
                }
            }
            Notice::SuperstepStarted { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Mutated { .. }
            | Notice::Committed { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. }
            | Notice::Ended { .. } => {}
        }
        self.activations.notice(notice, now);
        self.send();
    }

    /// A call begins.
    pub fn calling(&mut self, call: &CallKey, subject: Option<&CallSubject>) {
        self.activations.calling(call, subject, SystemTime::now());
        self.send();
    }

    /// A frame is opened, by the activation of `vertex` in `outer` that starts in the present superstep.
    pub fn opened(&mut self, frame: FrameId, spec: &GraphSpec, (outer, vertex): (FrameId, VertexName)) {
        let by = Place { frame: outer, vertex, superstep: self.superstep };
        self.activations.opened(frame, spec, by);
    }

    /// A frame is over.
    pub fn closed(&mut self, frame: FrameId) {
        self.activations.closed(frame);
    }

    /// The superstep's activations are about to start.
    pub fn begins(&mut self, superstep: u64) {
        if self.share.as_ref().is_some_and(|share| share.superstep == superstep) {
            return;
        }
        self.superstep = superstep;
        let start = self.committed_at.take().unwrap_or_else(SystemTime::now);
        let mut share = self.begin_share(start);
        for event in std::mem::take(&mut self.waiting) {
            share.draft.event(event, self.writing.limits);
        }
        self.share = Some(share);
    }

    fn begin_share(&self, start: SystemTime) -> Share {
        let counts = self.activations.open_in(self.superstep);
        Share::begin(&self.activations.over, (self.superstep, self.epoch), &self.worker, counts, start)
    }

    /// An activation of the partition is in the commit that [`Self::committed`] is told of next.
    pub fn completed(&mut self, id: &ActivationId, failure: Option<&Failure>, usage: &Usage) {
        if let Some(share) = &mut self.share {
            share.completed();
        }
        self.activations.completed(id, failure, usage, SystemTime::now());
    }

    /// Mutations of the commit have made this graph of a frame's.
    pub fn changed(&mut self, frame: FrameId, spec: &GraphSpec, removed: &[VertexName]) {
        self.activations.changed(frame, spec, removed);
    }

    /// A superstep is durable.
    pub fn committed(&mut self, superstep: u64) {
        let now = SystemTime::now();
        if self.superstep == superstep {
            for (draft, end) in std::mem::take(&mut self.former) {
                self.activations.over.finish(draft, end);
            }
        }
        if let Some(share) = self.share.take().filter(|share| share.superstep == superstep) {
            self.activations.over.finish(share.end(), now);
        }
        self.activations.committed(superstep);
        self.superstep = superstep + 1;
        self.committed_at = Some(now);
        self.send();
    }

    /// A message of `from` has come with this context.
    pub fn came(&mut self, frame: FrameId, from: &str, sent: u64, traceparent: &str) {
        let is =
            |place: &Place| place.frame == frame && place.superstep == sent && place.vertex.as_str() == from;
        if self.came.as_ref().is_some_and(|(place, text)| is(place) && text == traceparent) {
            return;
        }
        let Some(context) = context_of(traceparent) else { return };
        let place = Place { frame, vertex: from.into(), superstep: sent };
        self.activations.came(place.clone(), context);
        self.came = Some((place, traceparent.to_owned()));
    }

    fn settled(&mut self, frame: FrameId, settled: &Settled<'_>, taken: bool, now: SystemTime) {
        let event = settled.event(now);
        let Some(share) = &mut self.share else {
            self.waiting.push(event);
            return;
        };
        share.draft.event(event, self.writing.limits);
        if taken {
            share.took(self.activations.sender(&settled.sender(frame)), &self.activations.over);
        }
    }

    fn send(&mut self) {
        self.activations.over.take().into_iter().for_each(|span| self.outlet.send(span));
    }
}

impl WorkerPast {
    /// Follows a notice of the past.
    pub fn tell(&mut self, notice: &Notice) {
        match notice {
            Notice::Completed { activation, .. } | Notice::Cancelled { activation } => {
                if self.open.remove(&crate::activation::place_of(activation)) {
                    self.missed.push(notice.clone());
                }
            }
            Notice::Called(called) => {
                if self.calls.remove(&called.call) {
                    self.missed.push(notice.clone());
                }
            }
            Notice::Committed { superstep, .. } => {
                self.superstep = superstep + 1;
                if self.share == Some(*superstep) {
                    self.missed.push(notice.clone());
                }
            }
            Notice::SuperstepStarted { .. }
            | Notice::Started { .. }
            | Notice::Opened { .. }
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Settled { .. }
            | Notice::Mutated { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. }
            | Notice::Ended { .. } => {}
        }
        self.activations.notice(notice, SystemTime::now());
    }
}
