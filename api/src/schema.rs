//! JSON schemas of the resources, for editors.

mod graph_run;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::agent_graph::AgentGraph;
use crate::kind::{API_VERSION, Kind};
use crate::model_server::ModelServer;
use crate::patch::AgentGraphPatch;
use graph_run::GraphRun;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What there is a schema of: the kinds that a local run reads, and runs, which are documents on a cluster alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaKind {
    /// A kind that a local run reads.
    Local(Kind),
    /// A run.
    GraphRun,
}

impl SchemaKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Local(Kind::AgentGraph),
        Self::Local(Kind::ModelServer),
        Self::Local(Kind::AgentGraphPatch),
        Self::GraphRun,
    ];

    /// What stands in the field `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local(kind) => kind.name(),
            Self::GraphRun => GraphRun::KIND,
        }
    }
}

/// The JSON schema (2020-12) of the documents of one kind; without a kind, of the documents of every
/// kind.
///
/// It accepts whatever the reader accepts, and refuses what has another form: unknown and missing
/// fields, wrong types and words, names and durations that are none. Relations between fields, such as
/// an edge to a vertex that is not there, are left to the reader. Only of the vertices that a patch
/// adds does it refuse more than the reader, which leaves their members to the barrier. A run is read by
/// API servers alone, which may be left to make its name.
pub fn schema(kind: Option<SchemaKind>) -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut root = match kind {
        Some(kind) => reference(kind, &mut generator),
        None => any_of_the_kinds(&mut generator),
    };
    let mut definitions = generator.take_definitions(true);
    definitions.values_mut().for_each(bound);
    root.insert("$schema".to_owned(), DIALECT.into());
    root.insert("$defs".to_owned(), definitions.into());
    Value::Object(root)
}

fn reference(kind: SchemaKind, generator: &mut SchemaGenerator) -> Map<String, Value> {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
        generator.subschema_for::<T>().to_value()
    }
    let reference = match kind {
        SchemaKind::Local(Kind::AgentGraph) => of::<AgentGraph>(generator),
        SchemaKind::Local(Kind::ModelServer) => of::<ModelServer>(generator),
        SchemaKind::Local(Kind::AgentGraphPatch) => of::<AgentGraphPatch>(generator),
        SchemaKind::GraphRun => of::<GraphRun>(generator),
    };
    Map::from_iter([("$ref".to_owned(), reference["$ref"].clone())])
}

/// Each kind has a condition of its own, so that an editor tells of a mistake in terms of the kind that
/// the document names.
fn any_of_the_kinds(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let each = SchemaKind::ALL.map(|kind| {
        json!({
            "if": {"properties": {"kind": {"const": kind.name()}}, "required": ["kind"]},
            "then": reference(kind, generator),
        })
    });
    let root = json!({
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"enum": SchemaKind::ALL.map(SchemaKind::name)},
        },
        "allOf": each,
    });
    match root {
        Value::Object(root) => root,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("it is written as an object")
        }
    }
}

/// Formats of numbers mean nothing to JSON schema: their bounds take their place.
fn bound(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let most = match members.get("format").and_then(Value::as_str) {
                Some("uint32") => Some(json!(u32::MAX)),
                Some("uint64") => Some(json!(u64::MAX)),
                Some(_) | None => None,
            };
            if let Some(most) = most {
                members.remove("format");
                members.entry("maximum").or_insert(most);
            }
            if members.get("format").is_some_and(|format| format == "double") {
                members.remove("format");
            }
            members.values_mut().for_each(bound);
        }
        Value::Array(items) => items.iter_mut().for_each(bound),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
