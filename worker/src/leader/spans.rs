//! The trace of a run at its leader, if there is one.

use std::sync::Arc;
use std::time::Duration;

use superstep_engine::{Epoch, Notice, RunStarted};
use superstep_proto::v1;
use superstep_telemetry::{LeaderPast, LeaderSpans, Traces};
use tokio::time::Instant;

/// The leader's part of the trace of one run, from term to term.
pub(super) struct Spans {
    traces: Option<Arc<Traces>>,
    /// How long the end of a run waits for workers that have yet to tell what became of their messages.
    lost: Duration,
    spans: Option<LeaderSpans>,
    /// Until when the end of the run waits.
    until: Option<Instant>,
}

impl Spans {
    pub(super) fn new(traces: Option<Arc<Traces>>, lost: Duration) -> Self {
        Self { traces, lost, spans: None, until: None }
    }

    /// Begins to follow what the log of the run tells.
    pub(super) fn past(&mut self, started: &RunStarted) -> Option<LeaderPast> {
        if self.spans.is_none() {
            self.spans = self.traces.as_ref()?.of_leader(started);
        }
        self.spans.as_ref().map(LeaderSpans::past)
    }

    /// Begins a term of so many partitions.
    pub(super) fn take_up(&mut self, past: Option<LeaderPast>, epoch: u64, partitions: usize) {
        self.until = None;
        if let (Some(spans), Some(past)) = (&mut self.spans, past) {
            spans.take_up(past, Epoch(epoch), u32::try_from(partitions).unwrap_or(u32::MAX));
        }
    }

    /// The run has ended, as its log tells alone.
    pub(super) fn finish_past(&mut self, past: Option<LeaderPast>) {
        if let (Some(spans), Some(past)) = (&mut self.spans, past) {
            spans.finish_past(past);
        }
    }

    /// The context of the run's span; empty if there is no trace.
    pub(super) fn traceparent(&self) -> String {
        self.spans.as_ref().map(LeaderSpans::traceparent).unwrap_or_default()
    }

    /// The trace, for log lines.
    pub(super) fn trace(&self) -> Option<String> {
        self.spans.as_ref().map(LeaderSpans::trace)
    }

    /// Follows a notice of the coordinator.
    pub(super) fn notice(&mut self, notice: &Notice) {
        let Some(spans) = &mut self.spans else { return };
        spans.notice(notice);
        if matches!(notice, Notice::Ended { .. }) {
            self.until = Some(Instant::now() + self.lost);
        }
    }

    /// Takes in what a partition tells of its messages.
    pub(super) fn settled(&mut self, partition: u32, reports: &v1::Reports) {
        if let Some(spans) = &mut self.spans {
            let statuses = reports.settled.as_ref().map(superstep_wire::statuses_of).unwrap_or_default();
            spans.settled(partition, statuses, reports.last);
        }
    }

    /// Whether nothing more is to be waited for at the end of the run.
    pub(super) fn is_told(&self) -> bool {
        let is_late = self.until.is_some_and(|until| until <= Instant::now());
        is_late || self.spans.as_ref().is_none_or(LeaderSpans::is_told)
    }

    /// Until when the end of the run waits at most; `otherwise`, if it does not.
    pub(super) fn until(&self, otherwise: Instant) -> Instant {
        self.until.map_or(otherwise, |until| until.min(otherwise))
    }

    /// The run has ended.
    pub(super) fn finish(&mut self) {
        if let Some(spans) = &mut self.spans {
            spans.finish();
        }
    }
}
