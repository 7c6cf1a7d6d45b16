//! Objects that the API server took, and that are none of their kind all the same: their status says so.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Resource};
use serde_json::{Value, json};

use crate::conditions::{Standing, conditions};
use crate::context::Context;
use crate::lenient::Malformed;
use crate::names::STATUS_MANAGER;

/// Says what is wrong with the object, if its status does not.
///
/// # Errors
/// The API server refuses it or cannot be reached.
pub(crate) async fn say<K>(context: &Context, malformed: &Malformed) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let metadata = &malformed.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let api = Api::<DynamicObject>::namespaced_with(
        context.client.clone(),
        namespace,
        &ApiResource::erase::<K>(&()),
    );
    let Some(object) = api.get_opt(name).await? else { return Ok(()) };
    let before = object.data.pointer("/status/conditions").cloned().unwrap_or(Value::Null);
    let before: Vec<Condition> = serde_json::from_value(before).unwrap_or_default();
    let message = format!("{}; change it and apply it again", malformed.why);
    let standing = Standing::Stalled { reason: "Malformed", message };
    let after = conditions(&before, metadata.generation, &standing, &[], Timestamp::now());
    if before == after {
        return Ok(());
    }
    let said = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "uid": metadata.uid},
        "status": {"observedGeneration": metadata.generation, "conditions": after},
    });
    api.patch_status(name, &PatchParams::apply(STATUS_MANAGER).force(), &Patch::Apply(said)).await?;
    Ok(())
}
