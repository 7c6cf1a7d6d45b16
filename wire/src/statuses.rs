//! How many messages have come to which status.

use std::collections::BTreeMap;

use superstep_engine::MessageStatus;
use superstep_proto::v1;

/// Messages by their status.
#[must_use]
pub fn statuses(counts: &BTreeMap<MessageStatus, u64>) -> v1::Statuses {
    let of = |status| counts.get(&status).copied().unwrap_or_default();
    v1::Statuses {
        delivered: of(MessageStatus::Delivered),
        combined: of(MessageStatus::Combined),
        filtered: of(MessageStatus::Filtered),
        late: of(MessageStatus::Late),
        buffered: of(MessageStatus::Buffered),
        cancelled: of(MessageStatus::Cancelled),
        dead_lettered: of(MessageStatus::DeadLettered),
        refused: of(MessageStatus::Refused),
    }
}

/// Messages by their status, without those that no message has.
#[must_use]
pub fn statuses_of(statuses: &v1::Statuses) -> BTreeMap<MessageStatus, u64> {
    let all = [
        (MessageStatus::Delivered, statuses.delivered),
        (MessageStatus::Combined, statuses.combined),
        (MessageStatus::Filtered, statuses.filtered),
        (MessageStatus::Late, statuses.late),
        (MessageStatus::Buffered, statuses.buffered),
        (MessageStatus::Cancelled, statuses.cancelled),
        (MessageStatus::DeadLettered, statuses.dead_lettered),
        (MessageStatus::Refused, statuses.refused),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_goes_there_and_back() {
        let statuses_there = [
            MessageStatus::Delivered,
            MessageStatus::Combined,
            MessageStatus::Filtered,
            MessageStatus::Late,
            MessageStatus::Buffered,
            MessageStatus::Cancelled,
            MessageStatus::DeadLettered,
            MessageStatus::Refused,
        ];
        let counts: BTreeMap<MessageStatus, u64> = statuses_there.into_iter().zip(1..).collect();
        assert_eq!(statuses_of(&statuses(&counts)), counts);
        assert_eq!(statuses_of(&v1::Statuses::default()), BTreeMap::new());
    }
}
