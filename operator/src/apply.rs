//! Writing to the API server: server-side apply, with one field manager for objects and one for status.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::names::{FINALIZER_MANAGER, MANAGER, STATUS_MANAGER};

/// Makes an object what it is said to be, whoever changed those of its fields that are said.
///
/// # Errors
/// The API server refuses it or cannot be reached.
pub(crate) async fn apply<K>(client: &Client, object: &K) -> Result<K, kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned,
{
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let how = PatchParams::apply(MANAGER).force();
    api.patch(&object.name_any(), &how, &Patch::Apply(object)).await
}

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
    api.patch_status(&object.name_any(), &how, &Patch::Apply(said)).await?;
    Ok(true)
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
