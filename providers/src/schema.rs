//! JSON schemas in the form that providers hold an answer to.

use serde_json::{Map, Value};

/// What a provider's own subset of JSON schema takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subset {
    /// Whether every property has to be required.
    all_required: bool,
    /// Keywords that bound a value, which are taken.
    bounds: &'static [&'static str],
}

/// `strict: true` of OpenAI's structured outputs.
pub(crate) const OPEN_AI: Subset = Subset {
    all_required: true,
    bounds: &[
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minItems",
        "maxItems",
    ],
};

/// `output_config.format` of Anthropic's structured outputs.
pub(crate) const ANTHROPIC: Subset = Subset { all_required: false, bounds: &[] };

/// Keywords that say what a value is; all subsets have them.
const SHAPE: [&str; 7] = ["type", "enum", "const", "$ref", "title", "description", "required"];

/// Keywords without which a schema allows more, and nothing that it did not mean: they may be left out,
/// since answers are checked against the whole schema.
const LOOSE: [&str; 22] = [
    "$schema",
    "$id",
    "$comment",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// `schema` in the form of `subset`: closed, without bounds that the subset lacks. Every instance of
/// `schema` that has no properties beyond those it names is one of the result. None where `schema` cannot
/// be said so, or is not of objects.
pub(crate) fn within(schema: &Value, subset: Subset) -> Option<Value> {
    (schema.get("type")? == "object").then_some(())?;
    close(schema, subset)
}

fn close(schema: &Value, subset: Subset) -> Option<Value> {
    let mut closed = Map::new();
    for (name, value) in schema.as_object()? {
        let value = match name.as_str() {
            // A schema inside itself is not taken everywhere.
            "$ref" if value == "#" => return None,
            keyword if SHAPE.contains(&keyword) || subset.bounds.contains(&keyword) => value.clone(),
            "properties" | "$defs" | "definitions" => each(value, subset)?,
            "items" => close(value, subset)?,
            "anyOf" => Value::Array(
                value.as_array()?.iter().map(|branch| close(branch, subset)).collect::<Option<_>>()?,
            ),
            "additionalProperties" if *value == Value::Bool(false) => continue,
            keyword if LOOSE.contains(&keyword) => continue,
            _ => return None,
        };
        closed.insert(name.clone(), value);
    }
    if closed.contains_key("properties") || is_object(&closed) {
        // Closed, an object of which no property is named would have to be empty.
        let names: Vec<&String> = closed.get("properties")?.as_object()?.keys().collect();
        let required = closed.get("required").and_then(Value::as_array);
        let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|item| item == name));
        if subset.all_required && !names.into_iter().all(is_required) {
            return None;
        }
        closed.entry("required").or_insert_with(|| Value::Array(Vec::new()));
        closed.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Some(Value::Object(closed))
}

fn each(schemas: &Value, subset: Subset) -> Option<Value> {
    let closed = schemas.as_object()?.iter();
    let closed = closed.map(|(name, schema)| Some((name.clone(), close(schema, subset)?)));
    Some(Value::Object(closed.collect::<Option<_>>()?))
}

fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
        None => false,
    }
}

/// What tells a model of the schema that nothing holds it to.
pub(crate) fn described(schema: &Value) -> String {
    format!("Answer with nothing but JSON that satisfies this JSON schema:\n{schema}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_is_closed_and_loses_only_bounds() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object", "required": ["kind", "grade"],
            "properties": {
                "kind": {"enum": ["bug", "question"]},
                "grade": {"type": "integer", "minimum": 1, "default": 1},
            },
        });
        let with = |grade: Value| {
            json!({"type": "object", "required": ["kind", "grade"], "additionalProperties": false,
                "properties": {"kind": {"enum": ["bug", "question"]}, "grade": grade}})
        };
        assert_eq!(within(&schema, OPEN_AI), Some(with(json!({"type": "integer", "minimum": 1}))));
        assert_eq!(within(&schema, ANTHROPIC), Some(with(json!({"type": "integer"}))));
    }

    #[test]
    fn what_a_subset_cannot_say_is_left_to_words() {
        let object =
            |property: Value| json!({"type": "object", "properties": {"a": property}, "required": ["a"]});
        for (schema, open_ai, anthropic) in [
            (object(json!({"type": "string"})), true, true),
            (json!({"type": "object", "properties": {"a": {"type": "string"}}}), false, true),
            (object(json!({"anyOf": [{"type": "null"}, {"type": "string"}]})), true, true),
            (object(json!({"type": "array", "items": {"type": "object"}})), false, false),
            (object(json!({"type": "array", "items": {"type": "integer"}})), true, true),
            (json!({"type": "object"}), false, false),
            (object(json!({"allOf": [{"type": "string"}]})), false, false),
            (object(json!({"oneOf": [{"type": "string"}]})), false, false),
            (object(json!({"$ref": "#"})), false, false),
            (json!({"type": "object", "additionalProperties": {"type": "string"}}), false, false),
            (json!({"type": "array", "items": {"type": "string"}}), false, false),
            (json!({"enum": ["a"]}), false, false),
            (json!(true), false, false),
        ] {
            assert_eq!(within(&schema, OPEN_AI).is_some(), open_ai, "{schema}");
            assert_eq!(within(&schema, ANTHROPIC).is_some(), anthropic, "{schema}");
        }
    }
}
