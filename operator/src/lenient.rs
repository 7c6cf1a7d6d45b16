//! Objects that may not be what their kind says: one that cannot be read hides no other.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::Value;

/// The whole object as `kubectl apply` wrote it last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of kind `K`, or what could be read of it.
#[derive(Clone, Debug)]
pub(crate) struct Lenient<K>(pub(crate) Result<Arc<K>, Box<Malformed>>);

/// An object that is none of its kind.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Malformed {
    /// The field, and what is wrong with it.
    pub(crate) why: String,
    /// What every object has.
    pub(crate) metadata: ObjectMeta,
}

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = serde_path_to_error::deserialize::<_, K>(&value);
        let mut object = match read {
            Ok(object) => Self(Ok(Arc::new(object))),
            Err(error) => {
                let rest = PartialObjectMeta::<K>::deserialize(&value).map_err(D::Error::custom)?;
                let why = format!("{}: {}", error.path(), error.inner());
                Self(Err(Box::new(Malformed { why, metadata: rest.metadata })))
            }
        };
        match &mut object.0 {
            Ok(object) => {
                if let Some(object) = Arc::get_mut(object) {
                    forget(object.meta_mut());
                }
            }
            Err(malformed) => forget(&mut malformed.metadata),
        }
        Ok(object)
    }
}

/// Who wrote which field and what a client last applied are of no use here, and often more than the rest.
fn forget(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

impl<K: Resource + Clone> Resource for Lenient<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|malformed| &malformed.metadata, |object| object.meta())
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => Arc::make_mut(object).meta_mut(),
            Err(malformed) => &mut malformed.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt as _;
    use serde_json::json;
    use superstep_api::AgentGraphObject;

    use super::*;

    fn read(spec: Value) -> Lenient<AgentGraphObject> {
        let object = json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph",
            "metadata": {
                "name": "a", "namespace": "n", "uid": "u", "managedFields": [{"manager": "kubectl"}],
                "annotations": {"theirs": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
            "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_cannot_be_read_has_its_name_and_the_field_that_is_wrong() {
        let object = read(json!({"entry": ["a"], "limits": {"duration": "soon"}}));
        assert_eq!((object.name_any().as_str(), object.namespace().as_deref()), ("a", Some("n")));
        let why = object.0.unwrap_err().why;
        assert!(why.starts_with("spec.limits.duration: "), "{why}");
    }

    #[test]
    fn who_wrote_it_and_what_was_written_is_forgotten() {
        for spec in [json!({"entry": ["a"], "vertices": []}), json!({"entry": 1})] {
            let object = read(spec);
            assert!(object.managed_fields().is_empty());
            assert_eq!(object.annotations().keys().collect::<Vec<_>>(), ["theirs"]);
        }
    }
}
