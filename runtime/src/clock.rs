//! The time of one process.

use std::time::Duration;

use superstep_engine::Timestamp;
use tokio::time::Instant;

/// How far away it is that nothing is due.
const FAR: Duration = Duration::from_secs(3_600);

/// Now, on a clock that only goes forward.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that begins at 0.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// What it shows.
    #[must_use]
    pub fn now(self) -> Timestamp {
        Timestamp(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// When `due` is; in an hour, if nothing is.
    #[must_use]
    pub fn at(self, due: Option<Timestamp>) -> Instant {
        due.map_or_else(|| Instant::now() + FAR, |due| self.0 + Duration::from_micros(due.0))
    }
}
