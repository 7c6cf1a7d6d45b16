//! A child as it was seen, with no more of it than is needed.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;
use superstep_leases::RENEWALS;

use super::Key;
use super::child::{Owner, WANTED};
use super::drift::{digest, essence};

/// Who a child says it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedBy {
    /// Its kind.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    uid: String,
}

/// A child as it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What tells it from one that had its name before.
    pub(crate) uid: String,
    /// The version of the object.
    pub(crate) version: String,
    /// The version of its spec; none of kinds without one.
    pub(crate) generation: Option<i64>,
    /// Whether it is being deleted.
    pub(crate) is_leaving: bool,
    /// Who controls it.
    pub(crate) owner: Option<OwnedBy>,
    /// What it was last wanted to be.
    pub(super) wanted: Option<String>,
    /// Whether the operator made it, or of a lease those who elect with it.
    is_ours: bool,
    /// What is compared of it, as JSON.
    essence: Box<str>,
    /// The digest of that.
    pub(super) digest: String,
    /// Its status, of the kinds that have one.
    status: Option<Box<str>>,
}

impl Seen {
    /// What is kept of an object, and under which key; none if it has no name.
    pub(super) fn of(kind: &str, object: DynamicObject) -> Option<(Key, Self)> {
        let name = object.metadata.name.clone()?;
        let key = Key { kind: kind.to_owned(), namespace: object.namespace().unwrap_or_default(), name };
        let controller =
            object.owner_references().iter().find(|reference| reference.controller == Some(true));
        let owner = controller.map(|reference| OwnedBy {
            kind: reference.kind.clone(),
            name: reference.name.clone(),
            uid: reference.uid.clone(),
        });
        let whole = serde_json::to_value(&object).unwrap_or(Value::Null);
        let essence = essence(&whole);
        let seen = Self {
            uid: object.uid().unwrap_or_default(),
            version: object.resource_version().unwrap_or_default(),
            generation: object.metadata.generation,
            is_leaving: object.metadata.deletion_timestamp.is_some(),
            owner,
            wanted: object.annotations().get(WANTED).cloned(),
            is_ours: [WANTED, RENEWALS].iter().any(|name| object.annotations().contains_key(*name)),
            digest: digest(&essence),
            essence: essence.to_string().into(),
            status: whole.get("status").map(|status| status.to_string().into()),
        };
        Some((key, seen))
    }

    /// One that a test writes down.
    #[cfg(test)]
    pub(crate) fn written(object: Value) -> Self {
        Self::of("StatefulSet", serde_json::from_value(object).unwrap()).unwrap().1
    }

    /// Whether this owner has it.
    pub(crate) fn is_of(&self, owner: &Owner) -> bool {
        self.owner.as_ref().is_some_and(|by| by.uid == owner.uid)
    }

    /// Whether it belonged to one that had the name of this owner.
    pub(super) fn is_of_a_former(&self, owner: &Owner) -> bool {
        let by = self.owner.as_ref();
        by.is_some_and(|by| by.uid != owner.uid && by.kind == owner.kind && by.name == owner.name)
    }

    /// Whether it was made by the operator, or by workers that had never seen the lease that somebody deleted, and belongs
    /// to nobody: it was left behind, or somebody cut the tie.
    pub(super) fn is_lost(&self) -> bool {
        self.owner.is_none() && self.is_ours
    }

    /// What is compared of it.
    pub(super) fn essence(&self) -> Value {
        serde_json::from_str(&self.essence).unwrap_or(Value::Null)
    }

    /// How many pods it is to make; none of what makes none.
    pub(crate) fn replicas(&self) -> Option<u32> {
        let replicas = self.essence().pointer("/spec/replicas")?.as_u64()?;
        u32::try_from(replicas).ok()
    }

    /// Its status.
    pub(crate) fn status(&self) -> Value {
        self.status.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
    }

    /// A number of its status; 0 where it is left out.
    pub(crate) fn count(&self, name: &str) -> i32 {
        let number = self.status().get(name).and_then(Value::as_i64);
        number.and_then(|number| i32::try_from(number).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_makes_pods_says_how_many() {
        let seen = |spec| Seen::written(json!({"metadata": {"name": "a"}, "spec": spec}));
        assert_eq!(seen(json!({"replicas": 0})).replicas(), Some(0));
        assert_eq!(seen(json!({"ports": []})).replicas(), None);
    }

    #[test]
    fn what_the_operator_or_a_worker_made_and_nobody_has_is_lost() {
        let owner = json!([{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "u", "controller": true}]);
        for (annotations, owners, is_lost) in [
            (json!({"superstep.dev/wanted": "x"}), json!([]), true),
            (json!({"superstep.dev/renewals": "1"}), json!([]), true),
            (json!({"superstep.dev/renewals": "1"}), owner, false),
            (json!({"theirs": "1"}), json!([]), false),
        ] {
            let metadata = json!({"name": "a", "annotations": annotations, "ownerReferences": owners});
            let seen = Seen::written(json!({"metadata": metadata}));
            assert_eq!(seen.is_lost(), is_lost, "{annotations}");
        }
    }
}
