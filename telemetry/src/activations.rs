//! The spans of activations and of their calls.

use std::collections::BTreeMap;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, Link, SpanContext};
use superstep_engine::{ActivationId, CallKey, Called, Epoch, Failure, FrameId, Notice, Usage};
use superstep_graph::{GraphSpec, Verdict, VertexName};
use superstep_runtime::CallSubject;

use crate::activation::{self, Activation};
use crate::call::{self, CallSpan};
use crate::draft::Draft;
use crate::graphs::Graphs;
use crate::ids::Place;
use crate::message::Settled;
use crate::over::Over;
use crate::words;

/// The spans of activations and calls that are not over, as far as this process knows them.
pub(crate) struct Activations {
    pub(crate) over: Over,
    graphs: Graphs,
    /// The worker that has them, where several work on the run.
    worker: Option<String>,
    open: BTreeMap<Place, Activation>,
    /// Links of activations that are about to start.
    links: BTreeMap<Place, Vec<Link>>,
    calls: BTreeMap<CallKey, Draft>,
    openers: BTreeMap<FrameId, Place>,
    /// The frames that are open, by who opened them.
    opened: BTreeMap<Place, Vec<FrameId>>,
    /// Senders whose spans are not those that follow from the run, as came with their messages.
    strangers: BTreeMap<Place, SpanContext>,
    /// Numbers the calls of activations that are over.
    late: u64,
}

impl Activations {
    pub(crate) fn new(over: Over, graphs: Graphs, worker: Option<String>) -> Self {
        Self {
            over,
            graphs,
            worker,
            open: BTreeMap::new(),
            links: BTreeMap::new(),
            calls: BTreeMap::new(),
            openers: BTreeMap::new(),
            opened: BTreeMap::new(),
            strangers: BTreeMap::new(),
            late: late(Epoch(1)),
        }
    }

