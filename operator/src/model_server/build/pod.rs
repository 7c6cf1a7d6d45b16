//! The pods that serve a model.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment, StatefulSet, StatefulSetSpec,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, EmptyDirVolumeSource, EnvVar, PodTemplateSpec, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use superstep_api::ModelServerSpec;

use super::engine::{CACHE, DOCUMENT, document as text, is_ours, started};
use super::{Plan, workload};
use crate::children::Child;
use crate::names::HTTP;
use crate::pods;
use crate::volumes::{made, with_the_set};
use crate::weights::{CLAIMS, MODELS, claims, in_pods};

/// Changes with what a pod reads only when it starts.
const READ: &str = "superstep.dev/document";

/// What our own engine reads.
pub(super) fn document(plan: &Plan<'_>) -> Option<ConfigMap> {
    is_ours(plan.spec).then(|| {
        let text = text(plan, plan.spec.model.as_ref().map(in_pods));
        ConfigMap {
            metadata: plan.owner.metadata(plan.names().model(), plan.names().labels()),
            data: Some(BTreeMap::from([("model.yaml".to_owned(), text)])),
            ..ConfigMap::default()
        }
    })
}

/// What makes the pods: a set, if each has a volume of its own.
pub(super) fn pods(plan: &Plan<'_>, document: Option<&ConfigMap>) -> Child {
    let (names, spec) = (plan.names(), plan.spec);
    let metadata = plan.owner.metadata(names.model(), names.labels());
    let replicas = Some(i32::try_from(plan.replicas).unwrap_or(i32::MAX));
    let selector = LabelSelector { match_labels: Some(names.selector()), ..LabelSelector::default() };
    let template = template(plan, document);
    if workload(spec) == "Deployment" {
        return Child::new(&Deployment {
            metadata,
            spec: Some(DeploymentSpec {
                replicas,
                selector,
                template,
                strategy: strategy(spec),
                ..DeploymentSpec::default()
            }),
            status: None,
        });
    }
    let new = spec.cache.as_ref().and_then(|cache| cache.new.as_ref());
    Child::new(&StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            replicas,
            selector,
            template,
            service_name: Some(names.model()),
            pod_management_policy: Some("Parallel".to_owned()),
            persistent_volume_claim_retention_policy: Some(with_the_set()),
            volume_claim_templates: new.map(|new| vec![made("cache", new)]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    })
}

/// Devices that are all in use cannot be had once more: a pod goes before the next one comes.
fn strategy(spec: &ModelServerSpec) -> Option<DeploymentStrategy> {
    spec.devices.gpu.as_ref().map(|_| DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(0)),
            max_unavailable: Some(IntOrString::Int(1)),
        }),
    })
}

fn template(plan: &Plan<'_>, document: Option<&ConfigMap>) -> PodTemplateSpec {
    // Sources that are volumes are paths of the pod.
    let model = plan.spec.model.as_ref().map(in_pods);
    let spec = ModelServerSpec { model, ..plan.spec.clone() };
    let here = Plan { spec: &spec, ..*plan };
    let mut pod = pods::pod(container(&here, plan), volumes(plan), &plan.settings.images);
    pod.termination_grace_period_seconds = Some(30);
    pods::schedule(&mut pod, &spec.scheduling, &plan.names().selector());
    let read = document.and_then(|document| document.data.as_ref()?.values().next());
    let digest = read.map(|text| blake3::hash(text.as_bytes()).to_hex()[..32].to_owned());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(plan.names().labels()),
            annotations: digest.map(|digest| BTreeMap::from([(READ.to_owned(), digest)])),
            ..ObjectMeta::default()
        }),
        spec: Some(pod),
    }
}

