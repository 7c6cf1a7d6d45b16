//! What is read out of objects.

use std::time::Duration;

use serde_json::Value;

const DAY: Duration = Duration::from_secs(86_400);

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

/// The time of the day of a moment as objects tell it, such as `2026-11-29T10:38:41Z`.
pub(crate) fn time_of_day(moment: &str) -> Option<Duration> {
    let (_, time) = moment.trim_end_matches('Z').split_once('T')?;
    let mut seconds = 0.0;
    for part in time.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// How long after one moment another one is, which is less than half a day. Clocks of two machines may differ, so that what
/// follows seems to come before: then it is nothing.
pub(crate) fn since(earlier: &str, later: &str) -> Option<Duration> {
    let (earlier, later) = (time_of_day(earlier)?, time_of_day(later)?);
    let after = if later < earlier { later + DAY - earlier } else { later - earlier };
    Some(if after > DAY / 2 { Duration::ZERO } else { after })
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

    #[test]
    fn moments_may_stand_on_both_sides_of_midnight_or_the_wrong_way() {
        for (earlier, later, seconds) in [
            ("2026-11-29T10:38:41Z", "2026-11-29T10:39:11Z", 30.0),
            ("2026-11-29T23:59:50Z", "2026-11-30T00:00:20.5Z", 30.5),
            ("2026-11-29T10:38:41Z", "2026-11-29T10:38:40Z", 0.0),
        ] {
            assert_eq!(since(earlier, later), Some(Duration::from_secs_f64(seconds)), "{earlier} {later}");
        }
        assert_eq!(since("", "2026-11-29T10:38:40Z"), None);
    }
}
