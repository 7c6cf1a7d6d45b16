//! What a replay finds to be other than the log has it.

use serde::Serialize;
use serde_json::{Value, json};
use superstep_engine::{ActivationId, Outcome};

/// Something that did not come out as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The superstep that was to be committed.
    pub superstep: u64,
    /// The activation; none if it is the commit itself.
    pub activation: Option<ActivationId>,
    /// What of it differs, as in `emissions[0].payload`.
    pub field: String,
    /// What the log has.
    pub recorded: Value,
    /// What came out.
    pub again: Value,
}

impl Difference {
    /// How `again` differs from what was recorded, if it does: in a byte of what the log would have.
    pub(super) fn between(
        superstep: u64,
        activation: &ActivationId,
        recorded: &Outcome,
        again: &Outcome,
    ) -> Option<Self> {
        if encoded(recorded) == encoded(again) {
            return None;
        }
        let (one, two) = (shown(recorded), shown(again));
        let (field, recorded, again) =
            first_difference("", &one, &two).unwrap_or_else(|| ("encoding".to_owned(), one, two));
        let activation = Some(activation.clone());
        Some(Self { superstep, activation, field, recorded, again })
    }

    /// A call that the log has and was not made, or the other way.
    pub(super) fn of_call(
        superstep: u64,
        activation: &ActivationId,
        recorded: Option<String>,
        again: Option<String>,
    ) -> Self {
        let field = "call".to_owned();
        let activation = Some(activation.clone());
        Self { superstep, activation, field, recorded: recorded.into(), again: again.into() }
    }

    /// A commit that does not follow from the records before it.
    pub(super) fn of_commit(superstep: u64, why: String) -> Self {
        let field = "commit".to_owned();
        Self { superstep, activation: None, field, recorded: Value::Null, again: why.into() }
    }
}

/// What the log would hold of it.
fn encoded(outcome: &Outcome) -> Vec<u8> {
    fn bytes(kind: u8, content: &impl Serialize) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(postcard::to_stdvec(content).expect("what a log holds can be encoded"));
        bytes
    }
    match outcome {
        Outcome::Done(result) => bytes(0, result),
        Outcome::Suspended(question) => bytes(1, question),
        Outcome::Failed(failure) => bytes(2, failure),
    }
}

fn shown(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Done(result) => json!(result),
        Outcome::Suspended(question) => json!({ "question": question }),
        Outcome::Failed(failure) => json!({ "failure": failure }),
    }
}

/// The first place at which two values differ, from the top, and what stands there.
fn first_difference(path: &str, one: &Value, two: &Value) -> Option<(String, Value, Value)> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (one, two) {
        (Value::Object(ones), Value::Object(twos)) if ones.keys().any(|name| twos.contains_key(name)) => {
            let names = ones.keys().chain(twos.keys().filter(|name| !ones.contains_key(*name)));
            let mut differences = names.filter_map(|name| {
                let (one, two) = (ones.get(name), twos.get(name));
                let member = |value: Option<&Value>| value.cloned().unwrap_or_default();
                match (one, two) {
                    (Some(one), Some(two)) => first_difference(&below(name), one, two),
                    (one, two) => Some((below(name), member(one), member(two))),
                }
            });
            differences.next()
        }
        (Value::Array(ones), Value::Array(twos)) if !ones.is_empty() && !twos.is_empty() => {
            let most = ones.len().max(twos.len());
            let item = |list: &[Value], index: usize| list.get(index).cloned().unwrap_or_default();
            (0..most).find_map(|index| match (ones.get(index), twos.get(index)) {
                (Some(one), Some(two)) => first_difference(&format!("{path}[{index}]"), one, two),
                _ => Some((format!("{path}[{index}]"), item(ones, index), item(twos, index))),
            })
        }
        _ if one == two => None,
        _ => {
            let field = if path.is_empty() { "outcome".to_owned() } else { path.to_owned() };
            Some((field, one.clone(), two.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use superstep_engine::{Failure, Payload, ProgramResult, Question};

    use super::*;

    fn activation() -> ActivationId {
        ActivationId {
            frame: superstep_engine::FrameId::ROOT,
            vertex: "a".into(),
            incarnation: 0,
            superstep: 3,
            element: None,
        }
    }

    fn done(value: Value) -> Outcome {
        Outcome::Done(ProgramResult::output(Payload::from(value)))
    }

    #[test]
    fn the_first_field_that_differs_is_named() {
        let failed = |message: &str| Outcome::Failed(Failure::permanent(message));
        let asked =
            |text: &str| Outcome::Suspended(Question { ask: Payload::from(json!(text)), state: None });
        let appended = Outcome::Done(ProgramResult {
            value: superstep_engine::ValueChange::Append(Payload::from(json!(1))),
            ..ProgramResult::output(Payload::from(json!(1)))
        });
        for (recorded, again, field) in [
            (done(json!(1)), done(json!(1)), None),
            (done(json!(1)), done(json!(1.0)), Some("emissions[0].payload")),
            (done(json!({"a": [1, 2]})), done(json!({"a": [1, 3]})), Some("emissions[0].payload.a[1]")),
            (done(json!({"a": 1})), done(json!({"a": 1, "b": null})), Some("emissions[0].payload.b")),
            (done(json!([1])), done(json!([1, null])), Some("emissions[0].payload[1]")),
            (done(json!(1)), appended, Some("value")),
            (done(json!(1)), failed("x"), Some("outcome")),
            (failed("x"), failed("y"), Some("failure.message")),
            (asked("x"), asked("y"), Some("question.ask")),
        ] {
            let found = Difference::between(3, &activation(), &recorded, &again);
            assert_eq!(found.map(|found| found.field).as_deref(), field, "{recorded:?} {again:?}");
        }
    }
}
