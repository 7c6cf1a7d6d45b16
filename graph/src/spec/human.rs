//! The program `human` as written.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration::DurationSpec;

/// A question to a person. The answer is the payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HumanProgram {
    /// A minijinja template of what is asked.
    pub prompt: String,
    /// A JSON schema of the answer. Default: any answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// How long an answer is waited for, counted from the question on whether or not the run is driven.
    /// Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationSpec>,
    /// The answer when nobody has given one in time; not null. Default: the vertex fails then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}
