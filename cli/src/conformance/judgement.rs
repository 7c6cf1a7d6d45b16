//! What was expected beside what was found.

use serde::Serialize;
use serde_json::Value;

use super::case::Expected;
use super::story::Story;

/// Numbers that differ by less than this part of themselves are equal: sums of decimal fractions are written
/// into cases as people write them.
const TOLERANCE: f64 = 1e-9;

/// The first thing that is not as expected.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// Of which run: the plain one, one after a crash, a fork.
    pub(super) run: String,
    /// What: a member of the expectation, as `outputs.end`.
    pub(super) what: String,
    /// What was expected; null for nothing.
    pub(super) expected: Value,
    /// What was found; null for nothing.
    pub(super) found: Value,
}

impl Difference {
    /// A difference of the run that is called so.
    pub(super) fn of(run: &str, (what, expected, found): (String, Value, Value)) -> Self {
        Self { run: run.to_owned(), what, expected, found }
    }
}

/// The first difference of a run called `run`, which made `again` calls once more because of crashes.
pub(super) fn compare(expected: &Expected, story: &Story, again: u64, run: &str) -> Option<Difference> {
    let wanted = serde_json::to_value(expected).expect("an expectation has text keys only");
    let mut found = serde_json::to_value(story).expect("a story has text keys only");
    found["calls"] = Value::from(story.calls.saturating_sub(again));
    let members = wanted.as_object().expect("an expectation is an object").iter();
    let mut parts = members.filter_map(|(name, member)| first(name, member, &found[name.as_str()]));
    let because = expected.because.as_ref().filter(|part| !story.because.contains(part.as_str()));
    let because = because
        .map(|part| ("because".to_owned(), Value::from(part.as_str()), Value::from(story.because.as_str())));
    parts.next().or(because).map(|difference| Difference::of(run, difference))
}

/// The first place at which two values differ, with both.
fn first(path: &str, expected: &Value, found: &Value) -> Option<(String, Value, Value)> {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
            let null = Value::Null;
            let mut differences = names.filter_map(|name| {
                let (one, other) = (one.get(name), other.get(name));
                let path = format!("{path}.{name}");
                match (one, other) {
                    (Some(one), Some(other)) => first(&path, one, other),
                    (one, other) => {
                        Some((path, one.unwrap_or(&null).clone(), other.unwrap_or(&null).clone()))
                    }
                }
            });
            differences.next()
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut differences = one
                .iter()
                .zip(other)
                .enumerate()
                .filter_map(|(index, (one, other))| first(&format!("{path}[{index}]"), one, other));
            differences.next()
        }
        (Value::Number(one), Value::Number(other)) if close(one.as_f64(), other.as_f64()) => None,
        (one, other) if one == other => None,
        (one, other) => Some((path.to_owned(), one.clone(), other.clone())),
    }
}

fn close(one: Option<f64>, other: Option<f64>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    (one - other).abs() <= TOLERANCE * one.abs().max(other.abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        for (expected, found, path) in [
            (json!({"a": [1, {"b": 2}]}), json!({"a": [1, {"b": 3}]}), Some("outputs.a[1].b")),
            (json!({"a": 1}), json!({"a": 1, "b": null}), Some("outputs.b")),
            (json!({"a": 1}), json!({}), Some("outputs.a")),
            (json!([1, 2]), json!([1]), Some("outputs")),
            (json!({"a": 0.3}), json!({"a": 0.1 + 0.2}), None),
            (json!({"a": 0.3}), json!({"a": 0.300_001}), Some("outputs.a")),
            (json!(1), json!("1"), Some("outputs")),
        ] {
            let difference = first("outputs", &expected, &found);
            assert_eq!(difference.map(|(path, _, _)| path).as_deref(), path, "{expected} {found}");
        }
    }
}
