//! From what a run tells to the spans of its trace, where one process works on it.

use std::time::SystemTime;

use opentelemetry_sdk::trace::SpanData;
use superstep_engine::{CallKey, Notice};
use superstep_runtime::CallSubject;

use crate::activations::Activations;
use crate::graphs::Graphs;
use crate::message::Settled;
use crate::over::{Over, Writing};
use crate::root::Origin;
use crate::supersteps::Supersteps;

/// The spans of one run that are not over, as far as this process knows it.
pub(crate) struct SpanTree {
    supersteps: Supersteps,
    activations: Activations,
}

impl SpanTree {
    /// The tree of a run that begins, or that is resumed and tells its past first.
    pub(crate) fn new(origin: &Origin, graphs: Graphs, writing: &Writing, past: bool) -> Self {
        let over = || Over::new(origin.ids(), writing.clone(), past);
        Self {
            supersteps: Supersteps::new(over(), origin),
            activations: Activations::new(over(), graphs, None),
        }
    }

    /// The spans that are over since the last time.
    pub(crate) fn take(&mut self) -> Vec<SpanData> {
        let mut spans = self.activations.over.take();
        spans.append(&mut self.supersteps.over.take());
        spans
    }

    /// Follows a notice that came at `now`.
    pub(crate) fn notice(&mut self, notice: &Notice, now: SystemTime) {
        if let Notice::Settled { from, port, to, sent, status, .. } = notice {
            self.supersteps.count(*status, 1);
            self.supersteps.event(Settled { from, port, to, sent: *sent, status: *status }.event(now));
        }
        if let Notice::Resumed { epoch } = notice {
            self.supersteps.resume(now);
            self.activations.resume(*epoch, now);
        }
        self.supersteps.notice(notice, now);
        self.activations.notice(notice, now);
    }

    /// A call begins.
    pub(crate) fn calling(&mut self, call: &CallKey, subject: Option<&CallSubject>, now: SystemTime) {
        self.activations.calling(call, subject, now);
    }
}
