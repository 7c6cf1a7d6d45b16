//! Who counts the calls that are really made, beside the log that says which should be.

use std::collections::BTreeSet;
use std::sync::Mutex;

use superstep_engine::{CallKey, Notice, Record};
use superstep_graph::VertexName;
use superstep_runtime::{CallSubject, Observer};
use superstep_store::{RunName, Store, StoreError};

/// Sees the calls of a run that is driven once.
pub(super) struct Witness {
    /// The calls that the log had completed before.
    completed: BTreeSet<CallName>,
    /// Those that it had begun and not ended.
    open: BTreeSet<CallKey>,
    intruder: Option<Intruder>,
    seen: Mutex<Seen>,
}

/// Another process, which tries to take the run over.
pub(super) struct Intruder {
    /// While this vertex calls.
    pub(super) during: VertexName,
    /// Where the run is.
    pub(super) store: Store<Record>,
    /// The run.
    pub(super) run: RunName,
}

/// What was seen of the calls of one drive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Calls made.
    pub(super) made: u64,
    /// Of these, calls that had been completed before. None is right.
    pub(super) repeated: u64,
    /// Of these, calls that were under way at a crash.
    pub(super) resent: u64,
    /// Other processes that were refused the run.
    pub(super) refused: u64,
    calls: BTreeSet<CallKey>,
}

/// A call, whatever attempt makes it.
type CallName = (String, [u8; 16], u32);

fn name_of(key: &CallKey) -> CallName {
    (key.activation.to_string(), key.digest, key.occurrence)
}

impl Witness {
    /// A witness of a run that goes on from `records`.
    pub(super) fn after(records: &[Record], intruder: Option<Intruder>) -> Self {
        let (mut completed, mut open) = (BTreeSet::new(), BTreeSet::new());
        for record in records {
            if let Record::CallIntent { call, .. } = record {
                open.insert(call.clone());
            }
            if let Record::CallEnded { call, outcome } = record {
                open.remove(call);
                if outcome.answer.is_ok() {
                    completed.insert(name_of(call));
                }
            }
        }
        Self { completed, open, intruder, seen: Mutex::default() }
    }

    /// What it has seen.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().expect("nobody panics while he looks").clone()
    }
}

impl Observer for Witness {
    fn notice(&self, _: &Notice) {}

    fn calling(&self, call: &CallKey, _: Option<&CallSubject>) {
        let mut seen = self.seen.lock().expect("nobody panics while he looks");
        seen.made += 1;
        // The same call of the same attempt is made once in a process.
        let again = !seen.calls.insert(call.clone());
        seen.repeated += u64::from(again || self.completed.contains(&name_of(call)));
        seen.resent += u64::from(self.open.contains(call));
        if let Some(intruder) = &self.intruder
            && intruder.during == call.activation.vertex
        {
            let taken = intruder.store.open(&intruder.run, "intruder");
            seen.refused += u64::from(matches!(taken, Err(StoreError::Locked { .. })));
        }
    }
}
