//! What form an answer is to have.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fields::{Fields, Shape};
use crate::refusal::Refusal;

/// What form an answer is to have.
#[derive(Debug, PartialEq)]
pub(crate) enum AnswerFormat {
    /// A text.
    Text,
    /// JSON that fits a schema, whether it is to be strict or not.
    Schema(Arc<Value>),
}

impl AnswerFormat {
    /// Takes `response_format`, as of chat completions.
    pub(crate) fn of_chat(fields: &mut Fields) -> Result<Self, Refusal> {
        const PLACE: &str = "response_format";
        match fields.take::<Value>(PLACE)? {
            Some(format) => Self::read(Fields::of(PLACE, format)?, Shape::Nested),
            None => Ok(Self::Text),
        }
    }

    /// Takes `text.format`, as of responses.
    pub(crate) fn of_response(fields: &mut Fields) -> Result<Self, Refusal> {
        const PLACE: &str = "text";
        let Some(text) = fields.take::<Value>(PLACE)? else { return Ok(Self::Text) };
        let mut text = Fields::of(PLACE, text)?;
        let format: Option<Value> = text.take("format")?;
        text.finish()?;
        match format {
            Some(format) => Self::read(Fields::of("text.format", format)?, Shape::Flat),
            None => Ok(Self::Text),
        }
    }

    fn read(mut format: Fields, shape: Shape) -> Result<Self, Refusal> {
        match format.need::<String>("type")?.as_str() {
            "text" => format.finish().map(|()| Self::Text),
            "json_object" => {
                format.finish()?;
                Ok(Self::Schema(Arc::new(json!({"type": "object"}))))
            }
            "json_schema" => {
                let mut parts = format.parts("json_schema", shape)?;
                let schema: Value = parts.need("schema")?;
                parts.ignore(&["name", "description", "strict"]);
                parts.finish()?;
                Ok(Self::Schema(Arc::new(schema)))
            }
            other => {
                let message = format!("{other:?} is none of text, json_object, json_schema");
                Err(Refusal::of_field(format.name("type"), message))
            }
        }
    }

    /// The schema that the answer is held to.
    pub(crate) fn schema(&self) -> Option<Arc<Value>> {
        match self {
            Self::Text => None,
            Self::Schema(schema) => Some(Arc::clone(schema)),
        }
    }
}
