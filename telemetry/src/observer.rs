//! What watches a run and hands over the spans that are over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use superstep_engine::{CallKey, Notice};
use superstep_runtime::{CallSubject, Observer};

use crate::traces::Outlet;
use crate::tree::SpanTree;

/// Watches one run.
pub(crate) struct Watching {
    tree: Mutex<SpanTree>,
    outlet: Arc<Outlet>,
}

impl Watching {
    pub(crate) fn new(tree: SpanTree, outlet: Arc<Outlet>) -> Self {
        Self { tree: Mutex::new(tree), outlet }
    }

    fn follow(&self, step: impl FnOnce(&mut SpanTree, SystemTime)) {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        step(&mut tree, SystemTime::now());
        for span in tree.take() {
            self.outlet.send(span);
        }
    }
}

impl Observer for Watching {
    fn notice(&self, notice: &Notice) {
        self.follow(|tree, now| tree.notice(notice, now));
    }

    fn calling(&self, call: &CallKey, subject: Option<&CallSubject>) {
        self.follow(|tree, now| tree.calling(call, subject, now));
    }

    fn watches_calls(&self) -> bool {
        true
    }
}
