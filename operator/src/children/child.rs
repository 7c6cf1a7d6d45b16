//! What a child is to be.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::ApiResource;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::Value;

use super::Key;
use super::digest::Digest;

/// Says on a child what the operator last wanted it to be.
pub(super) const WANTED: &str = "superstep.dev/wanted";

/// Whose children they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owner {
    /// Its kind.
    pub(crate) kind: String,
    /// Its namespace, which is that of its children.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// What tells it from one that had its name before.
    pub(crate) uid: String,
    reference: OwnerReference,
}

impl Owner {
    /// The owner that `object` is; none if the API server has not taken it.
    pub(crate) fn of<K: Resource<DynamicType = ()>>(object: &K) -> Option<Self> {
        let reference = object.controller_owner_ref(&())?;
        Some(Self {
            kind: K::kind(&()).into_owned(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: reference.uid.clone(),
            reference,
        })
    }

    /// The metadata of a child.
    pub(crate) fn metadata(
        &self,
        name: impl Into<String>,
        labels: std::collections::BTreeMap<String, String>,
    ) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.into()),
            namespace: Some(self.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![self.reference.clone()]),
            ..ObjectMeta::default()
        }
    }
}

/// An object as it is to be.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(super) resource: ApiResource,
    pub(super) key: Key,
    /// All of it, with the digest of the rest in an annotation.
    pub(super) object: Value,
    /// The digest.
    pub(super) wanted: Digest,
}

impl Child {
    /// The child that `object` is.
    pub(crate) fn new<K>(object: &K) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        let mut value = serde_json::to_value(object).expect("an object of Kubernetes has texts as keys");
        let wanted = Digest::of(&value);
        value["metadata"]["annotations"][WANTED] = wanted.to_string().into();
        let resource = ApiResource::erase::<K>(&());
        let namespace = object.namespace().unwrap_or_default();
        let key = Key::new(&resource.kind, &namespace, &object.name_any());
        Self { resource, key, object: value, wanted }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.key.name
    }

    /// What it is.
    pub(crate) fn kind(&self) -> &str {
        &self.key.kind
    }

    /// All of it.
    #[cfg(test)]
    pub(crate) fn object(&self) -> &Value {
        &self.object
    }
}
