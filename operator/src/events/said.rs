//! What was said of objects a short time ago. A list of whole events would be a large part of all that the operator knows.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

/// What is said of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    uid: Box<str>,
    kind: &'static str,
    reason: Box<str>,
    /// The hash of the text: an API server lets nobody change that of an event, so that another text is another event.
    note: blake3::Hash,
}

impl Key {
    /// That this is said, for a reason and in a text, of the object with this uid.
    pub(super) fn new(uid: &str, kind: &'static str, (reason, note): (&str, &str)) -> Self {
        Self { uid: uid.into(), kind, reason: reason.into(), note: blake3::hash(note.as_bytes()) }
    }
}

/// How often and when something was said.
#[derive(Debug)]
struct Times {
    first: Timestamp,
    count: i32,
    last: Instant,
}

/// What was said within an age.
#[derive(Debug)]
pub(super) struct Said {
    age: Duration,
    times: HashMap<Key, Times>,
    /// When what is older was forgotten.
    swept: Option<Instant>,
}

impl Said {
    /// Nothing was said.
    pub(super) fn new(age: Duration) -> Self {
        Self { age, times: HashMap::new(), swept: None }
    }

    /// When that was said first, and how often since.
    pub(super) fn last(&self, key: &Key, now: Instant) -> Option<(Timestamp, i32)> {
        let times = self.times.get(key)?;
        (now.duration_since(times.last) < self.age).then_some((times.first, times.count))
    }

    /// Notes that it was said, and forgets what is too old.
    pub(super) fn note(&mut self, key: Key, (first, count): (Timestamp, i32), now: Instant) {
        // Looking through all of it each time would cost more than what is said.
        if self.swept.is_none_or(|swept| now.duration_since(swept) >= self.age / 4) {
            self.times.retain(|_, times| now.duration_since(times.last) < self.age);
            self.times.shrink_to_fit();
            self.swept = Some(now);
        }
        self.times.insert(key, Times { first, count, last: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_said_again_is_counted_for_a_while() {
        let (mut said, start) = (Said::new(AGE), Instant::now());
        let key = Key::new("u", "Normal", ("Ready", "a"));
        assert_eq!(said.last(&key, start), None);
        said.note(key.clone(), (Timestamp::UNIX_EPOCH, 1), start);
        for other in [
            Key::new("v", "Normal", ("Ready", "a")),
            Key::new("u", "Warning", ("Ready", "a")),
            Key::new("u", "Normal", ("Other", "a")),
            Key::new("u", "Normal", ("Ready", "b")),
        ] {
            assert_eq!(said.last(&other, start), None, "{other:?}");
        }
        assert_eq!(said.last(&key, start + AGE / 2), Some((Timestamp::UNIX_EPOCH, 1)));
        said.note(key.clone(), (Timestamp::UNIX_EPOCH, 2), start + AGE / 2);
        assert_eq!(said.last(&key, start + AGE), Some((Timestamp::UNIX_EPOCH, 2)));
        assert_eq!(said.last(&key, start + AGE * 2), None);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let (mut said, start) = (Said::new(AGE), Instant::now());
        for uid in 0..100 {
            said.note(
                Key::new(&uid.to_string(), "Normal", ("Ready", "a")),
                (Timestamp::UNIX_EPOCH, 1),
                start,
            );
        }
        said.note(Key::new("later", "Normal", ("Ready", "a")), (Timestamp::UNIX_EPOCH, 1), start + AGE);
        assert_eq!(said.times.len(), 1);
    }
}
