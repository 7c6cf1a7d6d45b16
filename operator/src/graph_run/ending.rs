//! What becomes of a run's object when the run has ended, or when the object is to go before.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use superstep_api::{GraphRunStatus, RunPhase};

/// How long an object that is to go waits for workers that could cancel its run.
const DEADLINE: Duration = Duration::from_secs(300);

/// What is to be done with the object of a run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It stays.
    Stays,
    /// It goes after this time.
    Goes(Duration),
}

/// Whether a run has ended.
pub(crate) fn has_ended(status: &GraphRunStatus) -> bool {
    matches!(status.phase, Some(RunPhase::Succeeded | RunPhase::Failed | RunPhase::Cancelled))
}

/// What is to be done with an object that may stay for `ttl` after its run has ended.
pub(super) fn rest(status: &GraphRunStatus, ttl: Option<Duration>, at: Timestamp) -> Rest {
    match (ttl, &status.finished_at) {
        (Some(ttl), Some(finished)) => Rest::Goes(ttl.saturating_sub(since(finished.0, at))),
        (Some(_), None) | (None, _) => Rest::Stays,
    }
}

/// Whether an object that was to go at `asked` goes although nobody could cancel its run.
pub(super) fn is_overdue(asked: Timestamp, at: Timestamp) -> bool {
    since(asked, at) >= DEADLINE
}

fn since(then: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_object_goes_its_time_after_the_end() {
        let minute = Some(Duration::from_secs(60));
        let ended = GraphRunStatus { finished_at: Some(Time(at(100))), ..GraphRunStatus::default() };
        assert_eq!(rest(&ended, minute, at(120)), Rest::Goes(Duration::from_secs(40)));
        assert_eq!(rest(&ended, minute, at(500)), Rest::Goes(Duration::ZERO));
        // The clock of the API server may be ahead.
        assert_eq!(rest(&ended, minute, at(90)), Rest::Goes(Duration::from_secs(60)));
        assert_eq!(rest(&ended, None, at(120)), Rest::Stays);
        assert_eq!(rest(&GraphRunStatus::default(), minute, at(120)), Rest::Stays);
    }

    #[test]
    fn nobody_waits_for_ever() {
        assert!(!is_overdue(at(0), at(299)));
        assert!(is_overdue(at(0), at(300)));
    }
}
