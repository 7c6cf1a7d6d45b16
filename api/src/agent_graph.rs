//! Graphs, and changes to them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_graph::{FieldPath, GraphSpec, Mutation, Problem, Program};

use crate::metadata::ObjectMeta;

/// An agent graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentGraph {
    /// `superstep.dev/v1alpha1`.
    pub api_version: String,
    /// `AgentGraph`.
    pub kind: String,
    /// Its name.
    pub metadata: ObjectMeta,
    /// The graph.
    pub spec: GraphSpec,
    /// Of the operator.
    #[serde(default, skip_serializing)]
    pub status: Value,
}

/// Changes to a graph or to one of its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentGraphPatch {
    /// `superstep.dev/v1alpha1`.
    pub api_version: String,
    /// `AgentGraphPatch`.
    pub kind: String,
    /// Its name.
    pub metadata: ObjectMeta,
    /// The changes.
    pub spec: PatchSpec,
    /// Of the operator.
    #[serde(default, skip_serializing)]
    pub status: Value,
}

/// The `spec` of an [`AgentGraphPatch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchSpec {
    /// The graph that is changed.
    pub graph_ref: ObjectRef,
    /// The run that is changed; left out, every later run of the graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_ref: Option<ObjectRef>,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The changes. They apply at one barrier, in Pregel's order.
    pub mutations: Vec<Mutation>,
}

/// A resource by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// Its `metadata.name`.
    pub name: String,
}

impl PatchSpec {
    /// What is wrong with it, with paths from the spec.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let root = FieldPath::default().field("mutations");
        if self.mutations.is_empty() {
            return vec![Problem::error(root, "the patch has no mutation")];
        }
        let check = |(index, mutation): (usize, &Mutation)| {
            let path = root.index(index);
            match mutation {
                Mutation::AddVertex(vertex) if vertex.program().is_none() => {
                    let problem = Problem::error(
                        path.field("addVertex"),
                        format!("vertex {:?} needs one program", vertex.name),
                    );
                    Some(problem.hint(format!("give exactly one of {}", Program::KINDS)))
                }
                Mutation::Set(set) if set.vertex.is_some() == set.edge.is_some() => {
                    let problem = Problem::error(
                        path.field("set"),
                        format!("what field {:?} is set on is unclear", set.field),
                    );
                    Some(problem.hint("give exactly one of vertex, edge"))
                }
                Mutation::RemoveEdge(_)
                | Mutation::RemoveVertex(_)
                | Mutation::AddVertex(_)
                | Mutation::AddEdge(_)
                | Mutation::Set(_) => None,
            }
        };
        self.mutations.iter().enumerate().filter_map(check).collect()
    }
}
