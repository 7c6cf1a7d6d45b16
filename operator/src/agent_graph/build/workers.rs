//! The pods of a graph.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, Container, DownwardAPIProjection, DownwardAPIVolumeFile, EnvVar, EnvVarSource,
    KeyToPath, ObjectFieldSelector, PersistentVolumeClaim, PodTemplateSpec, ProjectedVolumeSource,
    ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use superstep_api::{Volume as VolumeSpec, WorkersSpec};

use super::Plan;
use super::configuration::AUTHORITIES;
use super::store::{Store, store};
use crate::agent_graph::needs::Needs;
use crate::names::{GRPC, HEALTH};
use crate::pods;
use crate::volumes::{made, with_the_set};
use crate::weights::{CLAIMS, MODELS};

/// Where the processes of a cluster look for what the API server knows them by.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Where a worker keeps its certificate, in memory.
const CERTIFICATES: &str = "/run/superstep/tls";
/// Where weights are kept that were fetched.
const CACHE: &str = "/cache";
/// The label of workers that have GPUs.
const GPU: &str = "gpu";
/// For whom the token is that the operator looks at.
const AUDIENCE: &str = "superstep";

pub(super) fn set(plan: &Plan<'_>) -> StatefulSet {
    let names = plan.names();
    let cache = cache(plan.workers.model_cache.as_ref());
    let store = store(plan);
    let mut volumes = volumes(plan, &store);
    volumes.extend(cache.0);
    let mut pod = pods::pod(container(plan, store), volumes, &plan.settings.images);
    pod.service_account_name = Some(names.worker());
    pod.termination_grace_period_seconds = Some(30);
    pods::schedule(&mut pod, &plan.workers.scheduling, &names.selector());
    StatefulSet {
        metadata: plan.owner.metadata(names.worker(), names.labels()),
        spec: Some(StatefulSetSpec {
            replicas: Some(i32::try_from(plan.workers.replicas).unwrap_or(i32::MAX)),
            service_name: Some(names.workers()),
            pod_management_policy: Some("Parallel".to_owned()),
            selector: LabelSelector { match_labels: Some(names.selector()), ..LabelSelector::default() },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(names.labels()), ..ObjectMeta::default() }),
                spec: Some(pod),
            },
            persistent_volume_claim_retention_policy: cache.1.as_ref().map(|_| with_the_set()),
            volume_claim_templates: cache.1.map(|claim| vec![claim]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn container(plan: &Plan<'_>, store: Store) -> Container {
    let images = &plan.settings.images;
    let has_gpu = !plan.needs.devices.is_empty();
    let usual = images.worker_gpu.as_ref().filter(|_| has_gpu).unwrap_or(&images.worker);
    Container {
        name: "worker".to_owned(),
        image: Some(plan.workers.image.as_ref().unwrap_or(usual).clone()),
        image_pull_policy: images.pull_policy.clone(),
        args: Some(arguments(plan, &store.url)),
        env: Some(environment(plan)),
        ports: Some(vec![pods::port("grpc", GRPC), pods::port("health", HEALTH)]),
        resources: pods::requirements(&plan.workers.resources, &plan.needs.devices),
        security_context: Some(pods::container_security(true)),
        // Models are loaded when a run needs them, so that a worker starts at once.
        startup_probe: Some(pods::probe("/livez", "health", 1, 60)),
        liveness_probe: Some(pods::probe("/livez", "health", 10, 6)),
        readiness_probe: Some(pods::probe("/readyz", "health", 2, 3)),
        volume_mounts: Some(mounts(plan, &store)),
        env_from: store.secret.map(|secret| vec![secret]),
        ..Container::default()
    }
}

fn arguments(plan: &Plan<'_>, store: &str) -> Vec<String> {
    let names = plan.names();
    let mut arguments = vec![
        "--kubernetes".to_owned(),
        "--name=$(POD_NAME)".to_owned(),
        "--namespace=$(POD_NAMESPACE)".to_owned(),
        format!("--graph={}", plan.owner.name),
        format!("--service={}", names.workers()),
        format!("--lease={}", names.worker()),
        format!("--listen=0.0.0.0:{GRPC}"),
        format!("--health=0.0.0.0:{HEALTH}"),
        format!("--store={store}"),
    ];
    arguments.extend(labels(plan.workers, plan.needs).iter().map(|label| format!("--label={label}")));
    if let Some(signer) = &plan.settings.signer_address {
        arguments.push(format!("--signer={signer}"));
        arguments.push(format!("--signer-ca={ACCOUNT}/signer.crt"));
        arguments.push(format!("--token={ACCOUNT}/{AUDIENCE}"));
    }
    if plan.settings.log_json {
        arguments.push("--log-json".to_owned());
    }
    arguments
}

/// What the pods have that vertices ask for. Those that ask for GPUs have them, or they would not run.
fn labels(workers: &WorkersSpec, needs: &Needs) -> Vec<String> {
    let resources = &workers.resources;
    let mut asked = resources.limits.iter().chain(&resources.requests);
    let asks = asked.any(|(name, amount)| is_gpu(name) && amount.as_str() != "0");
    let has_gpu = !needs.devices.is_empty() || asks;
    let own = Some(GPU.to_owned()).filter(|gpu| has_gpu && !workers.labels.contains(gpu));
    workers.labels.iter().cloned().chain(own).collect()
}

/// Whether a resource is a GPU, a share of one, or a part of one: `nvidia.com/gpu`, `nvidia.com/gpu.shared`,
/// `nvidia.com/mig-1g.5gb`, `amd.com/gpu`.
fn is_gpu(resource: &str) -> bool {
    let name = resource.rsplit_once('/').map_or("", |(_, name)| name);
    name == GPU || name.starts_with("gpu.") || name.starts_with("mig-")
}

fn environment(plan: &Plan<'_>) -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { field_ref: Some(field(path)), ..EnvVarSource::default() }),
    };
    let mut variables = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        pods::variable("HOME", "/tmp"),
        pods::variable("XDG_CACHE_HOME", CACHE),
        // A variable, so that another process in the pod has it too: superstep-worker tunnel.
        pods::variable("SUPERSTEP_TLS", CERTIFICATES),
    ];
    let credentials = plan.needs.credentials.iter();
    variables.extend(credentials.filter_map(|(name, keys)| Some(pods::secret(name, keys.first()?))));
    variables
}

