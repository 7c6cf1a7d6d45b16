//! The smallest instance of a JSON schema, for models that are scripted.

use serde_json::{Map, Number, Value};

/// How deep an instance may nest; a schema that asks for more refers to itself.
const DEPTH: usize = 32;

/// A small instance of `schema`: the first value of an enumeration, the least number, the shortest
/// list, only members that are required. The same schema always gives the same instance. None where
/// the schema uses what is not followed here (`pattern`, `not`, `if`, `contains` and their like) or
/// has no instance.
pub fn smallest(schema: &Value) -> Option<Value> {
    let instance = Smallest { root: schema }.of(schema, DEPTH)?;
    jsonschema::validator_for(schema).ok()?.is_valid(&instance).then_some(instance)
}

struct Smallest<'a> {
    root: &'a Value,
}

impl Smallest<'_> {
    fn of(&self, schema: &Value, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let members = match schema {
            Value::Bool(true) => return Some(Value::Null),
            Value::Object(members) => members,
            Value::Null | Value::Bool(false) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return None;
            }
        };
        if let Some(constant) = members.get("const") {
            return Some(constant.clone());
        }
        if let Some(values) = members.get("enum").and_then(Value::as_array) {
            return values.iter().find(|value| self.is_valid(schema, value)).cloned();
        }
        if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
            return self.of(self.root.pointer(reference.strip_prefix('#')?)?, depth);
        }
        if let Some(parts) = members.get("allOf").and_then(Value::as_array) {
            return self.of(&self.merged(members, parts)?, depth);
        }
        if let Some(choices) = members.get("anyOf").or_else(|| members.get("oneOf")).and_then(Value::as_array)
        {
            return choices.iter().find_map(|choice| {
                let merged = self.merged(members, std::slice::from_ref(choice))?;
                self.of(&merged, depth).filter(|value| self.is_valid(schema, value))
            });
        }
        kinds(members).into_iter().find_map(|kind| self.of_kind(kind, members, depth))
    }

    /// Choices are judged with the definitions of the root at hand.
    fn is_valid(&self, schema: &Value, instance: &Value) -> bool {
        let mut schema = schema.clone();
        if let (Some(members), Some(root)) = (schema.as_object_mut(), self.root.as_object()) {
            for name in ["$defs", "definitions"] {
                if let Some(definitions) = root.get(name) {
                    members.entry(name).or_insert_with(|| definitions.clone());
                }
            }
        }
        jsonschema::validator_for(&schema).is_ok_and(|validator| validator.is_valid(instance))
    }

    /// One schema that asks for what `members`, without their choices, and all `parts` ask for. Where
    /// two ask differently for the same keyword, the later wins; the result is checked in the end.
    fn merged(&self, members: &Map<String, Value>, parts: &[Value]) -> Option<Value> {
        let mut merged = members.clone();
        for keyword in ["allOf", "anyOf", "oneOf"] {
            merged.remove(keyword);
        }
        for part in parts {
            let part = match part.get("$ref").and_then(Value::as_str) {
                Some(reference) => self.root.pointer(reference.strip_prefix('#')?)?,
                None => part,
            };
            for (keyword, value) in part.as_object()? {
                match (merged.get_mut(keyword), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                    (Some(Value::Array(known)), Value::Array(more)) if keyword == "required" => {
                        known.extend(more.iter().cloned());
                    }
                    _ => {
                        merged.insert(keyword.clone(), value.clone());
                    }
                }
            }
        }
        Some(Value::Object(merged))
    }

    fn of_kind(&self, kind: &str, members: &Map<String, Value>, depth: usize) -> Option<Value> {
        match kind {
            "object" => self.object(members, depth),
            "array" => self.array(members, depth),
            "string" => text(members),
            "integer" => number(members, true),
            "number" => number(members, false),
            "boolean" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        }
    }

    fn object(&self, members: &Map<String, Value>, depth: usize) -> Option<Value> {
        let properties = members.get("properties").and_then(Value::as_object);
        let required = members.get("required").and_then(Value::as_array);
        let mut object = Map::new();
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            let known = properties.and_then(|properties| properties.get(name));
            let schema = known.or_else(|| members.get("additionalProperties")).unwrap_or(&Value::Bool(true));
            object.insert(name.to_owned(), self.of(schema, depth)?);
        }
        let least = limit(members, "minProperties");
        for (name, schema) in properties.into_iter().flatten() {
            if object.len() >= least {
                break;
            }
            if !object.contains_key(name) {
                object.insert(name.clone(), self.of(schema, depth)?);
            }
        }
        Some(Value::Object(object))
    }

    fn array(&self, members: &Map<String, Value>, depth: usize) -> Option<Value> {
        let prefix = members.get("prefixItems").and_then(Value::as_array);
        let rest = members.get("items").unwrap_or(&Value::Bool(true));
        let item = |index: usize| prefix.and_then(|prefix| prefix.get(index)).unwrap_or(rest);
        let least = limit(members, "minItems");
        if least > 10_000 {
            return None;
        }
        (0..least).map(|index| self.of(item(index), depth)).collect::<Option<_>>().map(Value::Array)
    }
}

