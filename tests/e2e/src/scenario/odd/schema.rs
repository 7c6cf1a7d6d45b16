//! Values that are grown from the schema of a definition, and spoilt.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value, json};
use superstep_witness::Random;

/// No value is deeper, but for what is required.
const DEPTH: usize = 6;
/// What is no number, name or word that anybody expects.
const ODD: [&str; 10] = [
    "",
    " ",
    "1e999",
    "../../etc/passwd",
    "ünïcode \u{202e}",
    "{{ input | nothing }}",
    "${HOME}",
    "a\nb",
    "input.(",
    "kubernetes.default.svc",
];

/// A schema as definitions have it.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn new(schema: Value) -> Self {
        Self(schema)
    }

    /// A value that the schema mostly accepts.
    pub(super) fn grow(&self, random: &mut Random) -> Value {
        grow(&self.0, 0, random)
    }

    /// Changes one place of a value to what is odd there.
    pub(super) fn spoil(&self, value: &mut Value, random: &mut Random) {
        spoil(&self.0, value, random);
    }

    /// Whether a path leads to a field, or to one that could only be called otherwise: all above it is there.
    pub(super) fn has(&self, path: &str) -> bool {
        let steps: Vec<&str> = path.split(['.', '[', ']']).filter(|step| !step.is_empty()).collect();
        let Some((_, above)) = steps.split_last() else { return path.is_empty() };
        let mut at = &self.0;
        for step in above {
            if at.get("x-kubernetes-preserve-unknown-fields").is_some() {
                return true;
            }
            let Some(inner) = below(at, step) else { return false };
            at = inner;
        }
        true
    }

    /// How the definition words its own rules.
    pub(super) fn messages(&self) -> BTreeSet<String> {
        let mut messages = BTreeSet::new();
        collect(&self.0, &mut messages);
        messages
    }
}

/// What stands below a schema, by the name of a property or a key, or by a place in a list.
fn below<'a>(schema: &'a Value, step: &str) -> Option<&'a Value> {
    let property = schema.get("properties").and_then(|properties| properties.get(step));
    property.or(schema.get("additionalProperties")).or(schema.get("items"))
}

fn collect(schema: &Value, messages: &mut BTreeSet<String>) {
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
    let of_rules = rules.into_iter().flatten().filter_map(|rule| rule.get("message")?.as_str());
    messages.extend(of_rules.map(str::to_owned));
    let properties = schema.get("properties").and_then(Value::as_object);
    let inner = properties.into_iter().flat_map(Map::values);
    for one in inner.chain(schema.get("additionalProperties")).chain(schema.get("items")) {
        collect(one, messages);
    }
}

fn grow(schema: &Value, depth: usize, random: &mut Random) -> Value {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return random.pick(words);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => object(schema, depth, random),
        Some("array") => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            let count = if depth > DEPTH { 0 } else { random.between(0, 3) };
            (0..count).map(|_| grow(items, depth + 1, random)).collect()
        }
        Some("string") => Value::from(word(schema, random)),
        Some("boolean") => Value::from(random.between(0, 1) == 1),
        Some("integer") => Value::from(random.between(0, 5)),
        Some("number") => json!(random.between(0, 10)),
        Some(_) | None if schema.get("x-kubernetes-int-or-string").is_some() => Value::from("1"),
        Some(_) | None => json!({"any": random.between(0, 9)}),
    }
}

/// What of the properties is required, some that are not, and one of those of which exactly one is given.
fn object(schema: &Value, depth: usize, random: &mut Random) -> Value {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        let inner = schema.get("additionalProperties");
        return inner.map_or(
            json!({}),
            |inner| json!({ word(&Value::Null, random): grow(inner, depth + 1, random) }),
        );
    };
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let unions = unions(schema);
    let chosen: Vec<String> = unions.iter().map(|members| random.pick(members)).collect();
    let mut grown = Map::new();
    for (name, property) in properties {
        let is_member = unions.iter().any(|members| members.contains(name));
        let wanted = if is_member {
            chosen.contains(name)
        } else {
            let odds = if depth > DEPTH { 0 } else { 3 };
            required.iter().any(|one| one == name) || random.between(1, 10) <= odds
        };
        if wanted {
            grown.insert(name.clone(), grow(property, depth + 1, random));
        }
    }
    Value::Object(grown)
}

