//! Texts that are shared.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use superstep_engine::Payload;

/// A text that is never changed; cloning shares it. So does taking it [from a payload](Self::of): what a tool gave is
/// there once, as the outcome of its call and as what a model is told of it.
#[derive(Clone)]
pub struct SharedText(Payload);

impl SharedText {
    /// The text that a payload is, if it is one.
    pub fn of(payload: &Payload) -> Option<Self> {
        payload.value().is_string().then(|| Self(payload.clone()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        self.0.value().as_str().expect("it is made of a text alone")
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        Self(Payload::from(Value::String(text)))
    }
}

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl PartialEq for SharedText {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same(&other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for SharedText {}

impl Serialize for SharedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SharedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_of_a_payload_is_not_copied() {
        let payload = Payload::from(json!("seven"));
        let text = SharedText::of(&payload).unwrap();
        let again = text.clone();
        drop(text);
        assert!(std::ptr::eq(again.as_str(), payload.value().as_str().unwrap()));
        for other in [json!(null), json!(7), json!(["seven"]), json!({"text": "seven"})] {
            assert!(SharedText::of(&Payload::from(other)).is_none());
        }
    }

    #[test]
    fn it_is_written_and_read_as_the_text_that_it_is() {
        let text = SharedText::from("a \"b\"");
        assert_eq!(json!(text), json!("a \"b\""));
        assert_eq!(serde_json::from_value::<SharedText>(json!("a \"b\"")).unwrap(), text);
        assert_eq!(postcard::to_stdvec(&text), postcard::to_stdvec("a \"b\""));
        assert_ne!(text, SharedText::from(String::from("b")));
        assert_eq!(format!("{text} {text:?}"), "a \"b\" \"a \\\"b\\\"\"");
        assert!(serde_json::from_value::<SharedText>(json!(7)).is_err());
    }
}
