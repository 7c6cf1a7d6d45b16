//! The trace of a run in a worker, if there is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_engine::{
    CallDecision, Command, Epoch, FrameId, Homes, MessageStatus, Notice, Partition, PartitionId, Report,
    RunStarted,
};
use superstep_proto::v1;
use superstep_runtime::Hands;
use superstep_telemetry::{MessageContexts, Traces, WorkerPast, WorkerSpans};

/// Who sends traces in this process, if it sends any, and under which name.
#[derive(Clone)]
pub(crate) struct Tracer {
    pub(crate) worker: Arc<str>,
    pub(crate) traces: Option<Arc<Traces>>,
}

/// The worker's part of the trace of one run, from term to term.
pub(super) struct Spans {
    tracer: Tracer,
    spans: Option<WorkerSpans>,
    /// Whether the leader wants to hear what became of messages.
    told: bool,
    /// What it has yet to hear of them.
    statuses: BTreeMap<MessageStatus, u64>,
    /// Whether nothing will be told behind that.
    last: bool,
    /// Whether the superstep begins once its messages are delivered.
    starts: bool,
}

impl Spans {
    pub(super) fn new(tracer: Tracer) -> Self {
        Self { tracer, spans: None, told: false, statuses: BTreeMap::new(), last: false, starts: false }
    }

    /// Whether anybody wants to hear what becomes of messages.
    pub(super) fn hear_of_messages(&self) -> bool {
        self.told || self.spans.is_some()
    }

    /// Whether the subjects of calls are wanted.
    pub(super) fn watches_calls(&self) -> bool {
        self.tracer.traces.is_some()
    }

    /// Begins to follow what the log tells of a run that a leader has assigned.
    pub(super) fn past(&mut self, started: &RunStarted, traceparent: &str) -> Option<WorkerPast> {
        self.told = !traceparent.is_empty();
        if !self.told {
            // This leader sends no trace.
            self.release();
            self.spans = None;
        } else if self.spans.is_none() {
            let Tracer { worker, traces } = &self.tracer;
            self.spans = traces.as_ref()?.of_worker(started, worker, traceparent);
        }
        self.spans.as_ref().map(WorkerSpans::past)
    }

    /// Begins the term, in which this worker has the partition `me`.
    pub(super) fn take_up(&mut self, past: Option<WorkerPast>, epoch: u64, homes: &Homes, me: PartitionId) {
        (self.statuses, self.last, self.starts) = (BTreeMap::new(), false, false);
        if let (Some(spans), Some(past)) = (&mut self.spans, past) {
            spans.take_up(past, Epoch(epoch), |vertex| homes.of(vertex) == me);
        }
    }

    /// The trace, for log lines.
    pub(super) fn trace(&self) -> Option<String> {
        self.spans.as_ref().map(WorkerSpans::trace)
    }

    /// The contexts with which messages travel.
    pub(super) fn contexts(&self) -> Option<MessageContexts> {
        self.spans.as_ref().map(WorkerSpans::contexts)
    }

    /// Follows a command that the partition is about to take in.
    pub(super) fn command(&mut self, partition: &Partition, command: &Command) {
        if let Command::End(_) = command {
            self.last = self.told;
        }
        let Some(spans) = &mut self.spans else { return };
        match command {
            Command::Start(start) => {
                spans.begins(start.superstep);
                start.closed.iter().for_each(|closing| spans.closed(closing.frame));
            }
            Command::Open(openings) => {
                for opening in openings {
                    let Some((outer, at)) = opening.parent.map(|(place, _)| place) else { continue };
                    let Some(topology) = partition.topology(outer) else { continue };
                    let vertex = topology.vertex(at).name.clone();
                    spans.opened(opening.frame, opening.graph.spec(), (outer, vertex));
                }
            }
            Command::Commit(committed) => {
                let completed = committed.completed.iter();
                for (id, failure, usage) in completed.filter_map(|place| partition.completed(*place)) {
                    spans.completed(id, failure, &usage);
                }
                for (frame, graph, removed) in &committed.graphs {
                    spans.changed(*frame, graph.spec(), removed);
                }
                spans.committed(committed.superstep);
            }
            Command::Deliver { starts, .. } => self.starts = *starts,
            Command::Answer(_) | Command::Reserved { .. } | Command::End(_) => {}
        }
    }

    /// Follows a notice of the partition.
    pub(super) fn notice(&mut self, notice: &Notice) {
        if let (Notice::Settled { status, .. }, true) = (notice, self.told) {
            *self.statuses.entry(*status).or_default() += 1;
        }
        if let Some(spans) = &mut self.spans {
            spans.notice(notice);
        }
    }

    /// Follows what the partition reports.
    pub(super) fn report(&mut self, report: &Report) {
        let Some(spans) = &mut self.spans else { return };
        match report {
            Report::Asked { id, question } => {
                spans.notice(&Notice::Asked { id: id.clone(), question: question.clone() });
            }
            Report::Delivered { superstep, .. } if std::mem::take(&mut self.starts) => {
                spans.begins(*superstep);
            }
            Report::Delivered { .. }
            | Report::Started { .. }
            | Report::Completed(_)
            | Report::Suspension { .. }
            | Report::Reserve { .. }
            | Report::Settle { .. }
            | Report::LimitReached(_) => {}
        }
    }

    /// A program is about to be told how to go on with a call: one that makes it already began it before.
    pub(super) fn calling(&mut self, hands: &mut Hands, ticket: u32, decision: &CallDecision) {
        if let (CallDecision::Perform { call, .. }, Some(spans)) = (decision, &mut self.spans)
            && hands.is_to_begin(ticket)
        {
            spans.calling(call, hands.subject(ticket));
        }
    }

    /// Messages have come, with the contexts of those who sent them.
    pub(super) fn came(&mut self, batch: &v1::Batch) {
        let Some(spans) = &mut self.spans else { return };
        for message in batch.messages.iter().filter(|message| !message.traceparent.is_empty()) {
            if let Some(from) = batch.names.get(message.from as usize) {
                spans.came(FrameId(message.frame), from, message.sent, &message.traceparent);
            }
        }
    }

    /// What the leader has yet to hear of messages, and whether it hears nothing behind that.
    pub(super) fn settled(&mut self) -> (Option<v1::Statuses>, bool) {
        let statuses = std::mem::take(&mut self.statuses);
        let settled = (!statuses.is_empty()).then(|| superstep_wire::statuses(&statuses));
        (settled, std::mem::take(&mut self.last))
    }

    /// Whether the leader waits for what is to be told of messages.
    pub(super) fn is_last(&self) -> bool {
        self.last
    }

    /// The term is over.
    pub(super) fn let_go(&mut self) {
        if let Some(spans) = &mut self.spans {
            spans.let_go();
        }
    }

    /// The run is not this worker's any more.
    pub(super) fn release(&mut self) {
        if let Some(spans) = &mut self.spans {
            spans.release();
        }
    }
}
