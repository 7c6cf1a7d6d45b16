//! The time of one process.

use std::time::Duration;

use superstep_engine::Timestamp;
use tokio::time::Instant;

/// Now, on a clock that only goes forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Timestamp {
        Timestamp(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// When `due` is; in an hour, if nothing is.
    pub(crate) fn at(self, due: Option<Timestamp>) -> Instant {
        due.map_or_else(
            || Instant::now() + Duration::from_secs(3_600),
            |due| self.0 + Duration::from_micros(due.0),
        )
    }
}
