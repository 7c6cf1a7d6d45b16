//! What the JSON schemas of documents say beyond the fields of their types.

use schemars::Schema;
use serde_json::{Value, json};

use crate::spec::{AlgorithmProgram, Program, RouterProgram};

/// Says that exactly one of `members` is given. A member that is null counts as left out, as readers of
/// an optional member have it.
pub fn exactly_one(schema: &mut Schema, members: &[&str]) {
    let given = |name: &&str| json!({"required": [name], "properties": {*name: {"not": {"type": "null"}}}});
    let choices: Vec<Value> = members.iter().map(given).collect();
    schema.insert("oneOf".to_owned(), choices.into());
}

pub(crate) fn one_program(schema: &mut Schema) {
    exactly_one(schema, &Program::KINDS);
}

pub(crate) fn one_object(schema: &mut Schema) {
    exactly_one(schema, &["vertex", "edge"]);
}

pub(crate) fn one_model(schema: &mut Schema) {
    exactly_one(schema, &["modelServerRef", "external"]);
}

pub(crate) fn one_tool(schema: &mut Schema) {
    exactly_one(schema, &["http", "command", "mcp", "custom"]);
}

pub(crate) fn one_auth(schema: &mut Schema) {
    exactly_one(schema, &["bearer", "header"]);
}

pub(crate) fn one_server(schema: &mut Schema) {
    exactly_one(schema, &["url", "argv"]);
}

pub(crate) fn one_judgement(schema: &mut Schema) {
    exactly_one(schema, &["rubric", "pairwise", "verdict"]);
}

pub(crate) fn one_function(schema: &mut Schema) {
    exactly_one(schema, &["cel", "command"]);
}

pub(crate) fn one_algorithm(schema: &mut Schema) {
    exactly_one(schema, &AlgorithmProgram::KINDS);
}

pub(crate) fn one_choice(schema: &mut Schema) {
    exactly_one(schema, &RouterProgram::CHOICES);
}

pub(crate) fn one_origin(schema: &mut Schema) {
    exactly_one(schema, &["files", "inline", "cel"]);
}
