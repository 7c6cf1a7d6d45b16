//! What is fuzzed: each target takes any bytes, and panics where something does not hold that must.
//!
//! The targets are functions in files of their own, so that an ordinary test runs them again on the inputs in
//! `regressions/`; it includes those files by their paths. `cargo xtask fuzz` drives them with libFuzzer.

mod bounded;
mod edits;
mod expressions;
mod gguf;
mod manifests;
mod patches;
mod records;
mod schemas;

use rustix::time::ClockId;

pub use bounded::Target;
pub use expressions::expressions;
pub use gguf::gguf;
pub use manifests::manifests;
pub use patches::patches;
pub use records::records;
pub use schemas::schemas;

/// The targets by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("manifests", manifests),
    ("patches", patches),
    ("records", records),
    ("expressions", expressions),
    ("gguf", gguf),
    ("schemas", schemas),
];

/// Runs a target.
///
/// # Panics
/// Something does not hold, or this process computed for more than a second.
pub fn bounded(target: Target, data: &[u8]) {
    bounded::bounded_by(ClockId::ProcessCPUTime, target, data);
}
