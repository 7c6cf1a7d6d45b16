//! A child as it was seen, with no more of it than is needed.

use serde_json::{Map, Value};
use superstep_leases::RENEWALS;

use super::child::{Owner, WANTED};
use super::digest::Digest;
use super::drift::essence;
use super::live::Metadata;

/// Who a child says it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedBy {
    /// Its kind.
    pub(crate) kind: Box<str>,
    /// Its name.
    pub(crate) name: Box<str>,
    uid: Box<str>,
}

/// A child as it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What tells it from one that had its name before.
    pub(crate) uid: Box<str>,
    /// The version of the object.
    pub(crate) version: Box<str>,
    /// The version of its spec; none of kinds without one.
    pub(crate) generation: Option<i64>,
    /// Whether it is being deleted.
    pub(crate) is_leaving: bool,
    /// Who controls it.
    pub(crate) owner: Option<OwnedBy>,
    /// What it was last wanted to be.
    pub(super) wanted: Option<Digest>,
    /// Whether the operator made it, or of a lease those who elect with it.
    is_ours: bool,
    /// How many pods it is to make; none of what makes none.
    replicas: Option<u32>,
    /// What is compared of it, as JSON; none once it was found to be what it is to be.
    essence: Option<Box<str>>,
    /// The digest of that, which is kept.
    pub(super) digest: Digest,
    /// Its status, of the kinds where it is of use.
    status: Option<Box<str>>,
}

impl Seen {
    /// What is kept of an object with this metadata and status, and these other members.
    pub(super) fn of(metadata: &Metadata, mut members: Map<String, Value>, status: Option<&Value>) -> Self {
        let owner = metadata.controller().map(|reference| OwnedBy {
            kind: reference.kind.as_str().into(),
            name: reference.name.as_str().into(),
            uid: reference.uid.as_str().into(),
        });
        let replicas = members.get("spec").and_then(|spec| spec.get("replicas")?.as_u64());
        members.insert("metadata".to_owned(), metadata.compared());
        let essence = essence(Value::Object(members)).to_string();
        Self {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            version: metadata.resource_version.as_deref().unwrap_or_default().into(),
            generation: metadata.generation,
            is_leaving: metadata.is_leaving(),
            owner,
            wanted: metadata.annotation(WANTED).and_then(Digest::parse),
            is_ours: [WANTED, RENEWALS].iter().any(|name| metadata.annotation(name).is_some()),
            replicas: replicas.and_then(|replicas| u32::try_from(replicas).ok()),
            digest: Digest::of_text(&essence),
            essence: Some(essence.into()),
            status: status.map(|status| status.to_string().into()),
        }
    }

    /// The same, of a kind whose status is of no use.
    pub(super) fn without_status(self) -> Self {
        Self { status: None, ..self }
    }

    /// The same, with no more than a digest of what it is.
    pub(super) fn without_essence(self) -> Self {
        Self { essence: None, ..self }
    }

    /// One that a test writes down.
    #[cfg(test)]
    pub(crate) fn written(object: Value) -> Self {
        serde_json::from_value::<super::live::Live>(object).unwrap().seen("StatefulSet").unwrap().1
    }

    /// Whether this owner has it.
    pub(crate) fn is_of(&self, owner: &Owner) -> bool {
        self.owner.as_ref().is_some_and(|by| *by.uid == *owner.uid)
    }

    /// Whether it belonged to one that had the name of this owner.
    pub(super) fn is_of_a_former(&self, owner: &Owner) -> bool {
        let by = self.owner.as_ref();
        by.is_some_and(|by| *by.uid != *owner.uid && *by.kind == *owner.kind && *by.name == *owner.name)
    }

    /// Whether it was made by the operator, or by workers that had never seen the lease that somebody deleted, and belongs
    /// to nobody: it was left behind, or somebody cut the tie.
    pub(super) fn is_lost(&self) -> bool {
        self.owner.is_none() && self.is_ours
    }

    /// What is compared of it; none if no more than a digest was kept.
    pub(super) fn essence(&self) -> Option<Value> {
        self.essence.as_deref().map(read)
    }

    /// Whether no more than a digest was kept of what is compared.
    pub(super) fn is_bare(&self) -> bool {
        self.essence.is_none()
    }

    /// How many pods it is to make; none of what makes none.
    pub(crate) fn replicas(&self) -> Option<u32> {
        self.replicas
    }

    /// Its status; null if it has none, or none that is kept.
    pub(crate) fn status(&self) -> Value {
        self.status.as_deref().map_or(Value::Null, read)
    }

    /// A number of its status; 0 where it is left out.
    pub(crate) fn count(&self, name: &str) -> i32 {
        let number = self.status().get(name).and_then(Value::as_i64);
        number.and_then(|number| i32::try_from(number).ok()).unwrap_or_default()
    }
}

/// A value that was kept as JSON.
fn read(json: &str) -> Value {
    serde_json::from_str(json).expect("it was written of a value")
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
