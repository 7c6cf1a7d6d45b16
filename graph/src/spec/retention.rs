//! Which runs of a graph are kept, and how much of each.

use serde::{Deserialize, Serialize};

use crate::duration::DurationSpec;

/// Which runs of a graph are kept once they have ended, and how much of each. A run is let go when each of `runs`
/// and `age` that is given lets it go; one that can be resumed is always kept, and kept whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionSpec {
    /// So many of the newest are kept, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub runs: Option<u32>,
    /// Those are kept that were last written to within this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<DurationSpec>,
    /// So many of the last supersteps of a run are kept, beside its input, outputs and totals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersteps: Option<u64>,
}
