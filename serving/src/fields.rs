//! The members of a JSON object, taken one by one, so that what nobody takes can be refused.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// Where the parts of what has a type stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// In a member that is named after the type, as of chat completions.
    Nested,
    /// Beside the type, as of responses.
    Flat,
}

/// What is left of an object.
pub(crate) struct Fields {
    /// Before the names of members in messages.
    place: String,
    members: Map<String, Value>,
}

impl Fields {
    /// The members of the body of a request.
    pub(crate) fn of_body(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self { place: String::new(), members }),
            Ok(_) => Err(Refusal::invalid("the body is no JSON object")),
            Err(error) => Err(Refusal::invalid(format!("the body is no JSON: {error}"))),
        }
    }

    /// The members of the object at `place`.
    pub(crate) fn of(place: &str, value: Value) -> Result<Self, Refusal> {
        match value {
            Value::Object(members) => Ok(Self { place: format!("{place}."), members }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(Refusal::of_field(place, format!("{place} is an object")))
            }
        }
    }

    /// What `member` has, and nothing beside it; or, where the parts are not nested, what is here.
    pub(crate) fn parts(mut self, member: &str, shape: Shape) -> Result<Self, Refusal> {
        match shape {
            Shape::Flat => Ok(self),
            Shape::Nested => {
                let parts = Self::of(&self.name(member), self.need(member)?)?;
                self.finish()?;
                Ok(parts)
            }
        }
    }

    /// What a member is, or null.
    pub(crate) fn look(&self, member: &str) -> Value {
        self.members.get(member).cloned().unwrap_or_default()
    }

    /// The full name of a member.
    pub(crate) fn name(&self, member: &str) -> String {
        format!("{}{member}", self.place)
    }

    /// Takes a member out; one that is null counts as left out.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, member: &str) -> Result<Option<T>, Refusal> {
        let Some(value) = self.members.remove(member).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let wrong = |error| {
            let name = self.name(member);
            Refusal::of_field(name.as_str(), format!("{name} has another form: {error}"))
        };
        serde_json::from_value(value).map(Some).map_err(wrong)
    }

    /// Takes a member out that has to be there.
    pub(crate) fn need<T: DeserializeOwned>(&mut self, member: &str) -> Result<T, Refusal> {
        let name = self.name(member);
        let missing = || Refusal::of_field(name.as_str(), format!("{name} is missing"));
        self.take(member)?.ok_or_else(missing)
    }

    /// Takes members out that change no answer.
    pub(crate) fn ignore(&mut self, members: &[&str]) {
        for member in members {
            self.members.remove(*member);
        }
    }

    /// Refuses the members that are left, apart from those that say nothing.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        let says_nothing = |value: &Value| match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        match self.members.iter().find(|(_, value)| !says_nothing(value)) {
            Some((member, _)) => Err(Refusal::unknown(self.name(member))),
            None => Ok(()),
        }
    }
}
