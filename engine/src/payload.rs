//! JSON that travels: shared, immutable, cheap to clone.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// An immutable JSON value. Cloning shares it. Binary formats store it as JSON text, for they
/// cannot describe it themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload(Arc<Value>);

impl Payload {
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
