//! Graphs.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_graph::GraphSpec;

use crate::kind::API_VERSION;
use crate::metadata::ObjectMeta;
use crate::workers::WorkersSpec;

/// An agent graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentGraph {
    /// `superstep.dev/v1alpha1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// `AgentGraph`.
    #[schemars(extend("const" = "AgentGraph"))]
    pub kind: String,
    /// Its name.
    pub metadata: ObjectMeta,
    /// The graph.
    pub spec: AgentGraphSpec,
    /// Of the operator.
    #[serde(default, skip_serializing)]
    pub status: Value,
}

/// The `spec` of an [`AgentGraph`]: the members of a graph, which are the same wherever it runs, and
/// beside them `workers`, which is for a cluster alone and no part of the graph's revision.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "crd", expect(clippy::duplicated_attributes, reason = "each column has a type"))]
#[cfg_attr(feature = "crd", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "superstep.dev",
        version = "v1alpha1",
        kind = "AgentGraph",
        root = "AgentGraphObject",
        doc = "An agent graph as Kubernetes has it.",
        plural = "agentgraphs",
        shortname = "agraph",
        category = "superstep",
        namespaced,
        status = "crate::status::AgentGraphStatus",
        schema = "manual",
        derive = "PartialEq",
        scale(
            spec_replicas_path = ".spec.workers.replicas",
            status_replicas_path = ".status.replicas",
            label_selector_path = ".status.selector"
        ),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = r#".status.conditions[?(@.type=="Ready")].status"#
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
        ),
        printcolumn(name = "Vertices", type_ = "integer", json_path = ".status.vertices"),
        printcolumn(name = "Workers", type_ = "integer", json_path = ".status.readyReplicas"),
        printcolumn(name = "Runs", type_ = "integer", json_path = ".status.activeRuns"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision", priority = 1),
        printcolumn(
            name = "Message",
            type_ = "string",
            json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
            priority = 1
        )
    )
)]
pub struct AgentGraphSpec {
    /// The graph.
    #[serde(flatten)]
    pub graph: GraphSpec,
    /// The processes that work on its runs on a cluster; a local run has none.
    #[serde(skip_serializing_if = "WorkersSpec::is_default")]
    pub workers: WorkersSpec,
}

const WORKERS: &str = "workers";

/// The members of a graph and `workers`, for those who misspell one.
const MEMBERS: [&str; 15] = [
    "description",
    "input",
    "parameters",
    "models",
    "tools",
    "entry",
    "vertices",
    "edges",
    "outputs",
    "aggregators",
    "barrier",
    "limits",
    "mutations",
    "retention",
    WORKERS,
];

/// A flattened member would be read from a copy that does not know where it stood; so the members of the
/// graph are handed on as they come, and `workers` is taken out on the way.
impl<'de> Deserialize<'de> for AgentGraphSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("AgentGraphSpec", &MEMBERS, Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = AgentGraphSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("struct AgentGraphSpec")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AgentGraphSpec, A::Error> {
        let mut workers = None;
        let rest = Rest { map, workers: &mut workers };
        let graph = GraphSpec::deserialize(MapAccessDeserializer::new(rest))?;
        Ok(AgentGraphSpec { graph, workers: workers.unwrap_or_default() })
    }
}

/// The members without `workers`.
struct Rest<'a, A> {
    map: A,
    workers: &'a mut Option<WorkersSpec>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = seed;
        loop {
            match self.map.next_key_seed(Name(seed))? {
                None => return Ok(None),
                Some(Named::Graph(name)) => return Ok(Some(name)),
                Some(Named::Workers(again)) => {
                    *self.workers = Some(self.map.next_value()?);
                    seed = again;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Reads the name of a member.
struct Name<K>(K);

/// Whose member it is.
enum Named<K, V> {
    Workers(K),
    Graph(V),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Name<K> {
    type Value = Named<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == WORKERS {
            Ok(Named::Workers(self.0))
        } else if MEMBERS.contains(&name.as_str()) {
            self.0.deserialize(name.into_deserializer()).map(Named::Graph)
        } else {
            Err(D::Error::unknown_field(&name, &MEMBERS))
        }
    }
}

impl JsonSchema for AgentGraphSpec {
    fn schema_name() -> Cow<'static, str> {
        "AgentGraphSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = GraphSpec::json_schema(generator);
        let mut workers = generator.subschema_for::<WorkersSpec>();
        let what = "The processes that work on its runs on a cluster; a local run has none.";
        workers.insert("description".to_owned(), what.into());
        let default = serde_json::to_value(WorkersSpec::default());
        workers.insert("default".to_owned(), default.expect("its keys are texts"));
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert(WORKERS.to_owned(), workers.to_value());
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_a_graph_is_handed_on() {
        let schema = schemars::schema_for!(AgentGraphSpec);
        let mut properties: Vec<&str> =
            schema.get("properties").and_then(Value::as_object).unwrap().keys().map(String::as_str).collect();
        let mut members = MEMBERS.to_vec();
        properties.sort_unstable();
        members.sort_unstable();
        assert_eq!(properties, members);
    }

    #[test]
    fn workers_stand_beside_the_members_of_the_graph() {
        let written = serde_json::json!({
            "entry": ["a"], "workers": {"replicas": 3}, "vertices": [{"name": "a", "function": {"cel": "1"}}],
        });
        let spec: AgentGraphSpec = serde_json::from_value(written).unwrap();
        assert_eq!((spec.workers.replicas, spec.graph.entry.len(), spec.graph.vertices.len()), (3, 1, 1));
        let again: AgentGraphSpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }
}
