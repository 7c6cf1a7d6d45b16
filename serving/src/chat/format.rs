//! What form an answer is to have.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fields::Fields;
use crate::refusal::Refusal;

/// What form an answer is to have.
#[derive(Debug, PartialEq)]
pub(super) enum ResponseFormat {
    /// A text.
    Text,
    /// JSON that fits a schema.
    Schema(Arc<Value>),
}

impl ResponseFormat {
    /// Takes `response_format`. An answer is held to a schema whether it is to be strict or not.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Refusal> {
        const PLACE: &str = "response_format";
        let Some(format) = fields.take::<Value>(PLACE)? else { return Ok(Self::Text) };
        let mut format = Fields::of(PLACE, format)?;
        let read = match format.need::<String>("type")?.as_str() {
            "text" => Self::Text,
            "json_object" => Self::Schema(Arc::new(json!({"type": "object"}))),
            "json_schema" => {
                let mut inner = Fields::of("response_format.json_schema", format.need("json_schema")?)?;
                let schema: Value = inner.need("schema")?;
                inner.ignore(&["name", "description", "strict"]);
                inner.finish()?;
                Self::Schema(Arc::new(schema))
            }
            other => {
                let message = format!("{other:?} is none of text, json_object, json_schema");
                return Err(Refusal::of_field("response_format.type", message));
            }
        };
        format.finish()?;
        Ok(read)
    }

    /// The schema that the answer is held to.
    pub(super) fn schema(&self) -> Option<Arc<Value>> {
        match self {
            Self::Text => None,
            Self::Schema(schema) => Some(Arc::clone(schema)),
        }
    }
}
