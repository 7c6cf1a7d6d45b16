//! The spans of a run and of its supersteps.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::Event;
use superstep_engine::{MessageStatus, Notice, RunStatus, Totals};
use superstep_graph::VertexName;

use crate::draft::Draft;
use crate::message::StatusCounts;
use crate::over::Over;
use crate::root::{self, Origin};
use crate::words;

/// The spans of a run and of its supersteps that are not over.
pub(crate) struct Supersteps {
    pub(crate) over: Over,
    root: Option<Draft>,
    superstep: Option<Superstep>,
    /// What has happened since the last commit, until it is known what that belongs to.
    waiting: Vec<Event>,
    counts: StatusCounts,
    all_counts: StatusCounts,
    committed_at: Option<SystemTime>,
}

struct Superstep {
    number: u64,
    draft: Draft,
    counts: StatusCounts,
}

impl Supersteps {
    pub(crate) fn new(over: Over, origin: &Origin) -> Self {
        let root = root::begin(over.ids.root(), origin);
        Self {
            over,
            root: Some(root),
            superstep: None,
            waiting: Vec::new(),
            counts: StatusCounts::default(),
            all_counts: StatusCounts::default(),
            committed_at: None,
        }
    }

    /// Follows a notice that came at `now`, apart from what became of a message.
    pub(crate) fn notice(&mut self, notice: &Notice, now: SystemTime) {
        match notice {
            Notice::SuperstepStarted { superstep, started, carried } => {
                self.started(*superstep, [*started, *carried], now);
            }
            Notice::JoinIncomplete { vertex, action, missing, .. } => {
                let missing: Vec<&str> = missing.iter().map(VertexName::as_str).collect();
                self.happened(
                    "superstep.join_incomplete",
                    [
                        ("superstep.vertex", vertex.to_string()),
                        ("superstep.join.action", words::action(*action).to_owned()),
                        ("superstep.join.missing", missing.join(", ")),
                    ],
                    now,
                );
            }
            Notice::Mutated { requester, mutation, verdict, .. } => {
                let (kind, object) = words::mutation(mutation);
                self.happened(
                    "superstep.mutation",
                    [
                        ("superstep.mutation.kind", kind.to_owned()),
                        ("superstep.mutation.object", object),
                        ("superstep.mutation.requester", requester.clone()),
                        ("superstep.mutation.verdict", words::verdict(verdict).to_owned()),
                    ],
                    now,
                );
            }
            Notice::Committed { completed, revision, .. } => {
                if let Some(Superstep { draft, .. }) = &mut self.superstep {
                    draft.count("superstep.completed", *completed);
                    draft.set("superstep.revision", revision.to_string());
                }
                self.end_superstep(now);
            }
            Notice::Paused | Notice::Suspended => self.committed_at = None,
            Notice::Ended { status, totals } => self.ended(status, totals, now),
            Notice::Started { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::Settled { .. }
            | Notice::Resumed { .. } => {}
        }
    }

    /// Counts messages that have come to a status.
    pub(crate) fn count(&mut self, status: MessageStatus, messages: u64) {
        self.all_counts.add(status, messages);
        let superstep = self.superstep.as_mut().map(|superstep| &mut superstep.counts);
        superstep.unwrap_or(&mut self.counts).add(status, messages);
    }

    /// Keeps an event of the present superstep.
    pub(crate) fn event(&mut self, event: Event) {
        match &mut self.superstep {
            Some(Superstep { draft, .. }) => draft.event(event, self.over.writing.limits),
            None => self.waiting.push(event),
        }
    }

    /// The superstep that is open.
    pub(crate) fn open(&self) -> Option<u64> {
        self.superstep.as_ref().map(|superstep| superstep.number)
    }

    /// What is told is of the present from here on, and what is open was begun by another process.
    pub(crate) fn resume(&mut self, now: SystemTime) {
        self.over.past = false;
        if let Some(Superstep { draft, .. }) = &mut self.superstep {
            draft.start = now;
            draft.set("superstep.resumed", true);
        }
    }

    /// What is told is of the present from here on, and the superstep that is open has begun when it did `before`;
    /// false if another one was open then.
    pub(crate) fn go_on(&mut self, before: &Self) -> bool {
        let Some(open) = &mut self.superstep else { return false };
        let Some(known) = before.superstep.as_ref().filter(|known| known.number == open.number) else {
            return false;
        };
        open.draft.start = known.draft.start;
        self.over.past = false;
        true
    }

    fn started(&mut self, number: u64, [started, carried]: [u64; 2], now: SystemTime) {
        self.end_superstep(now);
        let start = self.committed_at.take().unwrap_or(now);
        let ids = &self.over.ids;
        let mut draft = Draft::new(ids.superstep(number), ids.root(), "superstep", start);
        draft.count("superstep.number", number);
        draft.count("superstep.started", started);
        draft.count("superstep.carried_over", carried);
        for event in std::mem::take(&mut self.waiting) {
            draft.event(event, self.over.writing.limits);
        }
        self.superstep = Some(Superstep { number, draft, counts: std::mem::take(&mut self.counts) });
    }

    fn end_superstep(&mut self, now: SystemTime) {
        if let Some(Superstep { mut draft, counts, .. }) = self.superstep.take() {
            counts.write(&mut draft);
            self.over.finish(draft, now);
        }
        self.committed_at = Some(now);
    }

    /// Something that is no activation's has happened.
    fn happened<const N: usize>(
        &mut self,
        name: &'static str,
        attributes: [(&'static str, String); N],
        now: SystemTime,
    ) {
        let attributes = attributes.map(|(key, value)| KeyValue::new(key, value)).to_vec();
        self.event(Event::new(name, now, attributes, 0));
    }

    fn ended(&mut self, status: &RunStatus, totals: &Totals, now: SystemTime) {
        self.end_superstep(now);
        let Some(mut root) = self.root.take() else { return };
        for event in std::mem::take(&mut self.waiting) {
            root.event(event, self.over.writing.limits);
        }
        root::end(&mut root, status, totals, self.over.writing.content);
        self.all_counts.write(&mut root);
        self.over.finish(root, now);
    }
}
