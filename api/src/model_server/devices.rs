//! Where a model is computed.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use superstep_graph::{FieldPath, Problem};

use super::local::refuse;
use crate::pods::Quantity;

/// Where a model is computed: at most one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Devices {
    /// On the CPU, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuDevices>,
    /// On GPUs of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuDevices>,
}

/// The CPU; it has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpuDevices {}

/// GPUs of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuDevices {
    /// How many each pod has; default 1.
    #[serde(default = "one")]
    pub count: NonZeroU32,
    /// The name by which the cluster knows them; default `nvidia.com/gpu`.
    #[serde(default = "nvidia")]
    pub resource_name: String,
    /// The memory of each, to tell beforehand whether the model fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn nvidia() -> String {
    "nvidia.com/gpu".to_owned()
}

impl Devices {
    pub(super) fn check(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        if self.cpu.is_some() && self.gpu.is_some() {
            let problem = Problem::error(path.clone(), "a model is computed on devices of one kind");
            problems.push(problem.hint("give one of cpu, gpu"));
        }
    }

    /// What of it a local run does not have.
    pub(super) fn only_on_clusters(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        refuse(path, "devices", &[("gpu", self.gpu.is_some())], "cpu", problems);
    }
}
