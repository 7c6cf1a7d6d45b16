//! The spans that the leader of a run sends, where several workers work on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use superstep_engine::{Epoch, MessageStatus, Notice};

use crate::context::traceparent;
use crate::over::{Over, Writing};
use crate::root::Origin;
use crate::supersteps::Supersteps;
use crate::traces::Outlet;

/// The span of a run and those of its supersteps, from term to term of a leader.
///
/// A term begins with what the log tells of the past ([`Self::past`], [`Self::take_up`]); then come the notices of
/// its coordinator, and what workers tell of messages. What ended between two terms is sent too, if it was open here.
pub struct LeaderSpans {
    origin: Origin,
    writing: Writing,
    outlet: Arc<Outlet>,
    supersteps: Supersteps,
    /// The partitions that have more to tell of messages.
    untold: BTreeSet<u32>,
    /// The end of the run, and when it came.
    ended: Option<(Notice, SystemTime)>,
}

/// What the log of a run tells a leader of its past.
pub struct LeaderPast {
    supersteps: Supersteps,
    /// The superstep that was open before.
    open: Option<u64>,
    /// What has ended it.
    missed: Option<Notice>,
    /// The end of the run.
    ended: Option<Notice>,
}

impl LeaderSpans {
    pub(crate) fn new(origin: Origin, writing: Writing, outlet: Arc<Outlet>) -> Self {
        let over = Over::new(origin.ids(), writing.clone(), true);
        let supersteps = Supersteps::new(over, &origin);
        Self { origin, writing, outlet, supersteps, untold: BTreeSet::new(), ended: None }
    }

    /// The context of the run's span, for the workers.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let ids = &self.supersteps.over.ids;
        traceparent(&ids.context(ids.root()))
    }

    /// The trace, for log lines.
    #[must_use]
    pub fn trace(&self) -> String {
        self.supersteps.over.ids.trace().to_string()
    }

    /// Begins to follow what the log tells.
    #[must_use]
    pub fn past(&self) -> LeaderPast {
        let over = Over::new(self.origin.ids(), self.writing.clone(), true);
        let supersteps = Supersteps::new(over, &self.origin);
        LeaderPast { supersteps, open: self.supersteps.open(), missed: None, ended: None }
    }

    /// Begins a term, behind what the log has told, with so many partitions.
    pub fn take_up(&mut self, past: LeaderPast, epoch: Epoch, partitions: u32) {
        let now = SystemTime::now();
        if let Some(missed) = past.missed {
            self.supersteps.notice(&missed, now);
        }
        self.send();
        let before = std::mem::replace(&mut self.supersteps, past.supersteps);
        if epoch.0 == 1 {
            self.supersteps.over.past = false;
        } else if !self.supersteps.go_on(&before) {
            self.supersteps.resume(now);
        }
        self.untold = (0..partitions).collect();
        self.ended = None;
    }

    /// Follows a notice of the coordinator. The end of the run is kept until [`Self::finish`].
    pub fn notice(&mut self, notice: &Notice) {
        let now = SystemTime::now();
        if let Notice::Ended { .. } = notice {
            self.ended = Some((notice.clone(), now));
            return;
        }
        self.supersteps.notice(notice, now);
        self.send();
    }

    /// A partition tells how many messages have come to which status; whether that is all that it has to tell.
    pub fn settled(
        &mut self,
        partition: u32,
        statuses: impl IntoIterator<Item = (MessageStatus, u64)>,
        last: bool,
    ) {
        for (status, messages) in statuses {
            self.supersteps.count(status, messages);
        }
        if last {
            self.untold.remove(&partition);
        }
    }

    /// Whether every partition has told what became of its messages at the end of the run.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.untold.is_empty()
    }

    /// Sends the span of the run, if it has ended.
    pub fn finish(&mut self) {
        if let Some((notice, at)) = self.ended.take() {
            self.supersteps.notice(&notice, at);
            self.send();
        }
    }

    /// Sends the span of a run of whose end the log alone tells, and what of its supersteps was open here: whoever led it
    /// to its end has not sent that.
    pub fn finish_past(&mut self, mut past: LeaderPast) {
        let now = SystemTime::now();
        let ended = past.ended.take();
        if let Some(missed) = past.missed {
            self.supersteps.notice(&missed, now);
        }
        self.send();
        let before = std::mem::replace(&mut self.supersteps, past.supersteps);
        if !self.supersteps.go_on(&before) {
            self.supersteps.resume(now);
        }
        if let Some(ended) = ended {
            self.supersteps.notice(&ended, now);
        }
        self.send();
    }

    fn send(&mut self) {
        self.supersteps.over.take().into_iter().for_each(|span| self.outlet.send(span));
    }
}

impl LeaderPast {
    /// Follows a notice of the past.
    pub fn tell(&mut self, notice: &Notice) {
        match notice {
            Notice::Settled { status, .. } => self.supersteps.count(*status, 1),
            Notice::Committed { superstep, .. } => {
                if self.open == Some(*superstep) {
                    self.missed = Some(notice.clone());
                }
                self.supersteps.notice(notice, SystemTime::now());
            }
            Notice::Ended { .. } => self.ended = Some(notice.clone()),
            Notice::SuperstepStarted { .. }
            | Notice::Started { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Mutated { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. } => self.supersteps.notice(notice, SystemTime::now()),
        }
    }
}
