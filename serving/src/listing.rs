//! `GET /v1/models`.

use serde_json::{Value, json};

use crate::desk::Desk;
use crate::refusal::Refusal;

/// The list of models, which has one.
pub(crate) fn list(desk: &Desk) -> Value {
    json!({"object": "list", "data": [model(desk.offered.name())]})
}

/// One model by name.
pub(crate) fn one(desk: &Desk, name: &str) -> Result<Value, Refusal> {
    desk.check_name(name)?;
    Ok(model(name))
}

fn model(name: &str) -> Value {
    // Nobody knows when the model was made.
    json!({"id": name, "object": "model", "created": 0, "owned_by": "superstep"})
}
