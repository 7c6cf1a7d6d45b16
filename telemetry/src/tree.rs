//! From what a run tells to the spans of its trace.

use std::collections::BTreeMap;
use std::time::SystemTime;

use opentelemetry::trace::{Event, Link};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::SpanData;
use superstep_engine::{
    ActivationId, CallKey, Called, Epoch, Failure, FrameId, Notice, RunStatus, Totals, Usage,
};
use superstep_graph::{Mutation, Verdict, VertexName};
use superstep_runtime::CallSubject;

use crate::activation;
use crate::call::{self, CallSpan};
use crate::draft::Draft;
use crate::graphs::Graphs;
use crate::ids::{Place, TraceIds};
use crate::message::{Settled, StatusCounts};
use crate::root::{self, Origin};
use crate::settings::SpanLimits;
use crate::words;

/// How spans are written.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    pub(crate) scope: InstrumentationScope,
    pub(crate) limits: SpanLimits,
    pub(crate) content: bool,
}

/// The spans of one run that are not over, as far as this process knows it.
///
/// What a resumed run tells of its past is followed and gives no spans: the process that was there has sent
/// them. A span that was open then is sent by the process in which it ends.
pub(crate) struct SpanTree {
    writing: Writing,
    pub(crate) ids: TraceIds,
    graphs: Graphs,
    root: Option<Draft>,
    superstep: Option<(Draft, StatusCounts)>,
    /// What became of messages since the last commit, until it is known what that belongs to.
    waiting: Vec<Event>,
    counts: StatusCounts,
    all_counts: StatusCounts,
    committed_at: Option<SystemTime>,
    activations: BTreeMap<Place, Draft>,
    /// Links of activations that are about to start.
    links: BTreeMap<Place, Vec<Link>>,
    calls: BTreeMap<CallKey, Draft>,
    openers: BTreeMap<FrameId, Place>,
    /// Numbers the calls of this process.
    sent: u64,
    /// Whether what is told is of the past.
    past: bool,
    finished: Vec<SpanData>,
}

impl SpanTree {
    /// The tree of a run that begins, or that is resumed and tells its past first.
    pub(crate) fn new(origin: Origin, writing: Writing, past: bool) -> Self {
        let ids = TraceIds::of(&origin.run, origin.started_at);
        let root = root::begin(ids.root(), &origin);
        Self {
            writing,
            graphs: origin.graphs,
            root: Some(root),
            ids,
            superstep: None,
            waiting: Vec::new(),
            counts: StatusCounts::default(),
            all_counts: StatusCounts::default(),
            committed_at: None,
            activations: BTreeMap::new(),
            links: BTreeMap::new(),
            calls: BTreeMap::new(),
            openers: BTreeMap::new(),
            sent: 1 << 32,
            past,
            finished: Vec::new(),
        }
    }

    /// The spans that are over since the last time.
    pub(crate) fn take(&mut self) -> Vec<SpanData> {
        std::mem::take(&mut self.finished)
    }

    /// Follows a notice that came at `now`.
    pub(crate) fn notice(&mut self, notice: &Notice, now: SystemTime) {
        match notice {
            Notice::SuperstepStarted { superstep, started, carried } => {
                self.superstep_started(*superstep, [*started, *carried], now);
            }
            Notice::Started { activation, elements } => self.started(activation, *elements, now),
            Notice::Opened { frame, graph, by } => {
                self.graphs.opened(*frame, graph);
                let (vertex, superstep) = (by.vertex.clone(), by.superstep);
                self.openers.insert(*frame, Place { frame: by.frame, vertex, superstep });
            }
            Notice::Called(called) => self.called(called, now),
            Notice::Retrying { activation, attempts, failure } => {
                self.retrying(activation, *attempts, failure, now);
            }
            Notice::Asked { id, .. } => {
                let attributes = vec![KeyValue::new("superstep.question", id.to_string())];
                let event = Event::new("superstep.question", now, attributes, 0);
                self.at_activation(&id.activation, event);
            }
            Notice::Completed { activation, failure, usage, .. } => {
                self.completed(activation, failure.as_ref(), usage, now);
            }
            Notice::Cancelled { activation } => self.cancelled(activation, now),
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
            Notice::Settled { frame, from, port, to, sent, taken, status } => {
                let settled = Settled { from, port, to, sent: *sent, status: *status };
                self.settled(*frame, &settled, *taken, now);
            }
            Notice::Mutated { frame, requester, mutation, verdict } => {
                self.mutated(*frame, requester, (mutation, verdict), now);
            }
            Notice::Committed { completed, revision, .. } => {
                if let Some((draft, _)) = &mut self.superstep {
                    draft.count("superstep.completed", *completed);
                    draft.set("superstep.revision", revision.to_string());
                }
                self.end_superstep(now);
            }
            Notice::Paused => self.committed_at = None,
            Notice::Resumed { epoch } => self.resumed(*epoch, now),
            Notice::Ended { status, totals } => self.ended(status, totals, now),
        }
    }

