//! What tools are called with.

use std::sync::Arc;

use serde_json::Value;
use superstep_graph::ToolSpec;
use superstep_runtime::{Schema, ToolSignature};

use crate::error::LoadError;

/// The signature of a tool whose document has the schema of its arguments at `field`; without one it
/// takes none.
///
/// # Errors
/// The schema is none, or not that of an object.
pub(crate) fn signature(
    spec: &ToolSpec,
    field: &str,
    parameters: Option<&Value>,
) -> Result<ToolSignature, LoadError> {
    let parameters = match parameters {
        None => None,
        Some(parameters) => {
            let schema = Schema::compile(parameters).map_err(|source| LoadError::Schema {
                tool: spec.name.clone(),
                field: field.to_owned(),
                source,
            })?;
            if parameters["type"] != "object" {
                return Err(LoadError::Field {
                    tool: spec.name.clone(),
                    field: field.to_owned(),
                    message: "arguments are an object: say type: object".to_owned(),
                });
            }
            Some(Arc::clone(schema.value()))
        }
    };
    Ok(ToolSignature::of(spec, parameters))
}
