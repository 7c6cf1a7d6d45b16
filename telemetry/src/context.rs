//! The context of a span as it travels: the `traceparent` of W3C Trace Context.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use superstep_engine::{FrameId, RunStarted};
use superstep_graph::VertexName;

use crate::ids::{Place, TraceIds};

/// The text that names a span.
pub(crate) fn traceparent(context: &SpanContext) -> String {
    let flags = context.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id())
}

/// The span that a text names; none if it names none. What a later version adds is passed over.
pub(crate) fn context_of(traceparent: &str) -> Option<SpanContext> {
    let hex = |part: &str, length: usize| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (part.len() == length && part.bytes().all(is_hex)).then(|| part.to_owned())
    };
    let mut parts = traceparent.split('-');
    let version = hex(parts.next()?, 2)?;
    let (trace, span, flags) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let trace = TraceId::from_hex(&trace).ok()?;
    let span = SpanId::from_hex(&span).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(&flags, 16).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

/// The contexts with which the messages of a run travel.
///
/// The span of an activation follows from the run and from what a message says of its sender, so that whoever takes
/// a message comes to the same span as whoever sent it.
#[derive(Clone, Debug)]
pub struct MessageContexts {
    ids: TraceIds,
    last: Option<(Place, String)>,
}

impl MessageContexts {
    /// Those of the run whose log begins with `started`.
    #[must_use]
    pub fn of_run(started: &RunStarted) -> Self {
        Self::new(TraceIds::of(&started.run, started.started_at))
    }

    pub(crate) fn new(ids: TraceIds) -> Self {
        Self { ids, last: None }
    }

    /// The `traceparent` of the activation of `from` in `frame` that started in superstep `sent`.
    pub fn of(&mut self, frame: FrameId, from: &VertexName, sent: u64) -> String {
        let is = |place: &Place| place.frame == frame && place.superstep == sent && place.vertex == *from;
        if let Some((_, known)) = self.last.as_ref().filter(|(place, _)| is(place)) {
            return known.clone();
        }
        let place = Place { frame, vertex: from.clone(), superstep: sent };
        let text = traceparent(&self.ids.context(self.ids.activation(&place)));
        self.last = Some((place, text.clone()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_what_its_text_says() {
        let context = context_of(GOOD).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(traceparent(&context), GOOD);
        let later = format!("cc{}-what-comes", &GOOD[2..]);
        assert_eq!(traceparent(&context_of(&later).unwrap()), GOOD);
    }

    #[test]
    fn what_names_no_span_is_none() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa0ba902b7-01",
        ] {
            assert_eq!(context_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_contexts_of_messages_name_their_senders() {
        let ids = TraceIds::of("run", 7);
        let mut contexts = MessageContexts::new(ids.clone());
        for (frame, vertex, superstep) in [(0, "a", 1), (0, "a", 1), (0, "a", 2), (3, "a", 2), (3, "b", 2)] {
            let place = Place { frame: FrameId(frame), vertex: vertex.into(), superstep };
            let context = context_of(&contexts.of(place.frame, &place.vertex, superstep)).unwrap();
            assert_eq!(context.span_id(), ids.activation(&place));
            assert_eq!(context.trace_id(), ids.trace());
        }
    }
}
