//! How a run has ended.

use serde_json::Value;
use superstep_engine::RunStatus;

/// How a run has ended, as somebody was told.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// Whether it has come to its end.
    pub status: RunStatus,
    /// What it came to.
    pub outputs: Value,
}