    fn mutated(
        &mut self,
        frame: FrameId,
        requester: &str,
        (mutation, verdict): (&Mutation, &Verdict),
        now: SystemTime,
    ) {
        if *verdict == Verdict::Applied {
            self.graphs.mutated(frame, mutation);
        }
        let (kind, object) = words::mutation(mutation);
        self.happened(
            "superstep.mutation",
            [
                ("superstep.mutation.kind", kind.to_owned()),
                ("superstep.mutation.object", object),
                ("superstep.mutation.requester", requester.to_owned()),
                ("superstep.mutation.verdict", words::verdict(verdict).to_owned()),
            ],
            now,
        );
    }

    fn resumed(&mut self, epoch: Epoch, now: SystemTime) {
        self.past = false;
        self.sent = epoch.0 << 32;
        let open = self.activations.values_mut();
        open.chain(self.superstep.iter_mut().map(|(draft, _)| draft)).for_each(|draft| {
            draft.start = now;
            draft.set("superstep.resumed", true);
        });
    }

    /// A call begins.
    pub(crate) fn calling(&mut self, call: &CallKey, subject: Option<&CallSubject>, now: SystemTime) {
        let draft = self.call_span(call, now).begin(subject, "outside");
        if let Some(mut before) = self.calls.insert(call.clone(), draft) {
            before.fail("abandoned", None);
            self.finish(before, now);
        }
    }

