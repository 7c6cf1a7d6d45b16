//! One text for one value: JSON with sorted keys and no spaces.

use serde_json::Value;

/// Writes `value` as JSON with the members of every object in byte order of their names and without
/// white space, so that equal values give equal bytes whatever order they were declared in.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (position, (name, member)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write(member, text);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_declaration_does_not_matter() {
        let one: Value = serde_json::from_str(r#"{"b": [1, {"d": null, "c": "\n"}], "a": 1.5}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"a": 1.5, "b": [1, {"c": "\n", "d": null}]}"#).unwrap();
        assert_eq!(canonical_json(&one), r#"{"a":1.5,"b":[1,{"c":"\n","d":null}]}"#);
        assert_eq!(canonical_json(&one), canonical_json(&two));
    }
}
