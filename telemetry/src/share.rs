//! What one worker does in one superstep, as a span.

use std::collections::HashSet;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, SpanId};
use superstep_engine::Epoch;

use crate::draft::Draft;
use crate::over::Over;

/// The part of a superstep that a worker has in a term, which is not over.
pub(crate) struct Share {
    pub(crate) superstep: u64,
    pub(crate) draft: Draft,
    started: u64,
    carried: u64,
    completed: u64,
    taken: u64,
    senders: HashSet<SpanId>,
}

impl Share {
    /// One in which so many groups are carried over from before, and activations have started.
    pub(crate) fn begin(
        over: &Over,
        (superstep, epoch): (u64, Epoch),
        worker: &str,
        [carried, started]: [u64; 2],
        start: SystemTime,
    ) -> Self {
        let ids = &over.ids;
        let id = ids.share(superstep, worker, epoch);
        let mut draft = Draft::new(id, ids.superstep(superstep), "superstep worker", start);
        draft.count("superstep.number", superstep);
        draft.set("superstep.worker", worker.to_owned());
        Self { superstep, draft, started, carried, completed: 0, taken: 0, senders: HashSet::new() }
    }

    /// Activations start.
    pub(crate) fn started(&mut self, activations: u64) {
        self.started += activations;
    }

    /// An activation is in the commit.
    pub(crate) fn completed(&mut self) {
        self.completed += 1;
    }

    /// An activation takes a message of this sender.
    pub(crate) fn took(&mut self, sender: SpanContext, over: &Over) {
        self.taken += 1;
        if self.senders.insert(sender.span_id()) {
            self.draft.link(Link::new(sender, Vec::new(), 0), over.writing.limits);
        }
    }

    /// The span, with all that it says.
    pub(crate) fn end(self) -> Draft {
        let mut draft = self.draft;
        draft.count("superstep.started", self.started);
        draft.count("superstep.carried_over", self.carried);
        draft.count("superstep.completed", self.completed);
        draft.count("superstep.messages.taken", self.taken);
        draft
    }
}
