//! The cache of results as written.

use serde::{Deserialize, Serialize};

use crate::duration::DurationSpec;

/// For how long a result of a vertex is taken again, in this run and in others, where the vertex would do the
/// same with the same. A hit makes no call; effects are computed anew. Failures are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CacheSpec {
    /// How old a result may be.
    pub ttl: DurationSpec,
    /// CEL of what tells results apart, beside the program. Default: all of what its templates and expressions
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}
