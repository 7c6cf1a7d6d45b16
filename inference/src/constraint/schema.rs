//! A schema narrowed to what programs can read back.

use serde_json::{Map, Value, json};

use super::pattern::writable;
use crate::error::GenerateError;

/// The largest integer that every JSON reader keeps exact.
const INTEGER: i64 = 9_007_199_254_740_991;
/// A bound for other numbers, so that they are written without an exponent.
const NUMBER: f64 = 1e15;

/// The name of the definition of any value.
const ANY: &str = "any value of JSON";
/// Keywords that constrain nothing.
const ANNOTATIONS: [&str; 9] =
    ["title", "description", "default", "examples", "$comment", "$schema", "$id", "$defs", "definitions"];

/// Keywords whose value is a schema.
const ONE: [&str; 9] = [
    "additionalProperties",
    "items",
    "additionalItems",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
];
/// Keywords that put a schema together from others.
const COMPOSITION: [&str; 4] = ["anyOf", "allOf", "oneOf", "$ref"];
/// Keywords whose value maps names to schemas.
const MAP: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// The schema with a range for every number that has none, with any value spelled out, and without properties that it does not name where it
/// names some; written without white space and with escapes that are whole characters.
///
/// Every instance of the result is an instance of `schema`.
pub(super) fn bounded(schema: &Value) -> Result<Value, GenerateError> {
    let refuse = |reason: &str| Err(GenerateError::Schema { reason: reason.to_owned() });
    let mut schema = match schema {
        Value::Object(root) if root.contains_key("x-guidance") => {
            return refuse("\"x-guidance\" is not a keyword");
        }
        Value::Object(_) => schema.clone(),
        Value::Bool(true) => json!({}),
        Value::Bool(false) | Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return refuse("it is neither an object nor true");
        }
    };
    bound(&mut schema, true)?;
    let Value::Object(root) = &mut schema else { return refuse("it is not an object") };
    let options = json!({"whitespace_flexible": false, "json_allowed_escapes": "nrbtf\\\""});
    root.insert("x-guidance".to_owned(), options);
    match root.entry("$defs").or_insert_with(|| json!({})) {
        Value::Object(definitions) => definitions.insert(ANY.to_owned(), any_value()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return refuse("\"$defs\" is not an object");
        }
    };
    Ok(schema)
}

/// A reference to the schema of any value at all.
fn any() -> Value {
    json!({"$ref": format!("#/$defs/{ANY}")})
}

fn any_value() -> Value {
    json!({"anyOf": [
        {"type": ["null", "boolean", "string"]},
        {"type": "number", "minimum": -NUMBER, "maximum": NUMBER},
        {"type": "array", "items": any()},
        {"type": "object", "additionalProperties": any()},
    ]})
}