fn container(here: &Plan<'_>, plan: &Plan<'_>) -> Container {
    let spec = here.spec;
    let images = &here.settings.images;
    let gpu = spec.devices.gpu.as_ref();
    let own = images.worker_gpu.as_ref().filter(|_| gpu.is_some()).unwrap_or(&images.worker);
    let image = spec.engine.container().map_or(own, |(_, engine)| &engine.image);
    let devices: BTreeMap<String, u32> =
        gpu.map(|gpu| (gpu.resource_name.clone(), gpu.count.get())).into_iter().collect();
    let started = started(here);
    let [startup, readiness, liveness] = started.probes;
    let environment = environment(here, &started.environment);
    Container {
        name: "server".to_owned(),
        image: Some(image.clone()),
        image_pull_policy: images.pull_policy.clone(),
        command: started.command,
        args: Some(started.args).filter(|args| !args.is_empty()),
        env: Some(environment),
        ports: Some(vec![pods::port("http", HTTP)]),
        resources: pods::requirements(&spec.resources, &devices),
        // Engines of others write where they like.
        security_context: Some(pods::container_security(is_ours(spec))),
        startup_probe: Some(startup),
        readiness_probe: Some(readiness),
        liveness_probe: Some(liveness),
        volume_mounts: Some(mounts(plan)),
        ..Container::default()
    }
}

fn environment(plan: &Plan<'_>, own: &[(&'static str, String)]) -> Vec<EnvVar> {
    let mut variables = vec![
        // Nobody has a home, and some libraries ask for the name of the user.
        pods::variable("HOME", "/tmp"),
        pods::variable("USER", "superstep"),
        pods::variable("XDG_CACHE_HOME", CACHE),
    ];
    variables.extend(own.iter().map(|(name, value)| pods::variable(name, value)));
    let sources = plan.spec.model.iter().flat_map(|model| &model.sources);
    let mut tokens = sources.filter_map(|source| source.hugging_face.as_ref()?.credential_ref.as_ref());
    variables.extend(tokens.next().map(|token| pods::secret("HF_TOKEN", token)));
    variables
}

fn volumes(plan: &Plan<'_>) -> Vec<Volume> {
    let mut volumes = vec![pods::ephemeral("tmp", false)];
    let cache = plan.spec.cache.as_ref();
    match cache.and_then(|cache| cache.claim.as_ref()) {
        Some(claim) => volumes.push(pods::claimed("cache", &claim.name, false)),
        None if cache.is_some_and(|cache| cache.new.is_some()) => {}
        None => volumes.push(pods::ephemeral("cache", false)),
    }
    if is_ours(plan.spec) {
        let source = ConfigMapVolumeSource { name: plan.names().model(), ..ConfigMapVolumeSource::default() };
        volumes.push(Volume { name: "model".to_owned(), config_map: Some(source), ..Volume::default() });
    } else if plan.spec.devices.gpu.is_some() {
        // Processes on several devices speak over memory that they share.
        let memory = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), size_limit: None };
        volumes.push(Volume { name: "shm".to_owned(), empty_dir: Some(memory), ..Volume::default() });
    }
    volumes.extend(plan.settings.models_claim.iter().map(|claim| pods::claimed("models", claim, true)));
    let named = plan.spec.model.iter().flat_map(claims).enumerate();
    volumes.extend(named.map(|(index, claim)| pods::claimed(&format!("claim-{index}"), claim, true)));
    volumes
}

fn mounts(plan: &Plan<'_>) -> Vec<VolumeMount> {
    let mut mounts = vec![pods::mounted("tmp", "/tmp", false), pods::mounted("cache", CACHE, false)];
    if is_ours(plan.spec) {
        mounts.push(pods::mounted("model", DOCUMENT, true));
    } else if plan.spec.devices.gpu.is_some() {
        mounts.push(pods::mounted("shm", "/dev/shm", false));
    }
    mounts.extend(plan.settings.models_claim.iter().map(|_| pods::mounted("models", MODELS, true)));
    let named = plan.spec.model.iter().flat_map(claims).enumerate();
    mounts.extend(
        named.map(|(index, claim)| {
            pods::mounted(&format!("claim-{index}"), &format!("{CLAIMS}/{claim}"), true)
        }),
    );
    mounts
}
