//! The items of a text that is a list, one after the other: the list itself never becomes a value.

use std::sync::{Arc, OnceLock};

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde_json::Value;

use super::{Form, Payload, depth};

/// The items of a text that was seen to be JSON, if it is a list.
pub(super) fn of(text: &str) -> Option<Vec<Payload>> {
    let items: Vec<Item> = serde_json::from_str(text).ok()?;
    Some(items.into_iter().map(|item| item.0).collect())
}

/// How many they are, if it is a list.
pub(super) fn count(text: &str) -> Option<usize> {
    serde_json::from_str::<Vec<IgnoredAny>>(text).ok().map(|items| items.len())
}

/// A list or an object as the text that its value is written as, anything else as a value.
struct Item(Payload);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(match value {
            Value::Null => Payload::null(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Payload::from(value),
            // As a value it takes many times as much, of which an item is spared that is only handed on.
            Value::Array(_) | Value::Object(_) => {
                let (text, depth) = (value.to_string().into(), depth(&value, Payload::MAX_DEPTH));
                Payload(Arc::new(Form::Text { text, depth, whole: OnceLock::new() }))
            }
        }))
    }
}
