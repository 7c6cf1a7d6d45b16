//! The program `judge` as written.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edge::is_default;
use super::program::Sampling;
use crate::name::VertexName;

/// A model that grades: exactly one of `rubric`, `pairwise` and `verdict`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_judgement))]
pub struct JudgeProgram {
    /// A model of the graph.
    pub model: VertexName,
    /// A minijinja template of the system message. Default: to be a strict and fair judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Scores by criteria.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rubric: Option<Rubric>,
    /// Which of two is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairwise: Option<Pairwise>,
    /// Whatever a schema says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<JudgeVerdict>,
    /// How tokens are drawn. Where `maxTokens` is left out, a rubric and a pair have room for their reasons.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sampling: Sampling,
}

/// Scores by criteria. The payload is `{score, scores, reasons}`: the weighted mean, and an object of each
/// by the names of the criteria.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rubric {
    /// A minijinja template of what is graded.
    pub subject: String,
    /// The criteria, at least one; names are unique.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub criteria: Vec<Criterion>,
    /// The scores.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale: Scale,
}

/// One criterion of a rubric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Criterion {
    /// The name.
    pub name: VertexName,
    /// What a high score needs, for the model to read.
    pub description: String,
    /// Its weight in the mean, 0 or more; default 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub weight: f64,
}

/// Scores are whole numbers from `min`, the worst, to `max`, the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scale {
    /// The worst; default 1.
    #[cfg_attr(feature = "schema", schemars(range(min = -2147483648_i64, max = 2147483647_i64)))]
    pub min: i32,
    /// The best; default 5.
    #[cfg_attr(feature = "schema", schemars(range(min = -2147483648_i64, max = 2147483647_i64)))]
    pub max: i32,
}

impl Default for Scale {
    fn default() -> Self {
        Self { min: 1, max: 5 }
    }
}

/// Which of two is better. The payload is `{winner, agreed, reasons}`: `a`, `b` or `tie`; whether both orders
/// led to it; and the reason given in each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pairwise {
    /// A minijinja template of the one.
    pub a: String,
    /// A minijinja template of the other.
    pub b: String,
    /// A minijinja template of what both answer, or are to be compared by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Whether they are compared in both orders, at the same time; where these disagree it is a tie. Default:
    /// they are, because models prefer what stands first.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub swap: bool,
}

/// Whatever a schema says; the payload is the object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JudgeVerdict {
    /// A minijinja template of the user message.
    pub template: String,
    /// A JSON schema of the answer.
    pub schema: Value,
}

fn one() -> f64 {
    1.0
}

fn is_one(weight: &f64) -> bool {
    (*weight - 1.0).abs() < f64::EPSILON
}

fn yes() -> bool {
    true
}

fn is_yes(swap: &bool) -> bool {
    *swap
}
