//! What is read out of objects.

use serde_json::Value;

/// A text in an object, or an empty one.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A number in an object, or none.
pub(crate) fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The items of a list in an object, or none.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Kind and name.
pub(crate) fn name_of(object: &Value) -> String {
    format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name"))
}

/// A condition of this type, of the object as it stands.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let current = number(object, "/metadata/generation");
    let of_type = list(object, "/status/conditions").iter().find(|found| text(found, "/type") == kind)?;
    let observed = number(of_type, "/observedGeneration").or(number(object, "/status/observedGeneration"));
    (observed >= current).then_some(of_type)
}

/// Whether a condition of this type is true, of the object as it stands.
pub(crate) fn is(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|found| text(found, "/status") == "True")
}

/// Whether nothing more will come of the object as it stands unless something else changes.
pub(crate) fn is_settled(object: &Value) -> bool {
    is(object, "Ready") || is(object, "Stalled")
}

/// The conditions, in a line.
pub(crate) fn told(object: &Value) -> String {
    let conditions = list(object, "/status/conditions").iter().map(|found| {
        let [kind, status, reason, message] =
            ["/type", "/status", "/reason", "/message"].map(|pointer| text(found, pointer));
        format!("{kind}={status} ({reason}: {message})")
    });
    let phase = text(object, "/status/phase");
    format!("{phase} {}", conditions.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_of_an_older_generation_says_nothing() {
        let object = |generation: u32, observed: u32| {
            json!({
                "metadata": {"generation": generation},
                "status": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": observed}]},
            })
        };
        assert!(is_settled(&object(2, 2)));
        assert!(!is_settled(&object(2, 1)));
        assert!(!is(&object(2, 2), "Stalled"));
    }
}
