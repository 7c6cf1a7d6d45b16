//! `GET /v1/models`.

use serde_json::{Value, json};

use crate::desk::Desk;
use crate::refusal::Refusal;

/// The list of models: the one, and with each of its adapters.
pub(crate) fn list(desk: &Desk) -> Value {
    let base = desk.offered.name();
    let models: Vec<Value> = desk.names().iter().map(|name| model(name, base)).collect();
    json!({"object": "list", "data": models})
}

/// One model by name.
pub(crate) fn one(desk: &Desk, name: &str) -> Result<Value, Refusal> {
    let base = desk.offered.name();
    if desk.offered.model.is_some() {
        desk.writer(name)?;
    } else {
        desk.check_name(name)?;
    }
    Ok(model(name, base))
}

fn model(name: &str, base: &str) -> Value {
    // Nobody knows when the model was made.
    let mut model = json!({"id": name, "object": "model", "created": 0, "owned_by": "superstep"});
    if name.starts_with(&format!("{base}:")) {
        model["parent"] = base.into();
    }
    model
}
