//! JSON that travels: shared, immutable, cheap to clone.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// An immutable JSON value. Cloning shares it. Binary formats store it as JSON text, for they
/// cannot describe it themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload(Arc<Value>);

/// Whether lists and objects are nested more than `levels` deep in `value`.
pub(crate) fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|member| is_deeper(member, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

impl Payload {
    /// How many lists and objects may be nested in a payload that a run takes in. What reads a log allows
    /// a few more, so that every record that was written can be read.
    pub const MAX_DEPTH: usize = 100;

    /// JSON null; all of them share one value.
    pub fn null() -> Self {
        static NULL: LazyLock<Arc<Value>> = LazyLock::new(|| Arc::new(Value::Null));
        Self(Arc::clone(&NULL))
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Appends an item: null becomes a list of it, a value that is no list becomes the list's first
    /// item. Copies the list only where it is shared.
    pub(crate) fn append(&mut self, item: Value) {
        match Arc::make_mut(&mut self.0) {
            Value::Array(items) => items.push(item),
            Value::Null => *self = Self::from(Value::Array(vec![item])),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                *self = Self::from(Value::Array(vec![other.take(), item]))
            }
        }
    }

    /// Whether it is nested deeper than [`MAX_DEPTH`](Self::MAX_DEPTH).
    pub fn is_too_deep(&self) -> bool {
        is_deeper(&self.0, Self::MAX_DEPTH)
    }

    /// A list of payloads as one payload.
    pub fn list<'a>(items: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::from(Value::Array(items.into_iter().map(|item| item.value().clone()).collect()))
    }
}

impl From<Arc<Value>> for Payload {
    fn from(value: Arc<Value>) -> Self {
        Self(value)
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self(Arc::new(value))
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_json::serialize(&*self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        as_json::deserialize(deserializer).map(|value: Value| Self(Arc::new(value)))
    }
}

/// Serde for members whose shape a binary format cannot describe: JSON text there, themselves in
/// formats that people read.
pub(crate) mod as_json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return value.serialize(serializer);
        }
        serializer.serialize_str(&serde_json::to_string(value).map_err(S::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        if deserializer.is_human_readable() {
            return T::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Payload {
        Payload::from((0..levels).fold(Value::from(1), |inner, level| {
            if level % 2 == 0 { serde_json::json!([inner]) } else { serde_json::json!({"in": inner}) }
        }))
    }

    #[test]
    fn what_may_be_recorded_can_be_read_again() {
        assert!(!nested(Payload::MAX_DEPTH).is_too_deep());
        assert!(nested(Payload::MAX_DEPTH + 1).is_too_deep());
        let text = nested(Payload::MAX_DEPTH).value().to_string();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), *nested(Payload::MAX_DEPTH).value());
    }
}
