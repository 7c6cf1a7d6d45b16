//! The CustomResourceDefinitions, made of the types that read documents.
//!
//! The schema of a kind is that of [`schema`](crate::schema()), put into the form that an API server demands
//! (`structural`), with what a server needs to know beside it: how lists are merged (`lists`), how large
//! everything may be (`limits`), and which relations of fields it refuses (`rules`).

mod limits;
mod lists;
mod rules;
mod structural;

use std::borrow::Cow;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::agent_graph::{AgentGraphObject, AgentGraphSpec};
use crate::graph_run::{GraphRunObject, RunSpec};
use crate::model_server::{ModelServerObject, ModelServerSpec};
use crate::patch::{AgentGraphPatchObject, PatchSpec};
use crate::status::{AgentGraphPatchStatus, AgentGraphStatus, GraphRunStatus, ModelServerStatus};

/// The definition of every kind, in the order of their names.
pub fn crds() -> [CustomResourceDefinition; 4] {
    [AgentGraphObject::crd(), AgentGraphPatchObject::crd(), GraphRunObject::crd(), ModelServerObject::crd()]
}

/// The schema of an object, which is not derived but that of its spec and its status as an API server has them.
macro_rules! schema_of {
    ($object:ident, $kind:literal, $spec:ident, $status:ident, $what:literal) => {
        impl JsonSchema for $object {
            fn schema_name() -> Cow<'static, str> {
                $kind.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                structural::object::<$spec, $status>($what)
            }
        }
    };
}

schema_of!(
    AgentGraphObject,
    "AgentGraph",
    AgentGraphSpec,
    AgentGraphStatus,
    "An agent graph: vertices that exchange messages in supersteps, and the workers that run it."
);
schema_of!(
    AgentGraphPatchObject,
    "AgentGraphPatch",
    PatchSpec,
    AgentGraphPatchStatus,
    "Changes to a graph or to one of its runs, applied together at a barrier. A patch is never changed itself."
);
schema_of!(
    GraphRunObject,
    "GraphRun",
    RunSpec,
    GraphRunStatus,
    "One run of a graph. It is created, and not kept in Git."
);
schema_of!(
    ModelServerObject,
    "ModelServer",
    ModelServerSpec,
    ModelServerStatus,
    "A model and what serves it, for all graphs of the namespace that name it."
);

#[cfg(test)]
mod tests;
