//! Why pods do not run, in the words of the kubelet and the scheduler, and what would help.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::ResourceExt as _;

/// What keeps pods from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// In one word.
    pub(crate) reason: &'static str,
    /// With the name of a pod, and what would help.
    pub(crate) message: String,
}

/// How bad it is: what a person has to mend comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Image,
    Configuration,
    Crash,
    Unscheduled,
    Starts,
}

/// The worst of what keeps one of `pods` from being ready.
pub(crate) fn trouble(pods: &[Arc<Pod>]) -> Option<Trouble> {
    let mut found: Vec<(Rank, &'static str, String)> = pods.iter().filter_map(|pod| of_pod(pod)).collect();
    found.sort_by_key(|(rank, ..)| *rank);
    let alike = found.len();
    let (_, reason, mut message) = found.into_iter().next()?;
    if alike > 1 {
        message.push_str(&format!("; {alike} of {} pods are not ready", pods.len()));
    }
    Some(Trouble { reason, message })
}

fn of_pod(pod: &Pod) -> Option<(Rank, &'static str, String)> {
    let name = pod.name_any();
    let status = pod.status.as_ref()?;
    let is_ready = condition(status, "Ready").is_some_and(|(holds, ..)| holds);
    if is_ready || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    if let Some((false, reason, message)) = condition(status, "PodScheduled")
        && reason == "Unschedulable"
    {
        let message = format!("pod {name} has no node: {}{}", message.trim_end_matches('.'), room(message));
        return Some((Rank::Unscheduled, "Unschedulable", message));
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let waiting = containers.clone().find_map(|container| waits(&name, container));
    waiting.or_else(|| {
        let began = containers.clone().any(|container| container.started == Some(true));
        let what = if began { "runs and is not ready" } else { "starts" };
        Some((Rank::Starts, "Starting", format!("pod {name} {what}")))
    })
}

/// Whether a condition holds, and why.
fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<(bool, &'a str, &'a str)> {
    let found = status.conditions.iter().flatten().find(|condition| condition.type_ == kind)?;
    let reason = found.reason.as_deref().unwrap_or_default();
    Some((found.status == "True", reason, found.message.as_deref().unwrap_or_default()))
}

/// What would help a pod that has no node.
fn room(message: &str) -> &'static str {
    if message.contains("persistentvolumeclaim") || message.contains("PersistentVolumeClaim") {
        "; create the claim, or name another one"
    } else if message.contains("Insufficient") {
        "; add a node that has it, lower what is asked for, or run fewer pods"
    } else if message.contains("taint") || message.contains("node selector") || message.contains("affinity") {
        "; change scheduling, or the nodes"
    } else {
        ""
    }
}

fn waits(pod: &str, container: &ContainerStatus) -> Option<(Rank, &'static str, String)> {
    let state = container.state.as_ref()?;
    let ended = state.terminated.as_ref();
    let Some(waiting) = &state.waiting else {
        let ended = ended.filter(|ended| ended.exit_code != 0)?;
        return Some((
            Rank::Crash,
            "Crashed",
            format!("pod {pod} {}", end(pod, ended.exit_code, ended.reason.as_deref())),
        ));
    };
    let why = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref().unwrap_or_default() {
        reason @ ("ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull") => {
            let message = format!(
                "pod {pod} has no image {}: {reason}: {why}; check the name, the registry and its credentials",
                container.image
            );
            Some((Rank::Image, "ImageUnavailable", message))
        }
        "CreateContainerConfigError" => {
            let message = format!("pod {pod} cannot be made: {why}; create it, or name another one");
            Some((Rank::Configuration, "ConfigurationMissing", message))
        }
        reason @ ("CreateContainerError" | "RunContainerError" | "PostStartHookError") => {
            let message = format!("pod {pod} does not start: {reason}: {why}");
            Some((Rank::Configuration, "ContainerNotStarted", message))
        }
        "CrashLoopBackOff" => {
            let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
            let end = last.map_or_else(
                || "ends again and again".to_owned(),
                |last| end(pod, last.exit_code, last.reason.as_deref()),
            );
            let message = format!("pod {pod} {end}; it was started {} times", container.restart_count + 1);
            Some((Rank::Crash, "CrashLoop", message))
        }
        _ => None,
    }
}

fn end(pod: &str, code: i32, reason: Option<&str>) -> String {
    match reason {
        Some("OOMKilled") => "had too little memory; raise its limit".to_owned(),
        _ => format!("ended with code {code}; see kubectl logs --previous {pod}"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;

    fn check(status: Value, expected: &Expect) {
        let pod = json!({"metadata": {"name": "triage-worker-0"}, "status": status});
        let found = trouble(&[Arc::new(serde_json::from_value(pod).unwrap())]);
        expected.assert_eq(
            &found.map_or_else(
                || "none\n".to_owned(),
                |found| format!("{}: {}\n", found.reason, found.message),
            ),
        );
    }

    fn container(state: Value) -> Value {
        json!({"containerStatuses": [{
            "name": "worker", "image": "localhost/superstep/worker:dev", "imageID": "", "ready": false,
            "restartCount": 3, "state": state,
            "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
        }]})
    }

    #[test]
    fn each_reason_is_told_with_what_would_help() {
        let unscheduled = json!({"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        }]});
        check(
            unscheduled,
            &expect![[r#"
            Unschedulable: pod triage-worker-0 has no node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; add a node that has it, lower what is asked for, or run fewer pods
        "#]],
        );
        check(
            container(
                json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}),
            ),
            &expect![[r#"
                ImageUnavailable: pod triage-worker-0 has no image localhost/superstep/worker:dev: ImagePullBackOff: Back-off pulling image; check the name, the registry and its credentials
            "#]],
        );
        let absent = json!({"waiting": {
            "reason": "CreateContainerConfigError", "message": "secret \"openai\" not found",
        }});
        check(
            container(absent),
            &expect![[r#"
            ConfigurationMissing: pod triage-worker-0 cannot be made: secret "openai" not found; create it, or name another one
        "#]],
        );
        check(
            container(json!({"waiting": {"reason": "CrashLoopBackOff"}})),
            &expect![[r#"
            CrashLoop: pod triage-worker-0 ended with code 2; see kubectl logs --previous triage-worker-0; it was started 4 times
        "#]],
        );
        check(
            container(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})),
            &expect![[r#"
                Crashed: pod triage-worker-0 had too little memory; raise its limit
            "#]],
        );
        check(
            container(json!({"waiting": {"reason": "ContainerCreating"}})),
            &expect![[r#"
            Starting: pod triage-worker-0 starts
        "#]],
        );
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        check(
            ready,
            &expect![[r#"
            none
        "#]],
        );
    }
}
