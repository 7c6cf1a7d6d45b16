//! Messages with their statuses, as events and links of spans.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, Link, SpanContext};
use superstep_engine::{FrameId, MessageStatus};
use superstep_graph::{Port, VertexName};

use crate::draft::Draft;
use crate::ids::Place;
use crate::words::{STATUSES, position};

/// A message whose status is final.
pub(crate) struct Settled<'a> {
    pub(crate) from: &'a VertexName,
    pub(crate) port: &'a Port,
    pub(crate) to: &'a VertexName,
    pub(crate) sent: u64,
    pub(crate) status: MessageStatus,
}

impl Settled<'_> {
    pub(crate) fn event(&self, at: SystemTime) -> Event {
        let attributes = vec![
            KeyValue::new("superstep.message.from", self.from.to_string()),
            KeyValue::new("superstep.message.to", self.to.to_string()),
            KeyValue::new("superstep.message.port", self.port.as_str().to_owned()),
            KeyValue::new("superstep.message.sent", i64::try_from(self.sent).unwrap_or(i64::MAX)),
            KeyValue::new("superstep.message.status", STATUSES[position(self.status)].1),
        ];
        Event::new("superstep.message", at, attributes, 0)
    }

    /// The activation that sent it.
    pub(crate) fn sender(&self, frame: FrameId) -> Place {
        Place { frame, vertex: self.from.clone(), superstep: self.sent }
    }

    /// The link of the activation that took it to the one that sent it.
    pub(crate) fn link(&self, sender: SpanContext) -> Link {
        let attributes = vec![
            KeyValue::new("superstep.message.from", self.from.to_string()),
            KeyValue::new("superstep.message.port", self.port.as_str().to_owned()),
            KeyValue::new("superstep.message.status", STATUSES[position(self.status)].1),
        ];
        Link::new(sender, attributes, 0)
    }
}

/// How many messages have which status.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StatusCounts([u64; STATUSES.len()]);

impl StatusCounts {
    pub(crate) fn add(&mut self, status: MessageStatus, messages: u64) {
        self.0[position(status)] += messages;
    }

    /// Writes those that are not 0.
    pub(crate) fn write(&self, draft: &mut Draft) {
        for (count, (_, _, attribute)) in self.0.iter().zip(STATUSES) {
            if *count > 0 {
                draft.count(attribute, *count);
            }
        }
    }
}