/// Puts the reference in the place of a schema that allows everything, keeping its definitions.
fn replace_unconstrained(schema: &mut Value) {
    match schema {
        Value::Bool(true) => *schema = any(),
        Value::Object(keywords) if keywords.keys().all(|keyword| ANNOTATIONS.contains(&keyword.as_str())) => {
            if let Value::Object(reference) = any() {
                keywords.extend(reference);
            }
        }
        Value::Object(keywords) => {
            let open = !["properties", "additionalProperties", "patternProperties", "$ref", "allOf"]
                .iter()
                .any(|keyword| keywords.contains_key(*keyword));
            if has_type(keywords, "object") && open {
                keywords.insert("additionalProperties".to_owned(), any());
            }
            if has_type(keywords, "array") && !keywords.contains_key("items") {
                keywords.insert("items".to_owned(), any());
            }
        }
        Value::Bool(false) | Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
}

/// Narrows a schema and those inside it. One that `stands_alone` says all that holds for its instances; parts of
/// a composition may name properties for each other.
fn bound(schema: &mut Value, stands_alone: bool) -> Result<(), GenerateError> {
    replace_unconstrained(schema);
    let Value::Object(keywords) = schema else { return Ok(()) };
    writable(keywords)?;
    let composed = COMPOSITION.iter().any(|keyword| keywords.contains_key(*keyword));
    for (keyword, value) in keywords.iter_mut() {
        match (keyword.as_str(), value) {
            (name, Value::Array(schemas)) if COMPOSITION.contains(&name) => {
                schemas.iter_mut().try_for_each(|schema| bound(schema, false))?;
            }
            ("prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter_mut().try_for_each(|schema| bound(schema, true))?;
            }
            (name, value) if ONE.contains(&name) => bound(value, true)?,
            (name, Value::Object(schemas)) if MAP.contains(&name) => {
                // A definition may be referred to from a composition.
                let alone = name == "properties" || name == "patternProperties";
                schemas.iter_mut().try_for_each(|(_, schema)| bound(schema, alone))?;
            }
            _ => {}
        }
    }
    if stands_alone && !composed && keywords.contains_key("properties") && !has_open_properties(keywords) {
        keywords.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    let free = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum", "const"];
    if free.iter().any(|keyword| keywords.contains_key(*keyword)) {
        complete_range(keywords);
        return Ok(());
    }
    if has_type(keywords, "integer") {
        keywords.insert("minimum".to_owned(), json!(-INTEGER));
        keywords.insert("maximum".to_owned(), json!(INTEGER));
    } else if has_type(keywords, "number") {
        keywords.insert("minimum".to_owned(), json!(-NUMBER));
        keywords.insert("maximum".to_owned(), json!(NUMBER));
    }
    Ok(())
}

/// Adds the missing side of a range of which one side is given.
fn complete_range(keywords: &mut Map<String, Value>) {
    if !has_type(keywords, "integer") && !has_type(keywords, "number") {
        return;
    }
    let number = |name: &str| keywords.get(name).and_then(Value::as_f64);
    let low = number("minimum").or(number("exclusiveMinimum"));
    let high = number("maximum").or(number("exclusiveMaximum"));
    match (low, high) {
        (Some(low), None) if low < NUMBER => {
            keywords.insert("maximum".to_owned(), json!(1_000_000_000_000_000_i64));
        }
        (None, Some(high)) if high > -NUMBER => {
            keywords.insert("minimum".to_owned(), json!(-1_000_000_000_000_000_i64));
        }
        _ => {}
    }
}

/// Whether the schema says what properties other than the named ones are, or requires one of them.
fn has_open_properties(keywords: &Map<String, Value>) -> bool {
    let said = ["additionalProperties", "unevaluatedProperties", "patternProperties", "minProperties"];
    let named = keywords.get("properties").and_then(Value::as_object);
    let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten();
    let mut unnamed =
        required.filter_map(Value::as_str).filter(|name| !named.is_some_and(|n| n.contains_key(*name)));
    said.iter().any(|keyword| keywords.contains_key(*keyword)) || unnamed.next().is_some()
}

fn has_type(keywords: &Map<String, Value>, name: &str) -> bool {
    match keywords.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_a_range_and_literals_stay() {
        let schema = json!({
            "properties": {"type": {"type": "integer"}, "n": {"type": "number", "minimum": 3}},
            "items": {"enum": [{"type": "integer"}]},
        });
        let bounded = bounded(&schema).unwrap();
        assert_eq!(bounded["properties"]["type"]["maximum"], json!(INTEGER));
        assert_eq!(bounded["properties"]["n"]["minimum"], json!(3));
        assert_eq!(bounded["properties"]["n"]["maximum"], json!(1_000_000_000_000_000_i64));
        assert_eq!(bounded["items"], schema["items"]);
    }

    #[test]
    fn objects_that_stand_alone_are_closed() {
        let object = json!({"properties": {"a": {}}});
        let schema = json!({
            "properties": {
                "closed": object,
                "open": {"properties": {"a": {}}, "additionalProperties": {"type": "null"}},
                "any": {"type": "object"},
                "other": {"properties": {"a": {}}, "required": ["b"]},
                "parts": {"allOf": [object, {"properties": {"b": {}}}]},
            },
        });
        let bounded = bounded(&schema).unwrap();
        let closed = |name: &str| bounded["properties"][name]["additionalProperties"] == json!(false);
        assert_eq!(["closed", "open", "any", "other"].map(closed), [true, false, false, false]);
        let parts = bounded["properties"]["parts"]["allOf"].as_array().unwrap();
        assert!(parts.iter().all(|part| part.get("additionalProperties").is_none()));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for schema in [json!(false), json!(3), json!([]), json!({"x-guidance": {}})] {
            assert!(bounded(&schema).is_err(), "{schema}");
        }
    }
}
