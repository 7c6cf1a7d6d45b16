//! No input may be computed on for long.

use rustix::time::{ClockId, clock_gettime};

/// A target.
pub type Target = fn(&[u8]);

/// The longest that a target may compute on one input, in seconds, whatever else the machine does.
const SECONDS: f64 = 1.0;

/// Runs a target, and counts what it computes by a clock: that of the process, or where others work in the same process that of
/// the thread.
///
/// # Panics
/// Something does not hold, or it took more than a second of computing.
pub(crate) fn bounded_by(clock: ClockId, target: Target, data: &[u8]) {
    let begun = computed(clock);
    target(data);
    let took = computed(clock) - begun;
    assert!(took <= SECONDS, "one input took {took:.1} s");
}

fn computed(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