/// The kinds of value that may be tried, the one that the other keywords speak of first.
fn kinds(members: &Map<String, Value>) -> Vec<&str> {
    match members.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            let speaks = |words: &[&str]| words.iter().any(|word| members.contains_key(*word));
            if speaks(&["properties", "required", "additionalProperties", "minProperties"]) {
                vec!["object"]
            } else if speaks(&["items", "prefixItems", "minItems"]) {
                vec!["array"]
            } else if speaks(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
                vec!["integer", "number"]
            } else if speaks(&["minLength", "maxLength", "pattern", "format"]) {
                vec!["string"]
            } else {
                vec!["null"]
            }
        }
    }
}

fn limit(members: &Map<String, Value>, keyword: &str) -> usize {
    members.get(keyword).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok()).unwrap_or(0)
}

fn text(members: &Map<String, Value>) -> Option<Value> {
    let formatted = match members.get("format").and_then(Value::as_str) {
        Some("date") => "2000-01-01",
        Some("date-time") => "2000-01-01T00:00:00Z",
        Some("time") => "00:00:00Z",
        Some("email") => "a@example.com",
        Some("uri") => "https://example.com",
        Some("uuid") => "00000000-0000-0000-0000-000000000000",
        Some(_) | None => "",
    };
    let least = limit(members, "minLength");
    let missing = least.saturating_sub(formatted.chars().count());
    (missing <= 1_000_000).then(|| Value::from(format!("{formatted}{}", "x".repeat(missing))))
}

/// The least number allowed, or the greatest where there is no least, or zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what leaves the range of i64 fails the check of the instance"
)]
fn number(members: &Map<String, Value>, whole: bool) -> Option<Value> {
    let bound = |keyword: &str| members.get(keyword).and_then(Value::as_f64);
    let step = bound("multipleOf").or(whole.then_some(1.0));
    let up = |value: f64| step.map_or(value, |step| (value / step).ceil() * step);
    let down = |value: f64| step.map_or(value, |step| (value / step).floor() * step);
    let gap = step.unwrap_or(1.0);
    let least = bound("minimum").map(up).into_iter().chain(bound("exclusiveMinimum").map(|low| {
        let first = up(low);
        if first > low { first } else { first + gap }
    }));
    let greatest = bound("maximum").map(down).into_iter().chain(bound("exclusiveMaximum").map(|high| {
        let last = down(high);
        if last < high { last } else { last - gap }
    }));
    let (least, greatest) = (least.reduce(f64::max), greatest.reduce(f64::min));
    // Between exclusive bounds closer than one, a number without a step lies in the middle.
    let chosen = match (least, greatest) {
        (Some(least), Some(greatest)) if least > greatest && step.is_none() => {
            let low = bound("exclusiveMinimum").or(bound("minimum"))?;
            let high = bound("exclusiveMaximum").or(bound("maximum"))?;
            f64::midpoint(low, high)
        }
        (Some(least), _) => least,
        (None, Some(greatest)) => greatest.min(0.0),
        (None, None) => 0.0,
    };
    if chosen.fract() == 0.0 && chosen.abs() < 9.0e15 {
        return Some(Value::from(chosen as i64));
    }
    Number::from_f64(chosen).map(Value::Number)
}

#[cfg(test)]
mod tests;