    fn call_span<'a>(&mut self, call: &'a CallKey, at: SystemTime) -> CallSpan<'a> {
        self.sent += 1;
        let id = self.ids.call(call, self.sent);
        let parent = self.ids.activation(&place_of(&call.activation));
        CallSpan { id, parent, call, at, content: self.writing.content }
    }

    fn called(&mut self, called: &Called, now: SystemTime) {
        let Called { call, target, outcome } = called;
        // A person may tell what became of a call that another process had made.
        let draft = self.calls.remove(call);
        let mut draft = draft.unwrap_or_else(|| self.call_span(call, now).begin(None, target));
        call::end(&mut draft, target, outcome, self.writing.content);
        self.finish(draft, now);
    }

    fn superstep_started(&mut self, superstep: u64, [started, carried]: [u64; 2], now: SystemTime) {
        self.end_superstep(now);
        let start = self.committed_at.take().unwrap_or(now);
        let mut draft = Draft::new(self.ids.superstep(superstep), self.ids.root(), "superstep", start);
        draft.count("superstep.number", superstep);
        draft.count("superstep.started", started);
        draft.count("superstep.carried_over", carried);
        for event in std::mem::take(&mut self.waiting) {
            draft.event(event, self.writing.limits);
        }
        self.superstep = Some((draft, std::mem::take(&mut self.counts)));
    }

    fn end_superstep(&mut self, now: SystemTime) {
        if let Some((mut draft, counts)) = self.superstep.take() {
            counts.write(&mut draft);
            self.finish(draft, now);
        }
        self.committed_at = Some(now);
    }

    fn started(&mut self, activation: &ActivationId, elements: Option<u32>, now: SystemTime) {
        let place = place_of(activation);
        let mut draft = self.activation(activation, now);
        draft.set_if("superstep.elements", elements.map(i64::from));
        for link in self.links.remove(&place).unwrap_or_default() {
            draft.link(link, self.writing.limits);
        }
        self.activations.insert(place, draft);
    }

    fn activation(&self, activation: &ActivationId, start: SystemTime) -> Draft {
        let parent = match self.openers.get(&activation.frame) {
            Some(opener) => self.ids.activation(opener),
            None => self.ids.superstep(activation.superstep),
        };
        let id = self.ids.activation(&place_of(activation));
        let executed = self.graphs.executed(activation.frame, &activation.vertex);
        activation::begin(
            Draft::new(id, parent, activation::name(activation, executed), start),
            activation,
            executed,
        )
    }

    fn at_activation(&mut self, activation: &ActivationId, event: Event) {
        if let Some(draft) = self.activations.get_mut(&place_of(activation)) {
            draft.event(event, self.writing.limits);
        }
    }

    fn retrying(&mut self, activation: &ActivationId, attempts: u32, failure: &Failure, now: SystemTime) {
        let mut attributes = vec![
            KeyValue::new("superstep.activation", activation.to_string()),
            KeyValue::new("superstep.attempts", i64::from(attempts)),
            KeyValue::new("error.type", words::class(failure.class)),
        ];
        if self.writing.content {
            attributes.push(KeyValue::new("exception.message", failure.message.clone()));
        }
        self.at_activation(activation, Event::new("superstep.retry", now, attributes, 0));
    }

    fn completed(
        &mut self,
        activation: &ActivationId,
        failure: Option<&Failure>,
        usage: &Usage,
        now: SystemTime,
    ) {
        // A join that can never be complete fails its vertex without a start.
        let draft = self.activations.remove(&place_of(activation));
        let mut draft = draft.unwrap_or_else(|| self.activation(activation, now));
        if usage.calls > 0 {
            draft.count("superstep.usage.calls", usage.calls);
            draft.count("superstep.usage.tokens", usage.tokens());
        }
        if let Some(failure) = failure {
            let message = self.writing.content.then(|| failure.message.clone());
            draft.fail(words::class(failure.class), message);
        }
        self.finish(draft, now);
    }

    fn cancelled(&mut self, activation: &ActivationId, now: SystemTime) {
        // One that was cancelled before it started has no span.
        let Some(mut draft) = self.activations.remove(&place_of(activation)) else { return };
        draft.fail("cancelled", None);
        self.finish(draft, now);
    }

    fn settled(&mut self, frame: FrameId, settled: &Settled<'_>, taken: Option<u64>, now: SystemTime) {
        self.all_counts.add(settled.status);
        let event = settled.event(now);
        match &mut self.superstep {
            Some((draft, counts)) => {
                counts.add(settled.status);
                draft.event(event, self.writing.limits);
            }
            None => {
                self.counts.add(settled.status);
                self.waiting.push(event);
            }
        }
        let Some(superstep) = taken else { return };
        let sender = Place { frame, vertex: settled.from.clone(), superstep: settled.sent };
        let link = settled.link(self.ids.context(self.ids.activation(&sender)));
        let taker = Place { frame, vertex: settled.to.clone(), superstep };
        match self.activations.get_mut(&taker) {
            Some(draft) => draft.link(link, self.writing.limits),
            None => self.links.entry(taker).or_default().push(link),
        }
    }

    /// Something that is no activation's has happened.
    fn happened<const N: usize>(
        &mut self,
        name: &'static str,
        attributes: [(&'static str, String); N],
        now: SystemTime,
    ) {
        let attributes = attributes.map(|(key, value)| KeyValue::new(key, value)).to_vec();
        let event = Event::new(name, now, attributes, 0);
        match &mut self.superstep {
            Some((draft, _)) => draft.event(event, self.writing.limits),
            None => self.waiting.push(event),
        }
    }

    fn ended(&mut self, status: &RunStatus, totals: &Totals, now: SystemTime) {
        self.end_superstep(now);
        for mut draft in std::mem::take(&mut self.calls).into_values() {
            draft.fail("abandoned", None);
            self.finish(draft, now);
        }
        for mut draft in std::mem::take(&mut self.activations).into_values() {
            draft.fail("cancelled", None);
            self.finish(draft, now);
        }
        let Some(mut root) = self.root.take() else { return };
        for event in std::mem::take(&mut self.waiting) {
            root.event(event, self.writing.limits);
        }
        root::end(&mut root, status, totals, self.writing.content);
        self.all_counts.write(&mut root);
        self.finish(root, now);
    }

    fn finish(&mut self, draft: Draft, now: SystemTime) {
        if !self.past {
            self.finished.push(draft.finish(&self.ids, &self.writing.scope, now));
        }
    }
}

fn place_of(activation: &ActivationId) -> Place {
    Place { frame: activation.frame, vertex: activation.vertex.clone(), superstep: activation.superstep }
}
