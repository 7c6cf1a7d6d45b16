//! Runs as documents. A local run reads none, and begins with the options of the command; a cluster has them as objects.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::graph_run::RunSpec;
use crate::kind::API_VERSION;
use crate::metadata::ObjectMeta;

/// The schema of a run.
pub(super) enum GraphRun {}

/// The schema of the `metadata` of a run whose name the API server makes.
enum GeneratedMeta {}

impl GraphRun {
    pub(super) const KIND: &'static str = "GraphRun";
}

impl JsonSchema for GraphRun {
    fn schema_name() -> Cow<'static, str> {
        Self::KIND.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<ObjectMeta>();
        let generated = generator.subschema_for::<GeneratedMeta>();
        let mut spec = generator.subschema_for::<RunSpec>();
        spec.insert("description".to_owned(), "What is run, and with what.".into());
        json_schema!({
            "description": "One run of a graph, which is created on a cluster.",
            "type": "object",
            "additionalProperties": false,
            "required": ["apiVersion", "kind", "metadata", "spec"],
            "properties": {
                "apiVersion": {"description": "`superstep.dev/v1alpha1`.", "type": "string", "const": API_VERSION},
                "kind": {"description": "`GraphRun`.", "type": "string", "const": Self::KIND},
                "metadata": {
                    "description": "Its name, or how the name begins that the API server makes.",
                    "anyOf": [named, generated],
                },
                "spec": spec,
                "status": {"description": "Of the operator."},
            },
        })
    }
}

impl JsonSchema for GeneratedMeta {
    fn schema_name() -> Cow<'static, str> {
        "GeneratedMeta".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let texts = |what: &str| json_schema!({"description": what, "type": "object", "additionalProperties": {"type": "string"}});
        json_schema!({
            "description": "The `metadata` of a run whose name the API server makes.",
            "type": "object",
            "additionalProperties": false,
            "required": ["generateName"],
            "properties": {
                "generateName": {
                    "description": "How its name begins; `kubectl create` adds what makes it the only one.",
                    "type": "string",
                    "pattern": "^[a-z0-9][-.a-z0-9]*$",
                },
                "namespace": {"description": "Where it lives on a cluster.", "type": ["string", "null"]},
                "labels": texts("For selection."),
                "annotations": texts("For tools."),
            },
        })
    }
}
