//! Messages between vertices.

use std::sync::Arc;

use superstep_engine::{FrameId, MessageKey, Routed, Target};
use superstep_graph::VertexName;
use superstep_proto::v1;

use crate::WireError;
use crate::names::{payload, payload_of};

/// A message that leaves its partition; none if it names its receiver by a place, which only one that stays does.
#[must_use]
pub fn message(message: &Routed) -> Option<v1::Message> {
    let Target::Absent(to) = &message.to else { return None };
    let trail = message.trail.iter().flat_map(|trail| trail.iter());
    Some(v1::Message {
        frame: message.frame.0,
        from: message.key.from.as_str().to_owned(),
        incarnation: message.key.incarnation,
        sent: message.key.superstep,
        direct: message.key.direct,
        port: message.key.port.as_str().to_owned(),
        to: to.as_str().to_owned(),
        ordinal: message.key.ordinal,
        payload: Some(payload(&message.payload)),
        trail: trail
            .map(|(join, number)| v1::Firing { join: join.as_str().to_owned(), number: *number })
            .collect(),
        orphan: message.orphan,
        passive: message.passive,
        traceparent: String::new(),
    })
}

/// # Errors
/// Its payload is not there, or no JSON.
pub fn message_of(message: v1::Message) -> Result<Routed, WireError> {
    let firing = |firing: v1::Firing| (VertexName::from(firing.join.as_str()), firing.number);
    let trail: Vec<_> = message.trail.into_iter().map(firing).collect();
    Ok(Routed {
        frame: FrameId(message.frame),
        to: Target::Absent(message.to.as_str().into()),
        key: MessageKey {
            from: message.from.as_str().into(),
            incarnation: message.incarnation,
            superstep: message.sent,
            direct: message.direct,
            port: message.port.as_str().into(),
            ordinal: message.ordinal,
        },
        payload: payload_of(message.payload)?,
        trail: (!trail.is_empty()).then(|| Arc::new(trail)),
        orphan: message.orphan,
        passive: message.passive,
        via: None,
    })
}
