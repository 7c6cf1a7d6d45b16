//! What closures give back.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;
use serde_json::Value;
use superstep_engine::Payload;

/// What a closure may give back: a JSON value, [`Json`] around anything that serializes, or a `Result` of
/// what serializes and of an error, whose text the model or the run is told.
#[diagnostic::on_unimplemented(
    message = "a closure cannot give back `{Self}`",
    note = "wrap what derives `Serialize` in `Json(…)`, or give back a `Result` of it"
)]
pub trait IntoAnswer {
    /// The payload, or the message of the error.
    ///
    /// # Errors
    /// The closure failed, or what it gave back has no form in JSON.
    fn into_answer(self) -> Result<Payload, String>;
}

/// What serializes, as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

fn answer(value: impl Serialize) -> Result<Payload, String> {
    serde_json::to_value(value).map(Payload::from).map_err(|error| format!("the answer is no JSON: {error}"))
}

impl<T: Serialize> IntoAnswer for Json<T> {
    fn into_answer(self) -> Result<Payload, String> {
        answer(self.0)
    }
}

impl<T: Serialize, E: Display> IntoAnswer for Result<T, E> {
    fn into_answer(self) -> Result<Payload, String> {
        self.map_err(|error| error.to_string()).and_then(answer)
    }
}

impl IntoAnswer for Payload {
    fn into_answer(self) -> Result<Payload, String> {
        Ok(self)
    }
}

impl IntoAnswer for Value {
    fn into_answer(self) -> Result<Payload, String> {
        Ok(self.into())
    }
}

impl<T: Serialize> IntoAnswer for Option<T> {
    fn into_answer(self) -> Result<Payload, String> {
        answer(self)
    }
}

impl<T: Serialize> IntoAnswer for Vec<T> {
    fn into_answer(self) -> Result<Payload, String> {
        answer(self)
    }
}

impl<T: Serialize> IntoAnswer for BTreeMap<String, T> {
    fn into_answer(self) -> Result<Payload, String> {
        answer(self)
    }
}

macro_rules! serializes {
    ($($type:ty),*) => {
        $(impl IntoAnswer for $type {
            fn into_answer(self) -> Result<Payload, String> {
                answer(self)
            }
        })*
    };
}

serializes!((), bool, i32, i64, u32, u64, usize, f32, f64, String, &'static str);
