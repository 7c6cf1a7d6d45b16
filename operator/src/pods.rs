//! Pods as the strictest policy of clusters wants them: what workers and model servers have in common.

mod followed;
mod trouble;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction,
    LocalObjectReference, PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, Probe,
    ResourceRequirements, SeccompProfile, SecretKeySelector, SecurityContext, Toleration,
    TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use superstep_api::{Resources, Scheduling, TaintEffect, TolerationOperator, WhenUnsatisfiable};
use superstep_graph::CredentialRef;

pub(crate) use followed::Pods;
pub(crate) use trouble::trouble;

use crate::settings::Images;

/// The user and the group of every process.
const USER: i64 = 65_532;

/// What a pod may do: nothing but run.
pub(crate) fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// What a container may do.
pub(crate) fn container_security(reads_only: bool) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        read_only_root_filesystem: Some(reads_only),
        ..SecurityContext::default()
    }
}

/// A pod of one container, with nothing that nobody asked for.
pub(crate) fn pod(container: Container, volumes: Vec<Volume>, images: &Images) -> PodSpec {
    let secrets = images.pull_secrets.iter().filter(|name| !name.is_empty());
    let secrets: Vec<_> = secrets.map(|name| LocalObjectReference { name: name.clone() }).collect();
    PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![container],
        enable_service_links: Some(false),
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        security_context: Some(pod_security()),
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

/// Puts a pod where it is to run: by default the pods of one selector are spread over nodes, as far as that goes.
pub(crate) fn schedule(pod: &mut PodSpec, scheduling: &Scheduling, selector: &BTreeMap<String, String>) {
    let alike = LabelSelector { match_labels: Some(selector.clone()), ..LabelSelector::default() };
    let over = |key: &str, skew: u32, unsatisfiable: &str| TopologySpreadConstraint {
        topology_key: key.to_owned(),
        max_skew: i32::try_from(skew).unwrap_or(i32::MAX),
        when_unsatisfiable: unsatisfiable.to_owned(),
        label_selector: Some(alike.clone()),
        ..TopologySpreadConstraint::default()
    };
    let asked = scheduling.topology_spread.iter().map(|spread| {
        let unsatisfiable = match spread.when_unsatisfiable {
            WhenUnsatisfiable::ScheduleAnyway => "ScheduleAnyway",
            WhenUnsatisfiable::DoNotSchedule => "DoNotSchedule",
        };
        over(&spread.topology_key, spread.max_skew.get(), unsatisfiable)
    });
    let mut spread: Vec<_> = asked.collect();
    if spread.is_empty() {
        spread.push(over("kubernetes.io/hostname", 1, "ScheduleAnyway"));
    }
    pod.topology_spread_constraints = Some(spread);
    pod.node_selector = Some(scheduling.node_selector.clone()).filter(|labels| !labels.is_empty());
    let tolerations: Vec<_> = scheduling.tolerations.iter().map(toleration).collect();
    pod.tolerations = Some(tolerations).filter(|all| !all.is_empty());
    pod.runtime_class_name.clone_from(&scheduling.runtime_class_name);
}

fn toleration(from: &superstep_api::Toleration) -> Toleration {
    let operator = from.operator.map(|operator| match operator {
        TolerationOperator::Equal => "Equal",
        TolerationOperator::Exists => "Exists",
    });
    let effect = from.effect.map(|effect| match effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    });
    Toleration {
        key: from.key.clone(),
        operator: operator.map(str::to_owned),
        value: from.value.clone(),
        effect: effect.map(str::to_owned),
        toleration_seconds: None,
    }
}

/// What a container asks for, with `devices` beside it where the resources do not name them.
pub(crate) fn requirements(
    resources: &Resources,
    devices: &BTreeMap<String, u32>,
) -> Option<ResourceRequirements> {
    let amounts = |from: &BTreeMap<String, superstep_api::Quantity>| -> BTreeMap<String, Quantity> {
        from.iter().map(|(name, amount)| (name.clone(), Quantity(amount.as_str().to_owned()))).collect()
    };
    let mut limits = amounts(&resources.limits);
    for (name, count) in devices {
        limits.entry(name.clone()).or_insert_with(|| Quantity(count.to_string()));
    }
    let requests = amounts(&resources.requests);
    (!limits.is_empty() || !requests.is_empty()).then(|| ResourceRequirements {
        limits: Some(limits).filter(|all| !all.is_empty()),
        requests: Some(requests).filter(|all| !all.is_empty()),
        claims: None,
    })
}

/// A probe by HTTP.
pub(crate) fn probe(path: &str, port: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(port.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(period.clamp(1, 5)),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// A port with its name.
pub(crate) fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// A variable with a value.
pub(crate) fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}

/// A variable with the value of a key of a Secret, which the operator never reads.
pub(crate) fn secret(name: &str, credential: &CredentialRef) -> EnvVar {
    let key = SecretKeySelector {
        name: credential.name.clone(),
        key: credential.key.clone(),
        optional: Some(false),
    };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() }),
    }
}

/// A folder that goes with the pod; of memory, if its content is to touch no disk.
pub(crate) fn ephemeral(name: &str, in_memory: bool) -> Volume {
    let medium = in_memory.then(|| "Memory".to_owned());
    let size = in_memory.then(|| Quantity("1Mi".to_owned()));
    let source = EmptyDirVolumeSource { medium, size_limit: size };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

/// A volume that is there already.
pub(crate) fn claimed(name: &str, claim: &str, reads_only: bool) -> Volume {
    let source = PersistentVolumeClaimVolumeSource {
        claim_name: claim.to_owned(),
        read_only: reads_only.then_some(true),
    };
    Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

/// Where a volume is seen.
pub(crate) fn mounted(name: &str, path: &str, reads_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: reads_only.then_some(true),
        ..VolumeMount::default()
    }
}
