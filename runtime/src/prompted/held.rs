//! The schema that a model without tool calling is held to: a call or an answer.

use serde_json::{Map, Value, json};

use crate::tool::ToolSignature;

/// The most calls of one turn.
pub const MAX_CALLS: usize = 8;

/// Keywords that every constrained decoder knows. Leaving another one out only lets more through, and
/// arguments are checked against the whole schema before a call.
const KEPT: [&str; 13] = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "anyOf",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "additionalProperties",
    "maxLength",
];

/// The schema of `{"call": …} | {"answer": …}`, with at most so many calls of `tools`, where the answer fits
/// `answer`; without one, of calls alone.
pub fn schema(tools: &[ToolSignature], most: usize, answer: Option<&Value>) -> Value {
    let call = |signature: &ToolSignature| {
        let mut arguments = loosened(&signature.parameters);
        if arguments.get("type").is_none() {
            arguments["type"] = json!("object");
        }
        object([("name", json!({"const": signature.name})), ("arguments", arguments)])
    };
    let calls: Vec<Value> = tools.iter().map(call).collect();
    let calls = json!({"type": "array", "minItems": 1, "maxItems": most, "items": {"anyOf": calls}});
    let Some(answer) = answer else { return object([("call", calls)]) };
    let mut answer = answer.clone();
    // References of the answer's schema are relative to the root of the whole.
    let definitions: Map<String, Value> = ["$defs", "definitions"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), answer.as_object_mut()?.remove(name)?)))
        .collect();
    let mut held = json!({"anyOf": [object([("call", calls)]), object([("answer", answer)])]});
    if let Value::Object(members) = &mut held {
        members.extend(definitions);
    }
    held
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let required = json!(required);
    let properties: Map<String, Value> =
        members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The schema with nothing but [`KEPT`] keywords; every instance of `schema` is one of the result.
fn loosened(schema: &Value) -> Value {
    let Value::Object(keywords) = schema else { return json!({}) };
    // Elsewhere it is said what else there is.
    if keywords.contains_key("$ref") || keywords.contains_key("patternProperties") {
        return keywords.get("type").map_or_else(|| json!({}), |kind| json!({ "type": kind }));
    }
    let keyword = |(name, value): (&String, &Value)| {
        let value = match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), loosened(schema)))
                .collect::<Map<_, _>>()
                .into(),
            ("anyOf", Value::Array(schemas)) => schemas.iter().map(loosened).collect(),
            ("items" | "additionalProperties", Value::Object(_)) => loosened(value),
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    let kept = keywords.iter().filter(|(name, _)| KEPT.contains(&name.as_str()));
    Value::Object(kept.map(keyword).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::schema::Schema;

    fn book(parameters: Value) -> [ToolSignature; 1] {
        let parameters = Arc::new(parameters);
        [ToolSignature { name: "book".to_owned(), description: String::new(), parameters }]
    }

    #[test]
    fn a_call_or_an_answer_fits_and_nothing_else() {
        let parameters = json!({
            "type": "object", "required": ["day"], "additionalProperties": false,
            "properties": {"day": {"$ref": "#/$defs/day"}, "nights": {"type": "integer", "format": "int32", "minimum": 1}},
            "$defs": {"day": {"enum": ["mon", "tue"]}},
        });
        let answer = json!({"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}});
        let tools = book(parameters);
        let held = Schema::compile(&schema(&tools, MAX_CALLS, Some(&answer))).unwrap();
        let calls = Schema::compile(&schema(&tools, 1, None)).unwrap();
        for (value, fits) in [
            (json!({"call": [{"name": "book", "arguments": {"day": "mon", "nights": 2}}]}), true),
            (json!({"call": [{"name": "book", "arguments": {"day": "mon", "nights": 0}}]}), false),
            (json!({"call": [{"name": "book", "arguments": {"nights": 1}}]}), false),
            (json!({"call": [{"name": "cook", "arguments": {"day": "mon"}}]}), false),
            (json!({"call": []}), false),
            (json!({"answer": {"n": 1}}), true),
            (json!({"answer": {"n": "1"}}), false),
            (json!({"answer": {"n": 1}, "call": []}), false),
        ] {
            assert_eq!(held.check(&value).is_ok(), fits, "{value}");
            assert_eq!(calls.check(&value).is_ok(), fits && value.get("call").is_some(), "{value}");
        }
    }
}
