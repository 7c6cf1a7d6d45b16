//! What tests do in a cluster, and what they see there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

/// How long something may take on a machine that has other work, even if the process is killed after each of its writes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// How long the API server is left alone that has no time.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// The definitions are there, and the API server knows them.
pub(crate) async fn define(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in superstep_api::crds() {
        let how = PatchParams::apply("test").force();
        let (name, patch) = (definition.name_any(), Patch::Apply(&definition));
        answered(async || api.patch(&name, &how, &patch).await).await.unwrap();
    }
    for (kind, plural) in OURS {
        until(&format!("{kind} is served"), async || {
            Api::<DynamicObject>::all_with(client.clone(), &ours(kind, plural))
                .list(&ListParams::default().limit(1))
                .await
                .is_ok()
        })
        .await;
    }
}

const OURS: [(&str, &str); 4] = [
    ("AgentGraph", "agentgraphs"),
    ("AgentGraphPatch", "agentgraphpatches"),
    ("GraphRun", "graphruns"),
    ("ModelServer", "modelservers"),
];

/// What the operator makes, but for pods.
const CHILDREN: [(&str, &str, &str, &str); 11] = [
    ("", "v1", "ServiceAccount", "serviceaccounts"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Service", "services"),
    ("", "v1", "Pod", "pods"),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    ("coordination.k8s.io", "v1", "Lease", "leases"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("apps", "v1", "Deployment", "deployments"),
];

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

fn ours(kind: &str, plural: &str) -> ApiResource {
    resource("superstep.dev", "v1alpha1", kind, plural)
}

/// Runs it again until it holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "{what}: it did not in {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the API server answers. It may have no time at first, or be started again.
pub(crate) async fn answered<T>(mut ask: impl AsyncFnMut() -> kube::Result<T>) -> kube::Result<T> {
    let start = Instant::now();
    loop {
        match ask().await {
            Err(error) if may_pass(&error) && start.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// Whether the same may go well a little later.
pub(crate) fn may_pass(error: &kube::Error) -> bool {
    let is_busy = matches!(error, kube::Error::Api(status) if status.code == 429 || status.code >= 500);
    is_busy || matches!(error, kube::Error::HyperError(_) | kube::Error::Service(_))
}

/// A namespace.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Room {
    /// A new one.
    pub(crate) async fn new(client: &Client, namespace: &str) -> Self {
        let api: Api<Namespace> = Api::all(client.clone());
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let (how, patch) = (PatchParams::apply("test").force(), Patch::Apply(object));
        answered(async || api.patch(namespace, &how, &patch).await).await.unwrap();
        Self { client: client.clone(), namespace: namespace.to_owned() }
    }

    /// The objects of a kind.
    pub(crate) fn api(&self, kind: &str) -> Api<DynamicObject> {
        let own = OURS.iter().find(|(known, _)| *known == kind).map(|(kind, plural)| ours(kind, plural));
        let others = CHILDREN.iter().find(|(_, _, known, _)| *known == kind);
        let resource = own.unwrap_or_else(|| {
            let (group, version, kind, plural) = others.unwrap();
            resource(group, version, kind, plural)
        });
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Applies an object.
    pub(crate) async fn apply(&self, object: Value) {
        let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        let how = PatchParams::apply("test").force();
        let (api, patch) = (self.api(kind), Patch::Apply(&object));
        answered(async || api.patch(name, &how, &patch).await).await.unwrap();
    }

    /// Changes an object, by a merge patch.
    pub(crate) async fn merge(&self, kind: &str, name: &str, change: &Value) {
        let (api, how, patch) = (self.api(kind), PatchParams::default(), Patch::Merge(change));
        answered(async || api.patch(name, &how, &patch).await).await.unwrap();
    }

    /// Every object of a kind.
    pub(crate) async fn list(&self, kind: &str) -> Vec<DynamicObject> {
        let (api, how) = (self.api(kind), ListParams::default());
        answered(async || api.list(&how).await).await.unwrap().items
    }

    /// An object, if it is there.
    pub(crate) async fn find(&self, kind: &str, name: &str) -> Option<DynamicObject> {
        let api = self.api(kind);
        answered(async || api.get_opt(name).await).await.unwrap()
    }

    /// Deletes an object, and what belongs to it after that.
    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        let (api, how) = (self.api(kind), DeleteParams::background());
        let deleted = answered(async || api.delete(name, &how).await).await;
        // It may be gone by an attempt whose answer did not come.
        if let Err(error) = deleted {
            assert!(
                matches!(&error, kube::Error::Api(status) if status.code == 404),
                "{kind} {name}: {error}"
            );
        }
    }

    /// A condition of an object: its status, reason and message.
    pub(crate) async fn condition(&self, kind: &str, name: &str, condition: &str) -> Option<[String; 3]> {
        let object = self.find(kind, name).await?;
        // What is said of an older generation says nothing.
        if object.data["status"]["observedGeneration"].as_i64() != object.metadata.generation {
            return None;
        }
        let all = object.data["status"]["conditions"].as_array()?;
        let found = all.iter().find(|found| found["type"] == condition)?;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Some([text("status"), text("reason"), text("message")])
    }

    /// Waits until an object is ready.
    pub(crate) async fn until_ready(&self, kind: &str, name: &str) {
        until(&format!("{kind} {name} is ready"), async || {
            self.condition(kind, name, "Ready").await.is_some_and(|[status, ..]| status == "True")
        })
        .await;
    }

    /// Waits until an object says that reason.
    pub(crate) async fn until_reason(&self, kind: &str, name: &str, reason: &str) -> String {
        let mut told = String::new();
        until(&format!("{kind} {name} says {reason}"), async || {
            let Some([_, said, message]) = self.condition(kind, name, "Ready").await else { return false };
            told = message;
            said == reason
        })
        .await;
        told
    }

    /// Every child, by kind and name, without what differs from one run to the next.
    pub(crate) async fn children(&self) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for (_, _, kind, _) in CHILDREN {
            for object in self.list(kind).await {
                let is_clusters = ["kube-root-ca.crt", "default"].contains(&object.name_any().as_str());
                // Names of a Deployment's pods are random; how many there are is in its status.
                let is_random = kind == "Pod" && !object.name_any().contains("-worker-");
                if !is_clusters && !is_random {
                    found.insert(format!("{kind} {}", object.name_any()), essence(kind, &object));
                }
            }
        }
        found
    }

    /// Waits until nothing is left of what the operator made.
    pub(crate) async fn until_empty(&self) {
        until("nothing is left", async || self.children().await.is_empty()).await;
    }
}

/// What of an object is the same each time.
fn essence(kind: &str, object: &DynamicObject) -> Value {
    let mut data = object.data.clone();
    let owners = object.owner_references();
    let owners: Vec<_> = owners.iter().map(|owner| format!("{} {}", owner.kind, owner.name)).collect();
    if kind == "Pod" {
        return json!({"owners": owners});
    }
    if let Some(members) = data.as_object_mut() {
        members.remove("status");
        if kind == "Lease" {
            members.remove("spec");
        }
    }
    for field in ["clusterIP", "clusterIPs"] {
        // A headless service has none, which is not chosen by the server.
        if let Some(spec) = data.get_mut("spec").and_then(Value::as_object_mut)
            && kind == "Service"
            && spec.get("clusterIP") != Some(&json!("None"))
        {
            spec.remove(field);
        }
    }
    let annotations: BTreeMap<_, _> = object
        .annotations()
        .iter()
        .filter(|(name, _)| !name.starts_with("deployment.kubernetes.io") && *name != "superstep.dev/wanted")
        .collect();
    json!({"data": data, "labels": object.labels(), "annotations": annotations, "owners": owners})
}
