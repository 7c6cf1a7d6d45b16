//! The processes that work on the runs of a graph on a cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use superstep_graph::{FieldPath, Problem, exactly_one};

use crate::metadata::ObjectRef;
use crate::pods::{Resources, Scheduling, Volume};

/// The worker pods of a graph. They work on all of its runs together, and one of them leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkersSpec {
    /// How many pods; default 1. `kubectl scale` and autoscalers change it, the operator never does.
    #[serde(default = "one")]
    pub replicas: u32,
    /// The image of the pods. Default: that of the operator's own release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What the pods have that vertices may ask for by `requires`. Those that ask for GPUs have `gpu` too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Where runs are kept. Default: what the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSpec>,
    /// Where the weights of models lie that are placed `InWorker`. Default: a folder that goes with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_cache: Option<Volume>,
    /// What each pod may use; devices such as `nvidia.com/gpu` are asked for here.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// Where the pods run.
    #[serde(default, skip_serializing_if = "Scheduling::is_default")]
    pub scheduling: Scheduling,
}

impl WorkersSpec {
    /// Whether it says nothing.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with it, with paths from the spec of the graph.
    pub fn problems(&self) -> Vec<Problem> {
        let root = FieldPath::default().field("workers");
        let mut problems = Vec::new();
        if let Some(store) = &self.store {
            store.check(&root.field("store"), &mut problems);
        }
        if let Some(cache) = &self.model_cache {
            cache.check(&root.field("modelCache"), &mut problems);
        }
        problems
    }
}

impl Default for WorkersSpec {
    fn default() -> Self {
        Self {
            replicas: one(),
            image: None,
            labels: Vec::new(),
            store: None,
            model_cache: None,
            resources: Resources::default(),
            scheduling: Scheduling::default(),
        }
    }
}

/// Where runs are kept: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = one_store)]
pub struct StoreSpec {
    /// An object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectStore>,
    /// A volume that is there already and that all workers share; more than one worker needs `ReadWriteMany`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ObjectRef>,
    /// A folder that goes with the pod, for one worker and for runs that may be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
}

/// A place in an object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectStore {
    /// `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
    #[schemars(regex(pattern = r"^(s3|gs|az)://[^/]+(/.*)?$"))]
    pub url: String,
    /// A Secret whose keys the workers have as variables of their environment, such as `AWS_ACCESS_KEY_ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectRef>,
}

/// A folder that goes with its pod; it has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ephemeral {}

impl StoreSpec {
    fn check(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        let given = [self.object.is_some(), self.claim.is_some(), self.ephemeral.is_some()];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            let problem = Problem::error(path.clone(), "runs are kept in exactly one place");
            problems.push(problem.hint("give one of object, claim, ephemeral"));
        }
        if let Some(object) = &self.object
            && !object.names_a_bucket()
        {
            let place = path.field("object").field("url");
            let problem = Problem::error(place, format!("{:?} names no bucket", object.url));
            problems
                .push(problem.hint("write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"));
        }
    }
}

impl ObjectStore {
    fn names_a_bucket(&self) -> bool {
        let rest = ["s3://", "gs://", "az://"].iter().find_map(|scheme| self.url.strip_prefix(scheme));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    }
}

fn one_store(schema: &mut schemars::Schema) {
    exactly_one(schema, &["object", "claim", "ephemeral"]);
}

fn one() -> u32 {
    1
}
