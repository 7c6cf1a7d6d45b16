//! Models, and how they are served.

mod autoscaling;
mod devices;
mod engine;
mod local;
mod weights;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_graph::{FieldPath, Prices, Problem, check_external};

use crate::interpolate::{Uninterpolated, interpolate};
use crate::kind::API_VERSION;
use crate::metadata::ObjectMeta;
use crate::pods::{Resources, Scheduling, Volume};

pub use autoscaling::{Autoscaling, ScalingTarget};
pub use devices::{CpuDevices, Devices, GpuDevices};
pub use engine::{CandleEngine, ContainerEngine, Engine};
pub use weights::{ClaimSource, FileSource, HuggingFaceSource, ModelSource, ServedModel};

/// A served model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelServer {
    /// `superstep.dev/v1alpha1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// `ModelServer`.
    #[schemars(extend("const" = "ModelServer"))]
    pub kind: String,
    /// Its name, which the `models` of a graph refer to.
    pub metadata: ObjectMeta,
    /// The model.
    pub spec: ModelServerSpec,
    /// Of the operator.
    #[serde(default, skip_serializing)]
    pub status: Value,
}

/// The `spec` of a [`ModelServer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "crd", expect(clippy::duplicated_attributes, reason = "each column has a type"))]
#[cfg_attr(feature = "crd", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "superstep.dev",
        version = "v1alpha1",
        kind = "ModelServer",
        root = "ModelServerObject",
        doc = "A served model as Kubernetes has it.",
        plural = "modelservers",
        shortname = "msrv",
        category = "superstep",
        namespaced,
        status = "crate::status::ModelServerStatus",
        schema = "manual",
        derive = "PartialEq",
        selectable = ".spec.model.name",
        scale(
            spec_replicas_path = ".spec.replicas",
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
        printcolumn(name = "Model", type_ = "string", json_path = ".status.model"),
        printcolumn(name = "Engine", type_ = "string", json_path = ".status.engine"),
        printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas"),
        printcolumn(name = "VRAM", type_ = "string", json_path = ".spec.devices.gpu.memory"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        printcolumn(name = "Url", type_ = "string", json_path = ".status.url", priority = 1),
        printcolumn(
            name = "Message",
            type_ = "string",
            json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
            priority = 1
        )
    )
)]
pub struct ModelServerSpec {
    /// What is served; needed by engines that load weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ServedModel>,
    /// What serves it: exactly one member.
    pub engine: Engine,
    /// Where it is computed; default the CPU.
    #[serde(default)]
    pub devices: Devices,
    /// What its tokens cost; default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// How many pods serve it on a cluster; default 1. `kubectl scale` and autoscalers change it, the operator
    /// never does. While `autoscaling` is given it is passed over.
    #[serde(default = "one")]
    pub replicas: u32,
    /// How the operator chooses the number of pods itself. Default: `replicas` are as they are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Where weights that were fetched are kept on a cluster. Default: a folder that goes with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Volume>,
    /// What each pod may use beside `devices`.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// Where the pods run.
    #[serde(default, skip_serializing_if = "Scheduling::is_default")]
    pub scheduling: Scheduling,
}

fn one() -> u32 {
    1
}

impl ModelServerSpec {
    /// The server as a cluster has it, where variables have no values and their defaults stand.
    ///
    /// # Errors
    /// What is wrong with it, with paths from the spec.
    pub fn on_cluster(&self) -> Result<Self, Vec<Problem>> {
        let mut spec = self.clone();
        let mut problems = spec.interpolate(&|_| None);
        problems.extend(spec.problems());
        if problems.is_empty() { Ok(spec) } else { Err(problems) }
    }

    /// Puts the values of variables into the paths of files and into the digest; what cannot be
    /// put in is a problem, with its path from the spec.
    pub(crate) fn interpolate(&mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Some(model) = &mut self.model else { return problems };
        let path = FieldPath::default().field("model");
        for (index, source) in model.sources.iter_mut().enumerate() {
            if let Some(file) = &mut source.file {
                let place = path.field("sources").index(index).field("file").field("path");
                replace(&mut file.path, place, lookup, &mut problems);
            }
        }
        if let Some(digest) = &mut model.sha256 {
            replace(digest, path.field("sha256"), lookup, &mut problems);
        }
        model.sha256 =
            model.sha256.take().filter(|digest| !digest.is_empty()).map(|digest| digest.to_ascii_lowercase());
        problems
    }

    /// What is wrong with it, with paths from the spec.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let root = FieldPath::default();
        let mut problems = Vec::new();
        let engine = root.field("engine");
        self.engine.check(&engine, &mut problems);
        self.devices.check(&root.field("devices"), &mut problems);
        if let Some(autoscaling) = &self.autoscaling {
            autoscaling.check(&root.field("autoscaling"), &self.engine, &mut problems);
        }
        if let Some(cache) = &self.cache {
            cache.check(&root.field("cache"), &mut problems);
        }
        if self.engine.candle.is_some() && self.model.as_ref().is_none_or(|model| model.sources.is_empty()) {
            let problem = Problem::error(
                root.field("model").field("sources"),
                "engine candle needs the weights of a model",
            );
            problems.push(problem.hint("give model.sources, for example - file: {path: model.gguf}"));
        }
        if let Some(external) = &self.engine.external {
            let path = engine.field("external");
            check_external(&path, external, &mut problems);
            if self.model.is_some() {
                let problem = Problem::error(root.field("model"), "engine external loads no weights");
                problems.push(problem.hint("leave model out; engine.external.model names it"));
            }
            if self.prices.is_some() && external.prices.is_some() {
                let problem = Problem::error(path.field("prices"), "the prices are given twice");
                problems.push(problem.hint("leave one out, here or in spec.prices"));
            }
        }
        if let Some(model) = &self.model {
            let takes_repositories = self.engine.candle.is_none();
            model.check(&root.field("model"), takes_repositories, &mut problems);
        }
        for (name, price) in self.prices.iter().flat_map(|prices| {
            [
                ("promptPerMillion", prices.prompt_per_million),
                ("completionPerMillion", prices.completion_per_million),
            ]
        }) {
            if price < 0.0 {
                problems.push(Problem::error(root.field("prices").field(name), "a price is 0 or more"));
            }
        }
        problems
    }

    /// What of it a local run does not have, with paths from the spec.
    pub(crate) fn only_on_clusters(&self) -> Vec<Problem> {
        let root = FieldPath::default();
        let mut problems = Vec::new();
        self.engine.only_on_clusters(&root.field("engine"), &mut problems);
        self.devices.only_on_clusters(&root.field("devices"), &mut problems);
        if let Some(model) = &self.model {
            model.only_on_clusters(&root.field("model"), &mut problems);
        }
        problems
    }
}

fn replace(
    text: &mut String,
    path: FieldPath,
    lookup: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) {
    match interpolate(text, lookup) {
        Ok(value) => *text = value,
        Err(error) => {
            let hint = match &error {
                Uninterpolated::Unset(name) => {
                    format!("set it, or give a default as in ${{{name}:-default}}")
                }
                Uninterpolated::Malformed(_) => {
                    "write ${NAME}, ${NAME:-default} or ${NAME-default}".to_owned()
                }
            };
            problems.push(Problem::error(path, error.to_string()).hint(hint));
        }
    }
}