/// The members of each union of a schema, as its rules tell them: `[has(self.a), has(self.b)].exists_one(…)`.
fn unions(schema: &Value) -> Vec<Vec<String>> {
    let rules =
        schema.get("x-kubernetes-validations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rules = rules.iter().filter_map(|rule| rule.get("rule").and_then(Value::as_str));
    let unions = rules.filter(|rule| rule.starts_with("[has(self.") && rule.contains("].exists_one("));
    unions
        .map(|rule| {
            let members = rule.split("has(self.").skip(1).filter_map(|rest| rest.split(')').next());
            members.map(|member| member.trim_matches('_').to_owned()).collect()
        })
        .collect()
}

fn word(schema: &Value, random: &mut Random) -> String {
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_default();
    if pattern.contains("(h|m|s|ms)") {
        return format!("{}s", random.between(1, 90));
    }
    if pattern.contains("Ki|Mi") {
        return format!("{}Mi", random.between(1, 900));
    }
    let words = ["a", "b", "c", "input", "message", "small", "text"];
    random.pick(&words).to_owned()
}

fn spoil(schema: &Value, value: &mut Value, random: &mut Random) {
    // It goes down as long as there is something below, most of the time.
    let deeper = random.between(0, 9) < 8;
    match value {
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let name = random.pick(&names);
            let below = schema.pointer(&format!("/properties/{name}")).or(schema.get("additionalProperties"));
            if let Some(field) = fields.get_mut(&name) {
                spoil(below.unwrap_or(&Value::Null), field, random);
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = usize::try_from(random.between(0, items.len() as u64 - 1)).unwrap_or(0);
            spoil(schema.get("items").unwrap_or(&Value::Null), &mut items[at], random);
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_)
        | Value::Array(_) => {
            *value = odd(schema, value, random);
        }
    }
}

/// What is odd in place of a value.
fn odd(schema: &Value, value: &Value, random: &mut Random) -> Value {
    match random.between(0, 11) {
        0 => Value::Null,
        1 => json!({}),
        2 => json!([]),
        3 => Value::from(-1),
        4 => Value::Number(Number::from(u64::MAX)),
        5 => Value::from(true),
        6 => Value::from(random.pick(&ODD)),
        7 => Value::from("x".repeat(usize::try_from(random.between(1, 70_000)).unwrap_or(1))),
        8 => with_unknown(value),
        9 => twice(value),
        10 => nested(20),
        _ => grow(schema, 0, random),
    }
}

fn with_unknown(value: &Value) -> Value {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    fields.insert("unknownField".to_owned(), json!({"any": "thing"}));
    Value::Object(fields)
}

/// A list with each item twice, which a list with keys must not have.
fn twice(value: &Value) -> Value {
    let items = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    Value::Array([items.as_slice(), items.as_slice()].concat())
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_of_a_union_is_grown() {
        let schema = Schema::new(json!({
            "type": "object",
            "properties": {"a": {"type": "string"}, "function": {"type": "integer"}, "c": {"type": "boolean"}},
            "required": ["c"],
            "x-kubernetes-validations": [{"rule": "[has(self.a), has(self.__function__)].exists_one(given, given)"}],
        }));
        let mut random = Random::new(1);
        let mut seen = [0, 0];
        for _ in 0..50 {
            let grown = schema.grow(&mut random);
            assert_eq!(grown.as_object().unwrap().len(), 2, "{grown}");
            seen[usize::from(grown.get("a").is_some())] += 1;
        }
        assert!(seen[0] > 5 && seen[1] > 5, "{seen:?}");
    }

    #[test]
    fn a_path_leads_to_a_field_or_beside_one() {
        let schema = Schema::new(json!({
            "type": "object",
            "properties": {
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}},
                    "x-kubernetes-validations": [{"rule": "self.a != ''", "message": "a says something"}]}},
                "map": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"x-kubernetes-preserve-unknown-fields": true},
            },
        }));
        for path in [
            "",
            ".list",
            ".list[0]",
            ".list[0].a",
            ".list[3].odd",
            ".map.key",
            ".map[key]",
            ".free.a.b.c",
            ".odd",
        ] {
            assert!(schema.has(path), "{path}");
        }
        for path in [".odd.a", ".list[0].odd.b", ".map.key.b.c"] {
            assert!(!schema.has(path), "{path}");
        }
        assert_eq!(schema.messages(), BTreeSet::from(["a says something".to_owned()]));
    }

    #[test]
    fn a_spoilt_value_is_another_one_nearly_always() {
        let schema = Schema::new(
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
        );
        let mut random = Random::new(1);
        let changed = (0..100).filter(|_| {
            let value = schema.grow(&mut random);
            let mut spoilt = value.clone();
            schema.spoil(&mut spoilt, &mut random);
            spoilt != value
        });
        assert!(changed.count() > 80);
    }
}
