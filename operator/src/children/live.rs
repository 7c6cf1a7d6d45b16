//! A child as the API server tells of it, of which no more is read than is kept.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::Key;
use super::seen::Seen;

/// The kinds whose status tells how far their pods are; nobody asks for that of others.
const WITH_PODS: [&str; 2] = ["StatefulSet", "Deployment"];

/// A child of any kind. Of its metadata it has the names, the uid and the version alone.
#[derive(Clone, Debug)]
pub(super) struct Live {
    metadata: ObjectMeta,
    seen: Seen,
}

impl Live {
    /// What is kept of it, and under which key; none if it has no name.
    pub(super) fn seen(self, kind: &str) -> Option<(Key, Seen)> {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        let key = Key::new(kind, namespace, self.metadata.name.as_deref()?);
        let seen = if WITH_PODS.contains(&kind) { self.seen } else { self.seen.without_status() };
        Some((key, seen))
    }
}

/// What is read of an object's metadata: who wrote which field of it is often more than all the rest.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) generation: Option<i64>,
    deletion_timestamp: Option<IgnoredAny>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

impl Metadata {
    /// Whether it is being deleted.
    pub(super) fn is_leaving(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// What its annotation of this name says.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Who controls it.
    pub(super) fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().flatten().find(|reference| reference.controller == Some(true))
    }

    /// What is compared of it.
    pub(super) fn compared(&self) -> Value {
        let mut compared = Map::new();
        let members = [
            ("labels", self.labels.as_ref().map(|labels| json!(labels))),
            ("annotations", self.annotations.as_ref().map(|annotations| json!(annotations))),
            ("ownerReferences", self.owner_references.as_ref().map(|owners| json!(owners))),
        ];
        for (name, value) in members {
            compared.extend(value.map(|value| (name.to_owned(), value)));
        }
        Value::Object(compared)
    }
}

impl<'de> Deserialize<'de> for Live {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

/// Reads the members of an object.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Live;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of Kubernetes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Live, A::Error> {
        let (mut metadata, mut status, mut rest) = (None::<Metadata>, None::<Value>, Map::new());
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "apiVersion" | "kind" => {
                    members.next_value::<IgnoredAny>()?;
                }
                "metadata" => metadata = Some(members.next_value()?),
                "status" => status = Some(members.next_value()?),
                _ => {
                    rest.insert(name, members.next_value()?);
                }
            }
        }
        let metadata = metadata.ok_or_else(|| A::Error::missing_field("metadata"))?;
        let seen = Seen::of(&metadata, rest, status.as_ref());
        let Metadata { name, namespace, uid, resource_version, .. } = metadata;
        Ok(Live {
            metadata: ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() },
            seen,
        })
    }
}

impl Resource for Live {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }

    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }

    fn api_version(of: &ApiResource) -> Cow<'_, str> {
        of.api_version.as_str().into()
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(object: Value) -> (Key, Seen) {
        let kind = object["kind"].as_str().unwrap().to_owned();
        serde_json::from_value::<Live>(object).unwrap().seen(&kind).unwrap()
    }

    #[test]
    fn what_nobody_asks_for_is_not_kept() {
        let object = |kind: &str, managers: Value| {
            let metadata =
                json!({"name": "a", "resourceVersion": "7", "labels": {"b": "c"}, "managedFields": managers});
            json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {"d": 1}, "status": {"replicas": 2}})
        };
        let (_, one) = read(object("StatefulSet", json!([{"manager": "one", "fieldsV1": {"f:spec": {}}}])));
        let (_, other) = read(object("StatefulSet", json!(null)));
        assert_eq!(one.digest, other.digest);
        assert_eq!(one.essence(), Some(json!({"metadata": {"labels": {"b": "c"}}, "spec": {"d": 1}})));
        assert_eq!((one.count("replicas"), &*one.version), (2, "7"));
        let (_, budget) = read(object("PodDisruptionBudget", json!(null)));
        assert_eq!(budget.status(), Value::Null);
    }

    #[test]
    fn what_has_no_name_is_not_kept_and_what_has_no_metadata_is_no_object() {
        let nameless = json!({"apiVersion": "v1", "kind": "Role", "metadata": {}});
        assert!(serde_json::from_value::<Live>(nameless).unwrap().seen("Role").is_none());
        assert!(serde_json::from_value::<Live>(json!({"kind": "Role"})).is_err());
    }
}