fn field(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector { field_path: path.to_owned(), api_version: Some("v1".to_owned()) }
}

fn volumes(plan: &Plan<'_>, store: &Store) -> Vec<Volume> {
    let mut volumes =
        vec![account(plan), pods::ephemeral("certificates", true), pods::ephemeral("tmp", false)];
    volumes.extend(store.volume.iter().map(|(volume, _)| volume.clone()));
    volumes.extend(plan.settings.models_claim.iter().map(|claim| pods::claimed("models", claim, true)));
    let claims = plan.needs.claims.iter().enumerate();
    volumes.extend(claims.map(|(index, claim)| pods::claimed(&format!("claim-{index}"), claim, true)));
    volumes
}

fn mounts(plan: &Plan<'_>, store: &Store) -> Vec<VolumeMount> {
    let mut mounts = vec![
        pods::mounted("account", ACCOUNT, true),
        pods::mounted("certificates", CERTIFICATES, false),
        pods::mounted("tmp", "/tmp", false),
        pods::mounted("cache", CACHE, false),
    ];
    mounts.extend(store.volume.iter().map(|(_, mount)| mount.clone()));
    mounts.extend(plan.settings.models_claim.iter().map(|_| pods::mounted("models", MODELS, true)));
    let claims = plan.needs.claims.iter().enumerate();
    mounts.extend(
        claims.map(|(index, claim)| {
            pods::mounted(&format!("claim-{index}"), &format!("{CLAIMS}/{claim}"), true)
        }),
    );
    mounts
}

/// What a worker is known by: to the API server by one token, to the operator by another one.
fn account(plan: &Plan<'_>) -> Volume {
    let token = |audience: Option<&str>, path: &str| VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience: audience.map(str::to_owned),
            // Kubernetes adds seven seconds to an hour where it mounts one by itself.
            expiration_seconds: Some(3_607),
            path: path.to_owned(),
        }),
        ..VolumeProjection::default()
    };
    let file = |map: &str, key: &str, path: &str| VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: map.to_owned(),
            items: Some(vec![KeyToPath { key: key.to_owned(), path: path.to_owned(), mode: None }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let namespace = VolumeProjection {
        downward_api: Some(DownwardAPIProjection {
            items: Some(vec![DownwardAPIVolumeFile {
                path: "namespace".to_owned(),
                field_ref: Some(field("metadata.namespace")),
                ..DownwardAPIVolumeFile::default()
            }]),
        }),
        ..VolumeProjection::default()
    };
    let mut sources = vec![token(None, "token"), file("kube-root-ca.crt", "ca.crt", "ca.crt"), namespace];
    if plan.settings.signer_address.is_some() {
        sources.push(token(Some(AUDIENCE), AUDIENCE));
        sources.push(file(&plan.names().graph(), AUTHORITIES, "signer.crt"));
    }
    let projected = ProjectedVolumeSource { sources: Some(sources), default_mode: Some(0o440) };
    Volume { name: "account".to_owned(), projected: Some(projected), ..Volume::default() }
}

/// Where fetched weights are kept: a volume of the pod, or one that is made for each.
fn cache(spec: Option<&VolumeSpec>) -> (Option<Volume>, Option<PersistentVolumeClaim>) {
    let (claim, new) = spec.map_or((None, None), |spec| (spec.claim.as_ref(), spec.new.as_ref()));
    match (claim, new) {
        (Some(claim), _) => (Some(pods::claimed("cache", &claim.name, false)), None),
        (None, Some(new)) => (None, Some(made("cache", new))),
        (None, None) => (Some(pods::ephemeral("cache", false)), None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn pods_that_ask_for_gpus_have_the_label() {
        let of = |workers: Value, devices: &[(&str, u32)]| {
            let devices = devices.iter().map(|(name, count)| ((*name).to_owned(), *count));
            let needs = Needs { devices: devices.collect::<BTreeMap<_, _>>(), ..Needs::default() };
            labels(&serde_json::from_value(workers).unwrap(), &needs).join(" ")
        };
        let limits = |name: &str, amount: &str| json!({"resources": {"limits": {name: amount}}});
        for name in ["nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb", "amd.com/gpu"] {
            assert_eq!(of(limits(name, "1"), &[]), "gpu", "{name}");
            assert_eq!(of(limits(name, "0"), &[]), "", "{name}");
        }
        for name in ["memory", "cpu", "nvidia.com/gpus", "example.com/nic", "gpu"] {
            assert_eq!(of(limits(name, "1"), &[]), "", "{name}");
        }
        // A model in the workers gives them its devices, whatever these are called.
        assert_eq!(of(json!({"labels": ["large"]}), &[("example.com/accelerator", 1)]), "large gpu");
        assert_eq!(of(json!({"labels": ["gpu", "large"]}), &[("nvidia.com/gpu", 1)]), "gpu large");
    }
}
