//! The expressions that simulated edges are labelled with.

use serde_json::{Value, json};
use superstep_engine::{EdgeView, Expressions, Failure, Payload};
use superstep_graph::{EdgeSpec, ProgramCheck, VertexSpec};

/// Conditions `true`, `odd`, `< N`, `superstep < N` and `fails`; the transformation `wrap` and, as any
/// other word, the last digit.
#[derive(Debug)]
pub(crate) struct Words;

impl Words {
    /// Whether a condition has a value.
    pub(crate) fn is_word(condition: &str) -> bool {
        matches!(condition, "true" | "odd")
            || condition.starts_with("< ")
            || condition.starts_with("superstep < ")
    }
}

impl ProgramCheck for Words {
    fn check_vertex(&self, _: &VertexSpec) -> Result<(), String> {
        Ok(())
    }

    fn check_edge(&self, edge: &EdgeSpec) -> Result<(), String> {
        match edge.when.as_deref() {
            Some("nonsense") => Err("nonsense is no condition".to_owned()),
            Some(_) | None => Ok(()),
        }
    }
}

impl Expressions for Words {
    fn when(
        &self,
        expression: &str,
        EdgeView { message, superstep, .. }: EdgeView<'_>,
    ) -> Result<bool, Failure> {
        let number = number_in(message.value());
        if let Some(bound) = expression.strip_prefix("superstep < ") {
            return Ok(superstep < bound.parse().unwrap_or(0));
        }
        if let Some(bound) = expression.strip_prefix("< ") {
            return Ok(number < bound.parse().unwrap_or(0));
        }
        match expression {
            "true" => Ok(true),
            "odd" => Ok(number % 2 == 1),
            other => Err(Failure::permanent(format!("{other} has no value"))),
        }
    }

    fn transform(
        &self,
        expression: &str,
        EdgeView { message, .. }: EdgeView<'_>,
    ) -> Result<Payload, Failure> {
        Ok(Payload::from(match expression {
            "wrap" => json!({"wrapped": message.value()}),
            _ => json!(number_in(message.value()) % 10),
        }))
    }
}

/// A number that stands for any payload.
fn number_in(value: &Value) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().unwrap_or(0),
        Value::Array(items) => items.iter().map(number_in).sum(),
        Value::Object(members) => members.values().map(number_in).sum(),
        Value::Null | Value::Bool(_) | Value::String(_) => 0,
    }
}
