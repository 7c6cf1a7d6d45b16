//! Writing status: by server-side apply, with a field manager of its own.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::names::{FINALIZER_MANAGER, MANAGER, STATUS_MANAGER};

/// Says how an object stands, if that is something else than what is said there.
///
/// # Errors
/// The API server refuses it or cannot be reached.
pub(crate) async fn say<K, S>(
    client: &Client,
    object: &K,
    before: Option<&S>,
    status: &S,
) -> Result<bool, kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    S: Serialize + PartialEq,
{
    if before == Some(status) {
        return Ok(false);
    }
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let said = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // A status is of this object, and not of one that has its name later.
        "metadata": {"name": object.name_any(), "uid": object.uid()},
        "status": status,
    });
    let how = PatchParams::apply(STATUS_MANAGER).force();
    match api.patch_status(&object.name_any(), &how, &Patch::Apply(said)).await {
        Ok(_) => Ok(true),
        // There is nobody to be told.
        Err(kube::Error::Api(answer)) if is_gone(answer.code, &answer.message) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an object that something was written to is gone, or another one has its name. Every other conflict passes: the API
/// server could not write it for those who wrote as well.
fn is_gone(code: u16, message: &str) -> bool {
    code == 404 || (code == 409 && message.to_ascii_lowercase().contains("uid"))
}

/// Keeps an object from going until `finalizer` is let go, or lets it go. What it says of nothing else it leaves.
///
/// # Errors
/// The API server refuses it or cannot be reached.
pub(crate) async fn hold<K>(
    client: &Client,
    object: &K,
    finalizer: &str,
    held: bool,
) -> Result<(), kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    if object.finalizers().iter().any(|name| name == finalizer) == held {
        return Ok(());
    }
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let finalizers: &[&str] = if held { &[finalizer] } else { &[] };
    let said = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "uid": object.uid(), "finalizers": finalizers},
    });
    let how = PatchParams::apply(FINALIZER_MANAGER).force();
    api.patch(&object.name_any(), &how, &Patch::Apply(said)).await?;
    Ok(())
}

/// Makes an object go when its owner goes.
///
/// # Errors
/// The API server refuses it or cannot be reached.
pub(crate) async fn own<K, O>(client: &Client, object: &K, owner: &O) -> Result<(), kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    O: Resource<DynamicType = ()>,
{
    let owner = owner.owner_ref(&());
    if object
        .owner_references()
        .iter()
        .any(|there| Some(&there.uid) == owner.as_ref().map(|owner| &owner.uid))
    {
        return Ok(());
    }
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let said = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "uid": object.uid(), "ownerReferences": [owner]},
    });
    api.patch(&object.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(said)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_at_the_same_time_is_no_end_of_an_object() {
        let modified = "Operation cannot be fulfilled on graphruns.superstep.dev \"first\": the object has been modified; \
            please apply your changes to the latest version and try again";
        let other = "Operation cannot be fulfilled on graphruns.superstep.dev \"first\": Precondition failed: UID in \
            precondition: 1, UID in object meta: 2";
        let absent = "Operation cannot be fulfilled on graphruns.superstep.dev \"first\": uid mismatch: the provided object \
            specified uid 1, and no existing object was found";
        for (code, message, expected) in [
            (409, modified, false),
            (409, other, true),
            (409, absent, true),
            (404, "", true),
            (500, "uid", false),
        ] {
            assert_eq!(is_gone(code, message), expected, "{code} {message}");
        }
    }
}