    /// Follows a notice that came at `now`.
    pub(crate) fn notice(&mut self, notice: &Notice, now: SystemTime) {
        match notice {
            Notice::Started { activation, elements } => self.started(activation, *elements, now),
            Notice::Opened { frame, graph, by } => {
                self.graphs.opened(*frame, graph);
                let (vertex, superstep) = (by.vertex.clone(), by.superstep);
                self.open_by(*frame, Place { frame: by.frame, vertex, superstep });
            }
            Notice::Called(called) => self.called(called, now),
            Notice::Retrying { activation, attempts, failure } => {
                self.retrying(activation, *attempts, failure, now);
            }
            Notice::Asked { id, .. } => {
                let attributes = vec![KeyValue::new("superstep.question", id.to_string())];
                let event = Event::new("superstep.question", now, attributes, 0);
                self.at(&id.activation, event);
            }
            Notice::Completed { activation, failure, usage, .. } => {
                self.completed(activation, failure.as_ref(), usage, now);
            }
            Notice::Cancelled { activation } => self.cancelled(activation, now),
            Notice::Settled { frame, from, port, to, sent, taken, status } => {
                let settled = Settled { from, port, to, sent: *sent, status: *status };
                self.settled(*frame, &settled, *taken);
            }
            Notice::Mutated { frame, mutation, verdict: Verdict::Applied, .. } => {
                self.graphs.mutated(*frame, mutation);
            }
            Notice::Ended { .. } => self.ended(now),
            Notice::Committed { superstep, .. } => self.committed(*superstep),
            Notice::SuperstepStarted { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Mutated { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. } => {}
        }
    }

    /// A frame has this graph, and was opened by the activation at `by`.
    pub(crate) fn opened(&mut self, frame: FrameId, spec: &GraphSpec, by: Place) {
        self.graphs.opened_as(frame, spec);
        self.open_by(frame, by);
    }

    fn open_by(&mut self, frame: FrameId, by: Place) {
        self.opened.entry(by.clone()).or_default().push(frame);
        self.openers.insert(frame, by);
    }

    /// A frame is over: nothing starts in it any more, and nothing of it need be known.
    pub(crate) fn closed(&mut self, frame: FrameId) {
        self.graphs.closed(frame);
        self.links.retain(|place, _| place.frame != frame);
        self.strangers.retain(|place, _| place.frame != frame);
        let Some(by) = self.openers.remove(&frame) else { return };
        if let Some(frames) = self.opened.get_mut(&by) {
            frames.retain(|other| *other != frame);
            if frames.is_empty() {
                self.opened.remove(&by);
            }
        }
    }

    /// The activation at `place` is over, and so are the frames that it has opened.
    fn over_at(&mut self, place: &Place) -> Option<Activation> {
        for frame in self.opened.get(place).cloned().unwrap_or_default() {
            self.closed(frame);
        }
        self.open.remove(place)
    }

    /// A superstep is durable: what was to start in it has started.
    pub(crate) fn committed(&mut self, superstep: u64) {
        self.links.retain(|place, _| place.superstep > superstep);
    }

    /// Mutations have made this graph of a frame's.
    pub(crate) fn changed(&mut self, frame: FrameId, spec: &GraphSpec, removed: &[VertexName]) {
        self.graphs.changed(frame, spec, removed);
    }

    /// How many are open that started before `superstep`, and for how many activations those count that started in it.
    pub(crate) fn open_in(&self, superstep: u64) -> [u64; 2] {
        let before = self.open.keys().filter(|place| place.superstep < superstep).count();
        let started = self.open.iter().filter(|(place, _)| place.superstep == superstep);
        [before as u64, started.map(|(_, activation)| activation.weight).sum()]
    }

    /// Those that are open, and their calls.
    pub(crate) fn known(&self) -> (Vec<Place>, Vec<CallKey>) {
        (self.open.keys().cloned().collect(), self.calls.keys().cloned().collect())
    }

    /// What is told is of the present from here on, in a term that has just begun. Of those that are open the spans
    /// go on that were open `before` in this process, and the others were begun by another one. Those that are not
    /// `mine` are another process's.
    pub(crate) fn go_on(
        &mut self,
        before: &mut Self,
        epoch: Epoch,
        now: SystemTime,
        mine: impl Fn(&VertexName) -> bool,
    ) {
        self.over.past = false;
        self.late = late(epoch);
        self.links.clear();
        self.strangers = std::mem::take(&mut before.strangers);
        let openers = &self.openers;
        self.strangers.retain(|place, _| is_open(place.frame, openers));
        self.open.retain(|place, _| mine(&place.vertex));
        for (place, activation) in &mut self.open {
            match before.open.remove(place) {
                Some(known) => *activation = known,
                // The log of a run in its first term holds its start, and nobody has worked on it.
                None if epoch.0 == 1 => {}
                None => activation.resume(epoch, now),
            }
        }
        for (call, draft) in std::mem::take(&mut before.calls) {
            if self.open.contains_key(&activation::place_of(&call.activation)) {
                self.calls.insert(call, draft);
            } else {
                self.abandon(draft, now);
            }
        }
    }

    /// What is told is of the present from here on, and what is open was begun by another process.
    pub(crate) fn resume(&mut self, epoch: Epoch, now: SystemTime) {
        self.over.past = false;
        self.late = late(epoch);
        self.open.values_mut().for_each(|activation| activation.resume(epoch, now));
    }

    /// A call begins.
    pub(crate) fn calling(&mut self, call: &CallKey, subject: Option<&CallSubject>, now: SystemTime) {
        let draft = self.call(call, subject, "outside", now);
        if let Some(before) = self.calls.insert(call.clone(), draft) {
            self.abandon(before, now);
        }
    }

    /// The span of a call that begins.
    fn call(&mut self, call: &CallKey, subject: Option<&CallSubject>, target: &str, at: SystemTime) -> Draft {
        let place = activation::place_of(&call.activation);
        let sending = match self.open.get_mut(&place) {
            Some(activation) => activation.sending(call),
            None => {
                self.late += 1;
                self.late
            }
        };
        let ids = &self.over.ids;
        let (id, parent) = (ids.call(call, sending), ids.activation(&place));
        let content = self.over.writing.content;
        let mut draft = CallSpan { id, parent, call, at, content }.begin(subject, target);
        draft.set_if("superstep.worker", self.worker.clone());
        draft
    }

    fn called(&mut self, called: &Called, now: SystemTime) {
        let Called { call, target, outcome } = called;
        // A person may tell what became of a call that another process had made.
        let draft = self.calls.remove(call);
        let mut draft = draft.unwrap_or_else(|| self.call(call, None, target, now));
        call::end(&mut draft, target, outcome, self.over.writing.content);
        self.over.finish(draft, now);
    }

    /// A call whose end nobody waits for.
    fn abandon(&mut self, mut draft: Draft, now: SystemTime) {
        draft.fail("abandoned", None);
        self.over.finish(draft, now);
    }

    /// Calls that are under way end here for this process.
    pub(crate) fn abandon_calls(&mut self, now: SystemTime) {
        for draft in std::mem::take(&mut self.calls).into_values() {
            self.abandon(draft, now);
        }
    }

    fn started(&mut self, id: &ActivationId, elements: Option<u32>, now: SystemTime) {
        let place = activation::place_of(id);
        let mut draft = self.begin(id, now);
        draft.set_if("superstep.elements", elements.map(i64::from));
        for link in self.links.remove(&place).unwrap_or_default() {
            draft.link(link, self.over.writing.limits);
        }
        self.open.insert(place, Activation::new(draft, elements));
    }

    fn begin(&self, id: &ActivationId, start: SystemTime) -> Draft {
        let ids = &self.over.ids;
        let parent = match self.openers.get(&id.frame) {
            Some(opener) => ids.activation(opener),
            None => ids.superstep(id.superstep),
        };
        let executed = self.graphs.executed(id.frame, &id.vertex);
        let span = ids.activation(&activation::place_of(id));
        let draft = Draft::new(span, parent, activation::name(id, executed), start);
        let mut draft = activation::begin(draft, id, executed);
        draft.set_if("superstep.worker", self.worker.clone());
        draft
    }

    fn at(&mut self, id: &ActivationId, event: Event) {
        if let Some(activation) = self.open.get_mut(&activation::place_of(id)) {
            activation.draft.event(event, self.over.writing.limits);
        }
    }

    fn retrying(&mut self, id: &ActivationId, attempts: u32, failure: &Failure, now: SystemTime) {
        let mut attributes = vec![
            KeyValue::new("superstep.activation", id.to_string()),
            KeyValue::new("superstep.attempts", i64::from(attempts)),
            KeyValue::new("error.type", words::class(failure.class)),
        ];
        if self.over.writing.content {
            attributes.push(KeyValue::new("exception.message", failure.message.clone()));
        }
        self.at(id, Event::new("superstep.retry", now, attributes, 0));
    }

    /// An activation is in the commit.
    pub(crate) fn completed(
        &mut self,
        id: &ActivationId,
        failure: Option<&Failure>,
        usage: &Usage,
        now: SystemTime,
    ) {
        // A join that can never be complete fails its vertex without a start.
        let known = self.over_at(&activation::place_of(id)).map(|activation| activation.draft);
        let mut draft = known.unwrap_or_else(|| self.begin(id, now));
        if usage.calls > 0 {
            draft.count("superstep.usage.calls", usage.calls);
            draft.count("superstep.usage.tokens", usage.tokens());
        }
        if let Some(failure) = failure {
            let message = self.over.writing.content.then(|| failure.message.clone());
            draft.fail(words::class(failure.class), message);
        }
        self.over.finish(draft, now);
    }

    fn cancelled(&mut self, id: &ActivationId, now: SystemTime) {
        // One that was cancelled before it started has no span.
        let Some(Activation { mut draft, .. }) = self.over_at(&activation::place_of(id)) else { return };
        draft.fail("cancelled", None);
        self.over.finish(draft, now);
    }

    /// A sender's span came with its message: a link is made of that. A message of a frame that is over comes too late
    /// to be taken by anybody.
    pub(crate) fn came(&mut self, sender: Place, context: SpanContext) {
        if !is_open(sender.frame, &self.openers) {
            return;
        }
        if context.span_id() == self.over.ids.activation(&sender)
            && context.trace_id() == self.over.ids.trace()
        {
            self.strangers.remove(&sender);
        } else {
            self.strangers.insert(sender, context);
        }
    }

    /// The span of the activation that has sent a message.
    pub(crate) fn sender(&self, place: &Place) -> SpanContext {
        let ids = &self.over.ids;
        self.strangers.get(place).cloned().unwrap_or_else(|| ids.context(ids.activation(place)))
    }

    fn settled(&mut self, frame: FrameId, settled: &Settled<'_>, taken: Option<u64>) {
        let Some(superstep) = taken else { return };
        let link = settled.link(self.sender(&settled.sender(frame)));
        let taker = Place { frame, vertex: settled.to.clone(), superstep };
        match self.open.get_mut(&taker) {
            Some(activation) => activation.draft.link(link, self.over.writing.limits),
            None => self.links.entry(taker).or_default().push(link),
        }
    }

    fn ended(&mut self, now: SystemTime) {
        self.abandon_calls(now);
        for Activation { mut draft, .. } in std::mem::take(&mut self.open).into_values() {
            draft.fail("cancelled", None);
            self.over.finish(draft, now);
        }
    }
}

/// Whether a frame is open; the run's own graph always is.
fn is_open(frame: FrameId, openers: &BTreeMap<FrameId, Place>) -> bool {
    frame == FrameId::ROOT || openers.contains_key(&frame)
}

/// Where the numbers begin of calls whose activation is over in a term.
fn late(epoch: Epoch) -> u64 {
    (epoch.0 << 32) + (1 << 31)
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::TraceId;
    use superstep_engine::{Failure, MessageStatus};
    use superstep_graph::Port;

    use super::*;
    use crate::ids::TraceIds;
    use crate::over::Writing;
    use crate::settings::SpanLimits;

    fn activations() -> Activations {
        let scope = InstrumentationScope::builder("test").build();
        let writing = Writing { scope, limits: SpanLimits::default(), content: false };
        let over = Over::new(TraceIds::of("run", 7), writing, false);
        Activations::new(over, Graphs::of("main", std::iter::empty()), None)
    }

    fn id(vertex: &str, superstep: u64) -> ActivationId {
        ActivationId { frame: FrameId::ROOT, vertex: vertex.into(), incarnation: 0, superstep, element: None }
    }

    fn started(vertex: &str, superstep: u64) -> Notice {
        Notice::Started { activation: id(vertex, superstep), elements: None }
    }

    fn completed(vertex: &str, superstep: u64) -> Notice {
        let activation = id(vertex, superstep);
        Notice::Completed { activation, output: None, failure: None, usage: Usage::default() }
    }

    /// The activation of `b` takes a message of `a`; its links.
    fn linked(activations: &mut Activations) -> Vec<SpanContext> {
        let (from, to, port) = ("a".into(), "b".into(), Port::default());
        let (frame, sent, taken, status) = (FrameId::ROOT, 0, Some(1), MessageStatus::Delivered);
        let now = SystemTime::now();
        activations.notice(&Notice::Settled { frame, from, port, to, sent, taken, status }, now);
        activations.notice(&started("b", 1), now);
        activations.notice(&completed("b", 1), now);
        let spans = activations.over.take();
        spans.into_iter().flat_map(|span| span.links.links).map(|link| link.span_context).collect()
    }

    /// How many things are known of frames, and of links of activations that are about to start.
    fn known(activations: &Activations) -> [usize; 5] {
        let Activations { graphs, openers, opened, links, strangers, .. } = activations;
        [graphs.count(), openers.len(), opened.len(), links.len(), strangers.len()]
    }

    #[test]
    fn what_is_over_is_forgotten_however_many_frames_a_run_opens() {
        let inner = GraphSpec::default();
        let mut activations = activations();
        let now = SystemTime::now();
        let before = known(&activations);
        let mut frame = FrameId::ROOT;
        for superstep in 0..1_000 {
            activations.notice(&started("opener", superstep), now);
            let by = Place { frame: FrameId::ROOT, vertex: "opener".into(), superstep };
            // Two elements of a group, the first of which opens one inside.
            for by in [by.clone(), by.clone(), Place { frame: FrameId(frame.0 + 1), ..by }] {
                frame = FrameId(frame.0 + 1);
                activations.opened(frame, &inner, by);
            }
            let within = ActivationId { frame, ..id("within", superstep) };
            activations.notice(&Notice::Started { activation: within.clone(), elements: None }, now);
            let other = TraceIds::of("other", 7);
            let sender = Place { frame, vertex: "within".into(), superstep };
            let stranger = other.context(other.activation(&sender));
            activations.came(sender.clone(), stranger.clone());
            let (from, to, port) = ("within".into(), "never".into(), Port::default());
            let (sent, taken, status) = (superstep, Some(superstep), MessageStatus::Delivered);
            activations.notice(&Notice::Settled { frame, from, port, to, sent, taken, status }, now);
            activations.notice(&Notice::Cancelled { activation: within }, now);
            // The one inside is closed by whoever closes it, where several work on the run, the others with their opener.
            activations.closed(frame);
            // What comes of it late is of no use any more.
            activations.came(sender, stranger);
            activations.notice(&completed("opener", superstep), now);
            activations.committed(superstep);
            activations.over.take();
            assert_eq!(known(&activations), before, "superstep {superstep}");
        }
    }

    #[test]
    fn a_frame_that_ended_between_two_terms_is_forgotten() {
        let now = SystemTime::now();
        let mut before = activations();
        let empty = known(&before);
        let by = Place { frame: FrameId::ROOT, vertex: "opener".into(), superstep: 0 };
        before.opened(FrameId(1), &GraphSpec::default(), by);
        let sender = Place { frame: FrameId(1), vertex: "within".into(), superstep: 0 };
        let other = TraceIds::of("other", 7);
        before.came(sender.clone(), other.context(other.activation(&sender)));
        // The log tells the next term of none that is open.
        let mut next = activations();
        next.go_on(&mut before, Epoch(2), now, |_| true);
        assert_eq!(known(&next), empty);
    }

    #[test]
    fn a_link_is_made_of_the_context_that_came_with_the_message() {
        let sender = Place { frame: FrameId::ROOT, vertex: "a".into(), superstep: 0 };
        let mut activations = activations();
        let own = activations.over.ids.context(activations.over.ids.activation(&sender));
        assert_eq!(linked(&mut activations), std::slice::from_ref(&own), "none has come: it stayed here");
        let other = TraceIds::of("other", 7);
        let stranger = other.context(other.activation(&sender));
        activations.came(sender.clone(), stranger.clone());
        assert_eq!(linked(&mut activations), [stranger]);
        activations.came(sender, own.clone());
        assert_eq!(linked(&mut activations), [own]);
    }

    /// The spans of calls that were sent of `a`, by their ids.
    fn calls(activations: &mut Activations, epoch: Option<Epoch>) -> Vec<(String, bool)> {
        let call = CallKey { activation: id("a", 0), digest: [1; 16], occurrence: 0, attempt: 0 };
        let now = SystemTime::now();
        activations.notice(&started("a", 0), now);
        if let Some(epoch) = epoch {
            activations.resume(epoch, now);
        }
        activations.calling(&call, None, now);
        activations.calling(&call, None, now);
        let answer = Err(Failure::permanent("no"));
        let outcome = superstep_engine::CallOutcome { answer, usage: Usage::default() };
        let called = Called { call, target: "it".to_owned(), outcome };
        activations.notice(&Notice::Called(Box::new(called)), now);
        let spans = activations.over.take();
        assert!(spans.iter().all(|span| span.span_context.trace_id() != TraceId::INVALID));
        let is_abandoned = |key: &KeyValue| key.value.as_str() == "abandoned";
        spans
            .into_iter()
            .map(|span| (span.span_context.span_id().to_string(), span.attributes.iter().any(is_abandoned)))
            .collect()
    }

    #[test]
    fn each_sending_of_a_call_has_a_span_of_its_own_which_follows_from_the_run() {
        let once = calls(&mut activations(), None);
        assert_eq!(once, calls(&mut activations(), None));
        assert_eq!(once.iter().map(|(_, abandoned)| *abandoned).collect::<Vec<_>>(), [true, false]);
        let later = calls(&mut activations(), Some(Epoch(2)));
        let ids: std::collections::BTreeSet<&String> = once.iter().chain(&later).map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 4);
    }
}
