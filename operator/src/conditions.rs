//! Conditions as kstatus reads them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// How an object stands as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// What the generation asks for is there.
    Ready {
        /// Why, in one word.
        reason: &'static str,
        /// The same in a sentence.
        message: String,
    },
    /// It is on its way.
    Reconciling {
        /// What is waited for, in one word.
        reason: &'static str,
        /// The same in a sentence.
        message: String,
    },
    /// It does not come without a change from outside.
    Stalled {
        /// What is wrong, in one word.
        reason: &'static str,
        /// The same in a sentence, with what to do.
        message: String,
    },
}

/// A condition that says whether one thing is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What was looked at, such as `GraphValid`.
    pub(crate) kind: &'static str,
    /// Whether it is so; none if that is not known.
    pub(crate) holds: Option<bool>,
    /// Why, in one word.
    pub(crate) reason: &'static str,
    /// The same in a sentence.
    pub(crate) message: String,
}

/// The longest message that a condition may have.
const MESSAGE: usize = 32_768;

/// The conditions of an object of `generation`. A condition that says the same as one of `before` keeps its time.
pub(crate) fn conditions(
    before: &[Condition],
    generation: Option<i64>,
    standing: &Standing,
    findings: &[Finding],
    at: Timestamp,
) -> Vec<Condition> {
    let (ready, reason, message) = match standing {
        Standing::Ready { reason, message } => (true, *reason, message),
        Standing::Reconciling { reason, message } | Standing::Stalled { reason, message } => {
            (false, *reason, message)
        }
    };
    let said = |kind: &'static str, holds: Option<bool>, reason: &str, message: &str| {
        let status = match holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let since = before.iter().find(|old| old.type_ == kind && old.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: cut(message),
            observed_generation: generation,
            last_transition_time: since.map_or(Time(at), |old| old.last_transition_time.clone()),
        }
    };
    let mut all = vec![said("Ready", Some(ready), reason, message)];
    match standing {
        Standing::Ready { .. } => {}
        Standing::Reconciling { .. } => all.push(said("Reconciling", Some(true), reason, message)),
        Standing::Stalled { .. } => all.push(said("Stalled", Some(true), reason, message)),
    }
    all.extend(findings.iter().map(|found| said(found.kind, found.holds, found.reason, &found.message)));
    all
}

/// As much of a message as a condition takes.
fn cut(message: &str) -> String {
    let mut end = message.len().min(MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn stalled(message: &str) -> Standing {
        Standing::Stalled { reason: "Invalid", message: message.to_owned() }
    }

    #[test]
    fn a_condition_keeps_its_time_while_it_says_the_same() {
        let first = conditions(&[], Some(1), &stalled("one"), &[], at(1));
        let second = conditions(&first, Some(2), &stalled("two"), &[], at(2));
        assert_eq!(second[0].last_transition_time, Time(at(1)));
        assert_eq!((second[0].message.as_str(), second[0].observed_generation), ("two", Some(2)));
        let ready = Standing::Ready { reason: "Available", message: String::new() };
        let third = conditions(&second, Some(2), &ready, &[], at(3));
        assert_eq!((third[0].status.as_str(), &third[0].last_transition_time), ("True", &Time(at(3))));
        assert_eq!(third.len(), 1);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "é".repeat(MESSAGE);
        let cut = conditions(&[], None, &stalled(&long), &[], at(0)).remove(0).message;
        assert!(cut.len() <= MESSAGE && cut.chars().all(|letter| letter == 'é'));
    }
}
