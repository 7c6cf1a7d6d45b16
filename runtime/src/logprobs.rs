//! How likely a model found what it wrote.

use serde::{Deserialize, Serialize};

/// A token that a model wrote, with its log-probability under the model: before temperature, penalties and what the
/// answer is held to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenLogprob {
    /// Its text; bytes that are not UTF-8 are replaced.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// The likeliest tokens at its place, best first, as many as were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<LikelyToken>,
}

/// A token that a model could have written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LikelyToken {
    /// Its text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
}
