//! Writing to the API server: server-side apply, with one field manager for objects and one for status.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::names::{MANAGER, STATUS_MANAGER};

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
