//! Messages whose payloads are kept elsewhere until a program wants to see them.
//!
//! A driver may hand in messages as references to what they say, so that an inbox holds more than the memory does. The
//! partition looks into messages for few vertices only; theirs come whole. For all others the driver fetches what the
//! program of a [`Job`] sees, before it runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use superstep_graph::{Program, Vertex, VertexName};

use super::{Job, Partition};
use crate::ids::FrameId;
use crate::message::{Routed, Target};
use crate::payload::{Payload, Reference};
use crate::program::{Failure, Received, Scene};

/// Whether the partition itself looks into the messages of a vertex, and not only its program.
fn takes_whole(vertex: &Vertex) -> bool {
    let opens = matches!(vertex.spec.program(), Some(Program::Graph(_)));
    opens || vertex.combiner.is_some() || vertex.spec.for_each.is_some()
}

/// Why a vertex fails that should have been given its messages whole.
pub(super) fn not_fetched<'a>(mut payloads: impl Iterator<Item = &'a Payload>) -> Option<Failure> {
    let is_kept = payloads.any(|payload| payload.reference().is_some());
    is_kept.then(|| Failure::transient("a message that is kept elsewhere was not fetched"))
}

impl Partition {
    /// Whether messages to a vertex must be handed in whole. So must those to one that is not known yet.
    pub fn takes_whole(&self, frame: FrameId, vertex: &VertexName) -> bool {
        let found = self.frames.get(&frame).and_then(|frame| {
            let at = frame.topology.find(vertex)?;
            Some(takes_whole(frame.topology.vertex(at)))
        });
        found.unwrap_or(true)
    }

    /// What is kept elsewhere of messages that the partition must have whole, because mutations have changed their
    /// receivers. It is put in by [`Self::put`] before anything else is told.
    pub fn unfetched(&self) -> BTreeSet<Reference> {
        let mut found = BTreeSet::new();
        let under_way = self.incoming.iter().chain(self.from_others.values().flatten());
        for message in under_way.filter(|message| self.is_for_whole(message)) {
            found.extend(message.payload.reference());
        }
        for frame in self.frames.values() {
            let states = frame.vertices.iter().map(|(at, state)| (frame.topology.vertex(at), state));
            for (_, state) in states.filter(|(vertex, _)| takes_whole(vertex)) {
                found.extend(state.inbox.iter().filter_map(|message| message.payload.reference()));
            }
        }
        found
    }

    fn is_for_whole(&self, message: &Routed) -> bool {
        match &message.to {
            Target::Absent(name) => self.takes_whole(message.frame, name),
            Target::At(at) => {
                let frame = self.frames.get(&message.frame);
                frame.is_none_or(|frame| takes_whole(frame.topology.vertex(*at)))
            }
        }
    }

    /// Puts what was fetched in the place of its references, in messages that wait.
    pub fn put(&mut self, fetched: &BTreeMap<Reference, Payload>) {
        let under_way = self.incoming.iter_mut().chain(self.from_others.values_mut().flatten());
        under_way.for_each(|message| fill(&mut message.payload, fetched));
        for frame in self.frames.values_mut() {
            for state in frame.vertices.states_mut() {
                state.inbox.iter_mut().for_each(|message| fill(&mut message.payload, fetched));
            }
        }
    }
}

impl Job {
    /// What its program sees and is kept elsewhere. It is put in by [`Self::put`] before the program runs.
    pub fn references(&self) -> BTreeSet<Reference> {
        let Scene { messages, kept, .. } = &*self.view.scene;
        let payloads = messages.iter().chain(kept).map(|received| &received.payload);
        payloads.chain([&self.view.scene.input]).filter_map(Payload::reference).collect()
    }

    /// Puts what was fetched in the place of its references.
    pub fn put(&mut self, fetched: &BTreeMap<Reference, Payload>) {
        let Scene { messages, kept, input, .. } = Arc::make_mut(&mut self.view.scene);
        fill(input, fetched);
        messages.iter_mut().chain(kept).for_each(|Received { payload, .. }| fill(payload, fetched));
    }
}

fn fill(payload: &mut Payload, fetched: &BTreeMap<Reference, Payload>) {
    if let Some(found) = payload.reference().and_then(|reference| fetched.get(&reference)) {
        *payload = found.clone();
    }
}
