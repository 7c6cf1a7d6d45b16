//! The workers that attend to a leader.

use std::collections::BTreeSet;
use std::sync::Arc;

use superstep_proto::v1;
use superstep_proto::v1::from_leader::Said;
use tokio::sync::mpsc;

use crate::pieces::tell_worker;

/// A stream of a worker to its leader. The same worker has another one after it was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Connection(pub(crate) u64);

/// A worker that attends.
#[derive(Clone, Debug)]
pub(crate) struct Attendant {
    pub(crate) connection: Connection,
    pub(crate) name: String,
    pub(crate) incarnation: String,
    pub(crate) address: String,
    pub(crate) labels: BTreeSet<String>,
    /// Whether it can start a superstep that it delivers.
    pub(crate) starts_at_once: bool,
    pub(crate) out: mpsc::UnboundedSender<v1::FromLeader>,
    pub(crate) leaving: bool,
    /// How often it has refused what was of a term that is over, as it said last.
    pub(crate) stale_refused: u64,
}

impl Attendant {
    /// Tells the worker something. If it is gone, everybody hears of it.
    pub(crate) fn say(&self, said: Said) {
        if !tell_worker(&self.out, said) {
            tracing::debug!(worker = self.name, "a worker is gone that is told something");
        }
    }
}

/// The workers, by name.
pub(crate) type Members = Arc<[Attendant]>;

/// Who attends.
#[derive(Default)]
pub(crate) struct Roster {
    attendants: Vec<Attendant>,
}

impl Roster {
    /// A worker has come. If it was there before, that process is gone.
    pub(crate) fn attach(&mut self, attendant: Attendant) {
        self.attendants.retain(|other| other.name != attendant.name);
        self.attendants.push(attendant);
        self.attendants.sort_by(|one, two| one.name.cmp(&two.name));
    }

    /// A stream has ended; the name of the worker, if that was its present one.
    pub(crate) fn detach(&mut self, connection: Connection) -> Option<String> {
        let at = self.attendants.iter().position(|one| one.connection == connection)?;
        Some(self.attendants.remove(at).name)
    }

    /// A worker lives, and has refused so much that was of a term that is over.
    pub(crate) fn beats(&mut self, connection: Connection, stale_refused: u64) {
        if let Some(one) = self.attendants.iter_mut().find(|one| one.connection == connection) {
            one.stale_refused = stale_refused;
        }
    }

    /// A worker wants to be relieved of what it has.
    pub(crate) fn leaves(&mut self, connection: Connection) {
        if let Some(one) = self.attendants.iter_mut().find(|one| one.connection == connection) {
            one.leaving = true;
        }
    }

    /// Lets those go that want to and are free; whether any does. The leader itself, `me`, is the last of them.
    pub(crate) fn dismiss(&mut self, me: &str, is_free: impl Fn(Connection) -> bool) -> bool {
        let before = self.attendants.len();
        let others_leave = self.attendants.iter().any(|one| one.leaving && one.name != me);
        self.attendants.retain(|one| {
            let goes = one.leaving && is_free(one.connection) && (one.name != me || !others_leave);
            if goes {
                tracing::info!(worker = one.name, "a worker is dismissed");
                one.say(Said::Dismissed(v1::Dismissed {}));
            }
            !goes
        });
        self.attendants.len() < before
    }

    /// Who is there, by name.
    pub(crate) fn members(&self) -> Members {
        self.attendants.clone().into()
    }
}
