//! What a rendered chart must keep to: rights without wildcards, and pods that the strictest policy admits.

use super::yaml::{list, text, values, words};
use anyhow::{Result, bail};
use serde_json::Value;

/// What nobody needs who looks after graphs.
const VERBS: [&str; 4] = ["*", "bind", "escalate", "impersonate"];
const RESOURCES: [&str; 8] = [
    "*",
    "agentgraphs/scale",
    "modelservers/scale",
    "nodes/proxy",
    "pods/attach",
    "pods/exec",
    "serviceaccounts/token",
    "subjectaccessreviews",
];
/// What may be done with the one Secret that a rule names.
const OF_A_SECRET: [&str; 3] = ["get", "patch", "update"];
/// Kinds that are never written.
const UNWRITTEN: [&str; 2] = ["agentgraphs", "modelservers"];
const WRITES: [&str; 2] = ["patch", "update"];
/// What a role has that people are given.
const AGGREGATED: &str = "rbac.authorization.k8s.io/aggregate-to-";

/// Fails with everything that is wrong.
pub(super) fn check(rendered: &str) -> Result<()> {
    let mut wrong = Vec::new();
    for object in values(rendered)? {
        let name = format!("{} {}", text(&object, "/kind"), text(&object, "/metadata/name"));
        match text(&object, "/kind") {
            "ClusterRole" | "Role" if !is_for_people(&object) => {
                let rules = list(&object, "/rules").iter();
                wrong.extend(rules.flat_map(broken).map(|what| format!("{name}: {what}")));
            }
            "Deployment" => wrong.extend(lax(&object, "/spec/template/spec").map(|w| format!("{name}: {w}"))),
            "Pod" => wrong.extend(lax(&object, "/spec").map(|what| format!("{name}: {what}"))),
            _ => {}
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

fn is_for_people(role: &Value) -> bool {
    let labels = role.pointer("/metadata/labels").and_then(Value::as_object);
    labels.is_some_and(|labels| labels.keys().any(|label| label.starts_with(AGGREGATED)))
}

/// What is wrong with a rule.
fn broken(rule: &Value) -> Vec<String> {
    let (groups, resources, verbs) =
        (words(rule, "/apiGroups"), words(rule, "/resources"), words(rule, "/verbs"));
    let mut broken = Vec::new();
    let too_much = verbs.iter().filter(|verb| VERBS.contains(verb));
    broken.extend(too_much.map(|verb| format!("the verb {verb}")));
    let too_much = resources.iter().filter(|resource| RESOURCES.contains(resource));
    broken.extend(too_much.map(|resource| format!("the resource {resource}")));
    if groups.contains(&"*") || !words(rule, "/nonResourceURLs").is_empty() {
        broken.push("more than named groups".to_owned());
    }
    let named = !words(rule, "/resourceNames").is_empty();
    let secrets = resources.contains(&"secrets");
    if secrets && !(named && verbs.iter().all(|verb| OF_A_SECRET.contains(verb))) {
        broken.push(format!("secrets by {verbs:?}"));
    }
    let of_ours = groups.contains(&"superstep.dev") && resources.iter().any(|name| UNWRITTEN.contains(name));
    if of_ours && verbs.iter().any(|verb| WRITES.contains(verb)) {
        broken.push(format!("specs of ours are written: {resources:?}"));
    }
    broken
}

/// What the strictest policy refuses in a pod, and what ours refuses beyond.
fn lax<'a>(object: &'a Value, pod: &str) -> impl Iterator<Item = String> + 'a {
    let spec = object.pointer(pod).unwrap_or(&Value::Null);
    let mut lax = demand(
        spec,
        &[
            ("/securityContext/runAsNonRoot", Value::from(true)),
            ("/securityContext/seccompProfile/type", Value::from("RuntimeDefault")),
            ("/enableServiceLinks", Value::from(false)),
        ],
    );
    for field in ["hostNetwork", "hostPID", "hostIPC", "volumes"] {
        lax.extend(spec.get(field).map(|_| format!("{field} is there")));
    }
    for container in list(spec, "/containers") {
        lax.extend(demand(
            container,
            &[
                ("/securityContext/allowPrivilegeEscalation", Value::from(false)),
                ("/securityContext/readOnlyRootFilesystem", Value::from(true)),
                ("/securityContext/capabilities", serde_json::json!({"drop": ["ALL"]})),
            ],
        ));
    }
    lax.into_iter()
}

fn demand(value: &Value, fields: &[(&str, Value)]) -> Vec<String> {
    let unlike = fields.iter().filter(|(pointer, wanted)| value.pointer(pointer) != Some(wanted));
    unlike.map(|(pointer, wanted)| format!("{pointer} is not {wanted}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(rule: &str) -> Vec<String> {
        let text = format!("kind: ClusterRole\nmetadata: {{name: r}}\nrules:\n- {rule}\n");
        match check(&text) {
            Ok(()) => Vec::new(),
            Err(error) => error.to_string().lines().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn too_many_rights_are_refused() {
        for rule in [
            "{apiGroups: ['*'], resources: [pods], verbs: [get]}",
            "{apiGroups: [''], resources: ['*'], verbs: [get]}",
            "{apiGroups: [''], resources: [pods], verbs: ['*']}",
            "{apiGroups: [''], resources: [secrets], verbs: [get]}",
            "{apiGroups: [''], resources: [secrets], resourceNames: [ca], verbs: [list]}",
            "{apiGroups: [''], resources: [pods/exec], verbs: [create]}",
            "{apiGroups: [superstep.dev], resources: [agentgraphs], verbs: [patch]}",
            "{apiGroups: [superstep.dev], resources: [agentgraphs/scale], verbs: [update]}",
            "{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [escalate]}",
            "{nonResourceURLs: [/metrics], verbs: [get]}",
        ] {
            assert_eq!(role(rule).len(), 1, "{rule}");
        }
        for rule in [
            "{apiGroups: [''], resources: [secrets], resourceNames: [ca], verbs: [get, patch]}",
            "{apiGroups: [superstep.dev], resources: [agentgraphs/status], verbs: [patch]}",
            "{apiGroups: [superstep.dev], resources: [graphruns], verbs: [delete, patch]}",
            "{apiGroups: [superstep.dev], resources: [agentgraphs], verbs: [get, list, watch]}",
        ] {
            assert_eq!(role(rule), [""; 0], "{rule}");
        }
    }

    #[test]
    fn people_may_write_what_is_theirs() {
        let role = |label: &str| {
            check(&format!(
                "kind: ClusterRole\nmetadata: {{name: r, labels: {{{label}to-edit: 'true'}}}}\n\
                 rules: [{{apiGroups: [superstep.dev], resources: [agentgraphs], verbs: [patch]}}]\n"
            ))
        };
        assert!(role(AGGREGATED).is_ok());
        assert!(role("x/").is_err());
    }

    #[test]
    fn a_lax_pod_is_refused() {
        let strict = "{runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}";
        let container = "{name: c, securityContext: {allowPrivilegeEscalation: false, \
            readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}}";
        let pod = |context: &str, container: &str, more: &str| {
            check(&format!(
                "kind: Pod\nmetadata: {{name: p}}\nspec:\n  enableServiceLinks: false\n  \
                 securityContext: {context}\n  containers: [{container}]\n{more}"
            ))
        };
        assert!(pod(strict, container, "").is_ok());
        assert!(pod("{runAsNonRoot: true}", container, "").is_err());
        assert!(pod(strict, "{name: c}", "").is_err());
        assert!(pod(strict, container, "  hostNetwork: true\n").is_err());
    }
}
