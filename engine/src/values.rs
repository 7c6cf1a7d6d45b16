//! Values folded into one: combiners and aggregators.

use serde_json::{Number, Value};
use superstep_graph::{AggregatorFold, Combiner};

use crate::payload::Payload;
use crate::program::Failure;

/// Folds the messages of one sender, in the order of their ids. The folds are associative; the sum
/// of floating-point numbers is so only within rounding, which is why the order is fixed.
pub(crate) fn combine(combiner: Combiner, payloads: &[&Payload]) -> Result<Payload, Failure> {
    let Some((first, rest)) = payloads.split_first() else { return Ok(Payload::null()) };
    match combiner {
        Combiner::First => Ok((*first).clone()),
        Combiner::Last => Ok(payloads[payloads.len() - 1].clone()),
        Combiner::Append => Ok(Payload::list(payloads.iter().copied())),
        Combiner::Sum | Combiner::Min | Combiner::Max => {
            let mut folded = number(first)?;
            for payload in rest {
                folded = match combiner {
                    Combiner::Sum => add(&folded, &number(payload)?)
                        .ok_or_else(|| Failure::permanent("the sum is larger than a number can be"))?,
                    Combiner::Min => pick(folded, number(payload)?, true),
                    Combiner::Max | Combiner::First | Combiner::Last | Combiner::Append => {
                        pick(folded, number(payload)?, false)
                    }
                };
            }
            Ok(Payload::from(Value::Number(folded)))
        }
    }
}

/// Folds contributions to an aggregator onto what it held, if that goes on.
pub(crate) fn aggregate(
    fold: AggregatorFold,
    held: Option<&Payload>,
    contributions: &[&Payload],
) -> Option<Payload> {
    if contributions.is_empty() {
        return held.cloned();
    }
    let all: Vec<&Payload> = held.into_iter().chain(contributions.iter().copied()).collect();
    let numeric = |combiner| combine(combiner, &all).ok();
    match fold {
        // What was contributed is committed, so a sum that is too large ends at the largest number.
        AggregatorFold::Sum => numeric(Combiner::Sum).or_else(|| largest(&all)),
        AggregatorFold::Min => numeric(Combiner::Min),
        AggregatorFold::Max => numeric(Combiner::Max),
        AggregatorFold::Last => all.last().map(|last| (*last).clone()),
        AggregatorFold::Count => {
            let before = held.and_then(|held| held.value().as_u64()).unwrap_or(0);
            Some(Payload::from(Value::from(before + contributions.len() as u64)))
        }
        AggregatorFold::Append => {
            let held = held.and_then(Payload::items).unwrap_or_default();
            Some(Payload::list(held.iter().chain(contributions.iter().copied())))
        }
    }
}

/// Whether a contribution is of a kind that `fold` can take.
pub(crate) fn accepts(fold: AggregatorFold, payload: &Payload) -> bool {
    match fold {
        AggregatorFold::Sum | AggregatorFold::Min | AggregatorFold::Max => payload.value().is_number(),
        AggregatorFold::Count | AggregatorFold::Last | AggregatorFold::Append => true,
    }
}

/// Whether an aggregator of this fold can have come to hold that.
pub(crate) fn holds(fold: AggregatorFold, held: &Payload) -> bool {
    match fold {
        AggregatorFold::Sum | AggregatorFold::Min | AggregatorFold::Max => held.value().is_number(),
        AggregatorFold::Count => held.value().is_u64(),
        AggregatorFold::Append => held.value().is_array(),
        AggregatorFold::Last => true,
    }
}

fn number(payload: &Payload) -> Result<Number, Failure> {
    match payload.value() {
        Value::Number(number) => Ok(number.clone()),
        other @ (Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Failure::permanent(format!("a combiner of numbers was given {other}")))
        }
    }
}

/// The sum; none if it is not finite.
fn add(one: &Number, two: &Number) -> Option<Number> {
    if let (Some(one), Some(two)) = (one.as_i64(), two.as_i64())
        && let Some(sum) = one.checked_add(two)
    {
        return Some(Number::from(sum));
    }
    Number::from_f64(float(one) + float(two))
}

