//! What a call may take, where its document does not say.

use std::time::Duration;

use superstep_graph::ToolSpec;

/// The most bytes of an answer.
pub(crate) const MAX_ANSWER: u64 = 1 << 20;

/// The longest that one call of a tool may take.
pub(crate) fn timeout_of(spec: &ToolSpec) -> Duration {
    spec.timeout.map_or(Duration::from_secs(30), superstep_graph::DurationSpec::duration)
}
