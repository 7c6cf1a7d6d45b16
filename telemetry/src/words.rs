//! The words of spans for what the engine calls by its own names.

use superstep_engine::{FailureClass, LimitKind, MessageStatus, RunStatus};
use superstep_graph::{Mutation, Verdict, WhenIncomplete};

/// Every status of a message, with the attribute that counts its messages.
pub(crate) const STATUSES: [(MessageStatus, &str, &str); 8] = [
    (MessageStatus::Delivered, "delivered", "superstep.messages.delivered"),
    (MessageStatus::Combined, "combined", "superstep.messages.combined"),
    (MessageStatus::Filtered, "filtered", "superstep.messages.filtered"),
    (MessageStatus::Late, "late", "superstep.messages.late"),
    (MessageStatus::Buffered, "buffered", "superstep.messages.buffered"),
    (MessageStatus::Cancelled, "cancelled", "superstep.messages.cancelled"),
    (MessageStatus::DeadLettered, "dead_lettered", "superstep.messages.dead_lettered"),
    (MessageStatus::Refused, "refused", "superstep.messages.refused"),
];

/// The position of a status in [`STATUSES`].
pub(crate) fn position(status: MessageStatus) -> usize {
    match status {
        MessageStatus::Delivered => 0,
        MessageStatus::Combined => 1,
        MessageStatus::Filtered => 2,
        MessageStatus::Late => 3,
        MessageStatus::Buffered => 4,
        MessageStatus::Cancelled => 5,
        MessageStatus::DeadLettered => 6,
        MessageStatus::Refused => 7,
    }
}

/// The value of `error.type`.
pub(crate) fn class(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Transient => "transient",
        FailureClass::Timeout => "timeout",
        FailureClass::Permanent => "permanent",
        FailureClass::Incomplete => "incomplete",
        FailureClass::Frame => "frame",
        FailureClass::Limit => "limit",
    }
}

/// The value of `superstep.run.status`, and that of `error.type` if the run did not succeed.
pub(crate) fn status(status: &RunStatus) -> (&'static str, Option<&'static str>) {
    match status {
        RunStatus::Succeeded => ("succeeded", None),
        RunStatus::Failed { failure, .. } => ("failed", Some(class(failure.class))),
        RunStatus::LimitReached(_) => ("limit_reached", Some("limit")),
        RunStatus::Cancelled => ("cancelled", Some("cancelled")),
    }
}

/// The limit that ended a run, as its graph calls it.
pub(crate) fn limit(status: &RunStatus) -> Option<&'static str> {
    match status {
        RunStatus::LimitReached(limit) => Some(LimitKind::field(*limit)),
        RunStatus::Succeeded | RunStatus::Failed { .. } | RunStatus::Cancelled => None,
    }
}

/// Why a run failed.
pub(crate) fn message(status: &RunStatus) -> Option<String> {
    match status {
        RunStatus::Failed { failure, .. } => Some(failure.message.clone()),
        RunStatus::Succeeded | RunStatus::LimitReached(_) | RunStatus::Cancelled => None,
    }
}

/// What an incomplete join did.
pub(crate) fn action(action: WhenIncomplete) -> &'static str {
    match action {
        WhenIncomplete::Fire => "fire",
        WhenIncomplete::Skip => "skip",
        WhenIncomplete::Fail => "fail",
    }
}

/// The kind of a mutation, and the object that it is about.
pub(crate) fn mutation(mutation: &Mutation) -> (&'static str, String) {
    match mutation {
        Mutation::RemoveEdge(edge) => ("remove_edge", format!("{} -> {}", edge.from, edge.to)),
        Mutation::RemoveVertex(vertex) => ("remove_vertex", vertex.name.to_string()),
        Mutation::AddVertex(vertex) => ("add_vertex", vertex.name.to_string()),
        Mutation::AddEdge(edge) => ("add_edge", format!("{} -> {}", edge.from, edge.to)),
        Mutation::Set(set) => {
            let object = set.vertex.as_ref().map(ToString::to_string);
            ("set", format!("{} of {}", set.field, object.unwrap_or_else(|| "an edge".to_owned())))
        }
        Mutation::Adopt(_) => ("adopt", "the changed document".to_owned()),
        Mutation::Denied(denied) => self::mutation(&denied.mutation),
    }
}

/// What became of a mutation.
pub(crate) fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Applied => "applied",
        Verdict::Collapsed => "collapsed",
        Verdict::Refused(_) => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_place() {
        for (index, (status, ..)) in STATUSES.into_iter().enumerate() {
            assert_eq!(position(status), index);
        }
    }
}