/// The number at which a sum that is not finite stops, of the sign that the sum has.
fn largest(all: &[&Payload]) -> Option<Payload> {
    let sum: f64 = all.iter().filter_map(|payload| payload.value().as_f64()).sum();
    Number::from_f64(f64::MAX.copysign(sum)).map(|number| Payload::from(Value::Number(number)))
}

fn pick(one: Number, two: Number, least: bool) -> Number {
    let two_is_less = match (one.as_i64(), two.as_i64()) {
        (Some(one), Some(two)) => two < one,
        _ => float(&two) < float(&one),
    };
    if two_is_less == least { two } else { one }
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn payloads(values: Value) -> Vec<Payload> {
        values.as_array().unwrap().iter().cloned().map(Payload::from).collect()
    }

    #[test]
    fn combiners_fold_in_order() {
        let three = payloads(json!([2, 5, 1]));
        let refs: Vec<&Payload> = three.iter().collect();
        for (combiner, expected) in [
            (Combiner::Sum, json!(8)),
            (Combiner::Min, json!(1)),
            (Combiner::Max, json!(5)),
            (Combiner::First, json!(2)),
            (Combiner::Last, json!(1)),
            (Combiner::Append, json!([2, 5, 1])),
        ] {
            assert_eq!(combine(combiner, &refs).unwrap().value(), &expected, "{combiner:?}");
        }
        for unfit in [json!([1, "x"]), json!([1e308, 1e308])] {
            let unfit = payloads(unfit);
            assert!(combine(Combiner::Sum, &unfit.iter().collect::<Vec<_>>()).is_err(), "{unfit:?}");
        }
    }

    #[test]
    fn a_sum_that_is_too_large_stays_the_largest_number() {
        let fold = |held: f64, more: Value| {
            let (held, more) = (Payload::from(json!(held)), payloads(more));
            let folded = aggregate(AggregatorFold::Sum, Some(&held), &more.iter().collect::<Vec<_>>());
            folded.unwrap().value().as_f64().unwrap()
        };
        assert_eq!(fold(1e308, json!([1e308, 1e308])), f64::MAX);
        assert_eq!(fold(-1e308, json!([-1e308])), -f64::MAX);
        assert_eq!(fold(f64::MAX, json!([-1.0])), f64::MAX - 1.0);
    }

    #[test]
    fn aggregators_go_on_from_what_they_held() {
        let held = Payload::from(json!(10));
        let two = payloads(json!([1, 2]));
        let refs: Vec<&Payload> = two.iter().collect();
        for (fold, expected) in [
            (AggregatorFold::Sum, json!(13)),
            (AggregatorFold::Count, json!(12)),
            (AggregatorFold::Min, json!(1)),
            (AggregatorFold::Max, json!(10)),
            (AggregatorFold::Last, json!(2)),
        ] {
            assert_eq!(aggregate(fold, Some(&held), &refs).unwrap().value(), &expected, "{fold:?}");
        }
        assert_eq!(aggregate(AggregatorFold::Append, None, &refs).unwrap().value(), &json!([1, 2]));
    }

    proptest::proptest! {
        #[test]
        fn combiners_are_associative(numbers in proptest::collection::vec(-1_000i64..1_000, 1..12), cut in 0usize..12) {
            let all: Vec<Payload> = numbers.iter().map(|number| Payload::from(json!(number))).collect();
            let refs: Vec<&Payload> = all.iter().collect();
            let (left, right) = refs.split_at(cut.min(refs.len()));
            for combiner in [Combiner::Sum, Combiner::Min, Combiner::Max, Combiner::First, Combiner::Last] {
                let whole = combine(combiner, &refs).unwrap();
                let parts: Vec<Payload> =
                    [left, right].iter().filter(|part| !part.is_empty()).map(|part| combine(combiner, part).unwrap()).collect();
                let folded = combine(combiner, &parts.iter().collect::<Vec<_>>()).unwrap();
                proptest::prop_assert_eq!(whole, folded, "{:?}", combiner);
            }
        }
    }
}
