//! JSON schemas, compiled once.

mod smallest;

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Map, Value};
use superstep_graph::{FieldPath, GraphSpec, Problem};

pub use smallest::smallest;

/// A JSON schema, compiled. Remote references are not followed.
#[derive(Clone)]
pub struct Schema {
    value: Arc<Value>,
    validator: Arc<Validator>,
}

/// Why a value is no JSON schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no JSON schema{}: {message}", if path.is_empty() { String::new() } else { format!(" at {path}") })]
pub struct SchemaError {
    /// Where in the schema, as a JSON pointer.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Schema {
    /// Compiles `value`, by the draft that its `$schema` names, 2020-12 by default.
    ///
    /// # Errors
    /// The value is no JSON schema, or refers to another document.
    pub fn compile(value: &Value) -> Result<Self, SchemaError> {
        let validator = jsonschema::validator_for(value).map_err(|error| SchemaError {
            path: error.instance_path().to_string(),
            message: error.to_string(),
        })?;
        Ok(Self { value: Arc::new(value.clone()), validator: Arc::new(validator) })
    }

    /// The schema itself.
    pub fn value(&self) -> &Arc<Value> {
        &self.value
    }

    /// Whether `instance` is valid.
    ///
    /// # Errors
    /// The first three reasons why it is not, in a sentence.
    pub fn check(&self, instance: &Value) -> Result<(), String> {
        let reasons: Vec<String> = self
            .validator
            .iter_errors(instance)
            .take(3)
            .map(|error| match error.instance_path().to_string() {
                path if path.is_empty() => error.to_string(),
                path => format!("{error} at {path}"),
            })
            .collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.value).finish()
    }
}

/// What is wrong with the input of a run, by the `input.schema` of its graph. Paths begin at the
/// input itself.
pub fn check_input(graph: &GraphSpec, input: &Value) -> Vec<Problem> {
    let Some(declared) = &graph.input else { return Vec::new() };
    problems_of(&declared.schema, input, "the input's schema")
}

fn problems_of(schema: &Value, instance: &Value, whose: &str) -> Vec<Problem> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![Problem::error(FieldPath::default(), format!("{whose}: {error}"))],
    };
    let problem = |error: jsonschema::ValidationError<'_>| {
        Problem::error(path_of(&error.instance_path().to_string()), error.to_string())
    };
    validator.iter_errors(instance).map(problem).collect()
}

/// What is wrong with the parameters that `graph` is opened with, those that it has by default put in. Paths
/// begin at the parameters.
pub fn check_parameters(graph: &GraphSpec, given: &Value) -> Vec<Problem> {
    let Some(declared) = &graph.parameters else {
        let is_empty = given.as_object().is_none_or(Map::is_empty);
        let problem = || Problem::error(FieldPath::default(), "the graph has no parameters");
        return if is_empty { Vec::new() } else { vec![problem()] };
    };
    if !(given.is_null() || given.is_object()) {
        return vec![Problem::error(FieldPath::default(), "parameters are an object")];
    }
    problems_of(&declared.schema, &graph.parameters_with(given), "the parameters' schema")
}

/// The path that a JSON pointer names.
fn path_of(pointer: &str) -> FieldPath {
    pointer.split('/').skip(1).fold(FieldPath::default(), |path, step| match step.parse() {
        Ok(index) => path.index(index),
        Err(_) => path.field(&step.replace("~1", "/").replace("~0", "~")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_instance_is_checked_with_reasons() {
        let schema = Schema::compile(
            &json!({"type": "object", "required": ["kind"], "properties": {"n": {"maximum": 5}}}),
        );
        let schema = schema.unwrap();
        assert_eq!(schema.check(&json!({"kind": 1})), Ok(()));
        let reason = schema.check(&json!({"n": 9})).unwrap_err();
        assert!(reason.contains("kind") && reason.contains("/n"), "{reason}");
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for value in [
            json!({"type": "objet"}),
            json!({"minimum": "1"}),
            json!(3),
            json!({"$ref": "https://example.com/x"}),
        ] {
            assert!(Schema::compile(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn an_input_is_checked_with_paths() {
        let graph: GraphSpec = serde_json::from_value(json!({
            "entry": [], "vertices": [],
            "input": {"schema": {"required": ["mails"], "properties": {"mails": {"items": {"type": "string"}}}}},
        }))
        .unwrap();
        assert_eq!(check_input(&graph, &json!({"mails": ["a"]})), []);
        assert_eq!(check_input(&graph, &json!({"mails": ["a", 1]}))[0].path.to_string(), "mails[1]");
        assert_eq!(check_input(&graph, &json!({}))[0].path.to_string(), "");
    }
}
