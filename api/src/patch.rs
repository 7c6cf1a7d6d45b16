//! Changes to graphs and to their runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_graph::{FieldPath, Mutation, Port, Problem, Program, RouterProgram, VertexName, VertexSpec};

use crate::kind::API_VERSION;
use crate::metadata::{ObjectMeta, ObjectRef};

/// Changes to a graph or to one of its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentGraphPatch {
    /// `superstep.dev/v1alpha1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// `AgentGraphPatch`.
    #[schemars(extend("const" = "AgentGraphPatch"))]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "crd", expect(clippy::duplicated_attributes, reason = "each column has a type"))]
#[cfg_attr(feature = "crd", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "superstep.dev",
        version = "v1alpha1",
        kind = "AgentGraphPatch",
        root = "AgentGraphPatchObject",
        doc = "Changes as Kubernetes has them.",
        plural = "agentgraphpatches",
        shortname = "agpatch",
        category = "superstep",
        namespaced,
        status = "crate::status::AgentGraphPatchStatus",
        schema = "manual",
        derive = "PartialEq",
        selectable = ".spec.graphRef.name",
        selectable = ".spec.runRef.name",
        selectable = ".status.phase",
        printcolumn(name = "Graph", type_ = "string", json_path = ".spec.graphRef.name"),
        printcolumn(name = "Run", type_ = "string", json_path = ".spec.runRef.name"),
        printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
        printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
        printcolumn(name = "Superstep", type_ = "integer", json_path = ".status.superstep"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision", priority = 1),
        printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
    )
)]
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
    #[schemars(length(min = 1))]
    pub mutations: Vec<Mutation>,
}

impl PatchSpec {
    /// What is wrong with it, with paths from the spec.
    pub fn problems(&self) -> Vec<Problem> {
        let root = FieldPath::default().field("mutations");
        if self.mutations.is_empty() {
            return vec![Problem::error(root, "the patch has no mutation")];
        }
        let forms = self.mutations.iter().enumerate();
        let mut problems: Vec<Problem> =
            forms.flat_map(|(index, mutation)| ill_formed_names(&root.index(index), mutation)).collect();
        let check = |(index, mutation): (usize, &Mutation)| {
            let path = root.index(index);
            match mutation {
                Mutation::AddVertex(vertex) if vertex.program().is_none() => {
                    let problem = Problem::error(
                        path.field("addVertex"),
                        format!("vertex {:?} needs one program", vertex.name),
                    );
                    Some(problem.hint(format!("give exactly one of {}", Program::KINDS.join(", "))))
                }
                Mutation::AddVertex(vertex) if !has_one_function(vertex) => {
                    let place = path.field("addVertex").field("function");
                    let message = format!("the function of vertex {:?} is unclear", vertex.name);
                    Some(Problem::error(place, message).hint("give exactly one of cel, command"))
                }
                Mutation::AddVertex(vertex)
                    if vertex.router.as_ref().is_some_and(|router| router.choices() != 1) =>
                {
                    let place = path.field("addVertex").field("router");
                    let message = format!("the router {:?} chooses in one way", vertex.name);
                    let hint = format!("give exactly one of {}", RouterProgram::CHOICES.join(", "));
                    Some(Problem::error(place, message).hint(hint))
                }
                Mutation::Set(set) if set.vertex.is_some() == set.edge.is_some() => {
                    let problem = Problem::error(
                        path.field("set"),
                        format!("what field {:?} is set on is unclear", set.field),
                    );
                    Some(problem.hint("give exactly one of vertex, edge"))
                }
                Mutation::Denied(_) => {
                    let problem = Problem::error(path, "nobody asks for what was denied");
                    Some(problem.hint("superstep approve RUN PROPOSAL --deny denies what a vertex proposes"))
                }
                Mutation::Adopt(_) => {
                    let problem = Problem::error(path, "a patch does not replace a graph");
                    Some(problem.hint("change the AgentGraph itself: its runs adopt it"))
                }
                Mutation::RemoveEdge(_)
                | Mutation::RemoveVertex(_)
                | Mutation::AddVertex(_)
                | Mutation::AddEdge(_)
                | Mutation::Set(_) => None,
            }
        };
        problems.extend(self.mutations.iter().enumerate().filter_map(check));
        problems
    }
}

/// Whether its function, if it is one, is an expression or a command.
fn has_one_function(vertex: &VertexSpec) -> bool {
    vertex.function.as_ref().is_none_or(|function| function.cel.is_some() != function.command.is_some())
}

/// The names in a mutation that nothing can ever have.
fn ill_formed_names(path: &FieldPath, mutation: &Mutation) -> Vec<Problem> {
    let edge = |path: FieldPath, from: &VertexName, port: &Port, to: &VertexName| {
        [("from", from.as_str()), ("port", port.as_str()), ("to", to.as_str())]
            .map(|(field, name)| (path.field(field), name.to_owned()))
            .to_vec()
    };
    let vertex = |path: FieldPath, name: &VertexName| vec![(path, name.to_string())];
    let names = match mutation {
        Mutation::RemoveEdge(gone) => edge(path.field("removeEdge"), &gone.from, &gone.port, &gone.to),
        Mutation::AddEdge(new) => edge(path.field("addEdge"), &new.from, &new.port, &new.to),
        Mutation::RemoveVertex(gone) => vertex(path.field("removeVertex").field("name"), &gone.name),
        Mutation::AddVertex(new) => vertex(path.field("addVertex").field("name"), &new.name),
        Mutation::Set(set) => match (&set.vertex, &set.edge) {
            (Some(name), _) => vertex(path.field("set").field("vertex"), name),
            (None, Some(of)) => edge(path.field("set").field("edge"), &of.from, &of.port, &of.to),
            (None, None) => Vec::new(),
        },
        Mutation::Adopt(_) | Mutation::Denied(_) => Vec::new(),
    };
    let ill_formed = names.into_iter().filter(|(_, name)| !VertexName::from(name.as_str()).is_well_formed());
    ill_formed
        .map(|(path, name)| {
            let hint = "a name begins with a-z and goes on with a-z, 0-9 and _";
            Problem::error(path, format!("{name:?} is no name")).hint(hint)
        })
        .collect()
}
