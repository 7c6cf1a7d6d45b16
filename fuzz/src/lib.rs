//! What is fuzzed: each target takes any bytes, and panics where something does not hold that must.
//!
//! The targets are functions in files of their own, so that an ordinary test runs them again on the inputs in
//! `regressions/`; it includes those files by their paths. `cargo xtask fuzz` drives them with libFuzzer.

mod edits;
mod expressions;
mod gguf;
mod manifests;
mod patches;
mod records;
mod schemas;

use rustix::time::{ClockId, clock_gettime};

pub use expressions::expressions;
pub use gguf::gguf;
pub use manifests::manifests;
pub use patches::patches;
pub use records::records;
pub use schemas::schemas;

/// A target.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("manifests", manifests),
    ("patches", patches),
    ("records", records),
    ("expressions", expressions),
    ("gguf", gguf),
    ("schemas", schemas),
];

/// The longest that a target may compute on one input, in seconds of this process, whatever else the machine does.
const SECONDS: f64 = 1.0;

/// Runs a target.
///
/// # Panics
/// Something does not hold, or it took more than a second of computing.
pub fn bounded(target: Target, data: &[u8]) {
    let begun = computed();
    target(data);
    let took = computed() - begun;
    assert!(took <= SECONDS, "one input took {took:.1} s");
}

fn computed() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
