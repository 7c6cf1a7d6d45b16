//! What pods may use, and where they run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use superstep_graph::{FieldPath, Problem, exactly_one};

use crate::metadata::ObjectRef;
use crate::workers::Ephemeral;

/// What a container asks for, and the most that it gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// What it is sure to get, by name: `cpu`, `memory`, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// The most that it gets, by name. Devices such as `nvidia.com/gpu` stand here alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
}

impl Resources {
    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.limits.is_empty()
    }
}

/// An amount as Kubernetes writes it: `500m`, `2`, `8Gi`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(String);

impl Quantity {
    /// The amount as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The form of a quantity; the exponents that Kubernetes also takes are left out.
const QUANTITY: &str = r"^([0-9]+(\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$";

fn is_quantity(text: &str) -> bool {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let suffixes = ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let whole = digits
        .split_once('.')
        .map_or_else(|| is_number(digits), |(whole, fraction)| is_number(whole) && is_number(fraction));
    whole && suffixes.contains(&&text[digits.len()..])
}

/// A whole number needs no quotes.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount as in 500m, 2 or 8Gi")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
                if is_quantity(text) {
                    Ok(Quantity(text.to_owned()))
                } else {
                    Err(E::custom(format!("{text:?} is no amount: write it as in 500m, 2 or 8Gi")))
                }
            }
        }

        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount as in 500m, 2 or 8Gi.",
            "type": ["string", "integer"],
            "pattern": QUANTITY,
            "minimum": 0,
            "maximum": u64::MAX,
        })
    }
}

/// Where pods run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scheduling {
    /// Labels that the node has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the pods bear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// The `RuntimeClass` of the pods, such as `nvidia` or `gvisor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// Over what the pods are spread. Default: over nodes, as far as that is possible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread: Vec<TopologySpread>,
}

impl Scheduling {
    /// Whether it says nothing.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A taint that a pod bears.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Toleration {
    /// The key of the taint. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether the value has to be equal; default `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// The value of the taint, with `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The effect of the taint. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}

/// How a toleration is compared with a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// The values are equal.
    Equal,
    /// The key is there.
    Exists,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// Nothing new comes to the node.
    NoSchedule,
    /// Nothing new comes if another node can be had.
    PreferNoSchedule,
    /// What is there goes too.
    NoExecute,
}

/// Over what pods are spread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopologySpread {
    /// The label of nodes whose values are the places, such as `topology.kubernetes.io/zone`.
    pub topology_key: String,
    /// By how many pods places may differ; default 1.
    #[serde(default = "one")]
    pub max_skew: NonZeroU32,
    /// What happens to a pod that would make them differ by more.
    #[serde(default)]
    pub when_unsatisfiable: WhenUnsatisfiable,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// What happens to a pod for which there is no good place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenUnsatisfiable {
    /// It goes where it makes the least difference.
    #[default]
    ScheduleAnyway,
    /// It waits.
    DoNotSchedule,
}

/// A folder of pods: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = one_volume)]
pub struct Volume {
    /// A volume that is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ObjectRef>,
    /// A volume of its own for each pod, which stays when the pod goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<NewVolume>,
    /// A folder that goes with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
}

fn one_volume(schema: &mut Schema) {
    exactly_one(schema, &["claim", "new", "ephemeral"]);
}

impl Volume {
    /// What is wrong with it.
    pub(crate) fn check(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        let given = [self.claim.is_some(), self.new.is_some(), self.ephemeral.is_some()];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            let problem = Problem::error(path.clone(), "a folder of pods is of exactly one kind");
            problems.push(problem.hint("give one of claim, new, ephemeral"));
        }
    }
}

/// A volume that is made for a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewVolume {
    /// How large it is.
    pub size: Quantity,
    /// The `StorageClass` that makes it. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_in_kubernetes() {
        for (text, good) in [
            ("500m", true),
            ("2", true),
            ("0.5", true),
            ("8Gi", true),
            ("1.5Ti", true),
            ("", false),
            ("Gi", false),
            ("1.", false),
            ("-1", false),
            ("8 Gi", false),
            ("8gi", false),
        ] {
            assert_eq!(is_quantity(text), good, "{text}");
        }
        assert_eq!(serde_json::from_str::<Quantity>("2").unwrap().as_str(), "2");
    }
}
