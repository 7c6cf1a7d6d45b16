//! One note of all runs that have ended, so that a store of many is listed without opening a file for each.
//!
//! It is a copy of the notes beside the logs, and believed as little: a run is taken from it only while the
//! stamp of its log is the one that it had.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use superstep_engine::Record;
use superstep_store::{RunEntry, RunName, Stamp, Store};

use super::{FORMAT, NOTING, Note, SETTLED, since_1970};

/// The name of the note.
const NAME: &str = "runs";
/// A store of fewer runs is listed as fast without it.
const LEAST: usize = 256;

/// What is known of runs that have ended.
#[derive(Default)]
pub(super) struct Index {
    format: u32,
    runs: BTreeMap<String, Indexed>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Indexed {
    stamp: Stamp,
    note: Note,
}

/// The index as it is written.
#[derive(Serialize, Deserialize)]
struct Written<R> {
    format: u32,
    runs: R,
}

impl Index {
    /// The index of a store of so many runs.
    pub(super) fn of(store: &Store<Record>, runs: usize) -> Self {
        if runs < LEAST {
            return Self::default();
        }
        let bytes = store.shared_note(NAME).unwrap_or_else(|error| {
            tracing::debug!(%error, "the index of the runs cannot be read");
            None
        });
        // One that is cut short, or of another version, is as good as none.
        let written = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match written {
            Some(Written { format, runs }) if format == FORMAT => Self { format, runs },
            Some(_) | None => Self { format: FORMAT, runs: BTreeMap::new() },
        }
    }

    /// What is known of a run that has the log that it had.
    pub(super) fn find(&self, store: &Store<Record>, name: &RunName) -> Option<(RunEntry, Note)> {
        let Indexed { stamp, note } = self.runs.get(name.as_str())?;
        if store.stamp(name).ok()?? != *stamp {
            return None;
        }
        let modified = std::time::SystemTime::UNIX_EPOCH + note.modified;
        let entry = RunEntry { name: name.clone(), bytes: note.bytes, created: modified, modified };
        Some((entry, note.clone()))
    }

    /// What is worth to be known of a run the next time: only of one that has ended, and that is told by its stamp as a
    /// whole.
    pub(super) fn learnt(&self, store: &Store<Record>, entry: &RunEntry, note: &Note) -> Option<Learnt> {
        let settled = entry.modified.elapsed().is_ok_and(|since| since > SETTLED + NOTING);
        if self.format != FORMAT || !settled || !note.has_ended() || note.left {
            return None;
        }
        let stamp = store.stamp(&entry.name).ok()??;
        let whole = stamp.bytes == entry.bytes && stamp.modified == since_1970(entry.modified);
        whole.then(|| Learnt(entry.name.to_string(), Indexed { stamp, note: note.clone() }))
    }

    /// Keeps what was learnt, once it is worth a write of the whole.
    pub(super) fn keep(self, store: &Store<Record>, learnt: Vec<Learnt>, names: &[RunName]) {
        if self.format != FORMAT || learnt.len() * 100 < names.len() {
            return;
        }
        let Self { format, mut runs } = self;
        runs.retain(|run, _| names.binary_search_by(|name| name.as_str().cmp(run)).is_ok());
        runs.extend(learnt.into_iter().map(|Learnt(name, indexed)| (name, indexed)));
        let bytes = serde_json::to_vec(&Written { format, runs }).expect("an index has string keys only");
        if let Err(error) = store.keep_shared_note(NAME, &bytes) {
            tracing::debug!(%error, "the index of the runs cannot be kept");
        }
    }
}

/// What the index did not have.
pub(super) struct Learnt(String, Indexed);
