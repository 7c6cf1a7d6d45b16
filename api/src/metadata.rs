//! What every resource says about itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_graph::{FieldPath, Problem};

/// The `metadata` of a resource. Members that the API server sets are accepted, so that what
/// `kubectl get -o yaml` prints can be read back; they mean nothing to a local run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectMeta {
    /// Unique among the resources of its kind in one run.
    #[schemars(
        length(max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
    /// Where it lives on a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// For selection.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// For tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Of the API server.
    #[serde(default, skip_serializing)]
    pub creation_timestamp: Value,
    /// Of the API server.
    #[serde(default, skip_serializing)]
    pub finalizers: Value,
    /// Of the API server.
    #[serde(default, skip_serializing)]
    pub generation: Value,
    /// Of the API server.
    #[serde(default, skip_serializing)]
    pub managed_fields: Value,
    /// Of the API server.
    #[serde(default, skip_serializing)]
    pub owner_references: Value,
    /// Of the API server.
    #[serde(default, skip_serializing)]
    pub resource_version: Value,
    /// Of the API server.
    #[serde(default, skip_serializing)]
    pub uid: Value,
}

/// A resource by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// Its `metadata.name`.
    pub name: String,
}

impl ObjectMeta {
    /// What is wrong with it, with paths from the root of the resource.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        if is_subdomain(&self.name) {
            return Vec::new();
        }
        let path = FieldPath::default().field("metadata").field("name");
        let hint =
            "a name has a-z, 0-9, - and ., at most 253 of them, and begins and ends with a letter or digit";
        vec![Problem::error(path, format!("{:?} is no name of a resource", self.name)).hint(hint)]
    }
}

/// Whether `text` is a lower-case DNS subdomain (RFC 1123), as Kubernetes wants names to be.
fn is_subdomain(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|byte| alphanumeric(*byte))
            && bytes.last().is_some_and(|byte| alphanumeric(*byte))
            && bytes.iter().all(|byte| alphanumeric(*byte) || *byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        for (name, good) in [
            ("triage", true),
            ("a.b-c.1", true),
            ("Triage", false),
            ("", false),
            ("-a", false),
            ("a_b", false),
            ("a..b", false),
        ] {
            assert_eq!(is_subdomain(name), good, "{name}");
        }
    }
}
