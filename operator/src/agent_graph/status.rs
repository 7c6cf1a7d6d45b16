//! The status of a graph, from what was found of it, its children and its pods.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use superstep_api::AgentGraphStatus;
use superstep_graph::{Problem, ValidatedGraph};

use super::dereference::Missing;
use crate::children::Seen;
use crate::conditions::{Finding, Standing, conditions};
use crate::mistakes::listed;
use crate::names::OfGraph;
use crate::placed::Placed;
use crate::rollout::{Available, Rollout};

/// How many absent objects a condition tells of.
const SHOWN: usize = 8;

/// What is known of a graph.
pub(super) struct Found<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The version of its spec.
    pub(super) generation: Option<i64>,
    /// How many workers it wants.
    pub(super) wanted: u32,
    /// The graph, or what is wrong with it.
    pub(super) checked: Result<&'a ValidatedGraph, &'a [Problem]>,
    /// Why it can have no children under its name.
    pub(super) misnamed: Option<String>,
    /// What it names and is not there.
    pub(super) missing: &'a [Missing],
    /// What became of its children.
    pub(super) placed: &'a Placed,
    /// Its set of pods.
    pub(super) set: Option<&'a Seen>,
    /// The pods.
    pub(super) pods: &'a [Arc<Pod>],
    /// How many of its runs have not ended.
    pub(super) active: u32,
}

/// What is to be said of it.
pub(super) fn status(before: &AgentGraphStatus, found: &Found<'_>, at: Timestamp) -> AgentGraphStatus {
    let name = OfGraph(found.name).worker();
    let rollout = Rollout {
        kind: "StatefulSet",
        name: &name,
        what: "workers",
        wanted: found.wanted,
        seen: found.set,
        pods: found.pods,
        placed: found.placed,
    };
    let available = rollout.available();
    let findings = [valid(found), resolved(found), available.finding("WorkersAvailable")];
    let standing = standing(found, &findings, &available);
    let selector = OfGraph(found.name).selector();
    let selector: Vec<String> = selector.iter().map(|(label, value)| format!("{label}={value}")).collect();
    AgentGraphStatus {
        observed_generation: found.generation,
        conditions: conditions(&before.conditions, found.generation, &standing, &findings, at),
        revision: found.checked.ok().map(|graph| graph.revision().to_string()),
        vertices: found.checked.ok().map(|graph| number(graph.spec().vertices.len())),
        edges: found.checked.ok().map(|graph| number(graph.spec().edges.len())),
        replicas: Some(found.set.map_or(0, |set| set.count("replicas"))),
        ready_replicas: Some(found.set.map_or(0, |set| set.count("readyReplicas"))),
        selector: Some(selector.join(",")),
        active_runs: Some(found.active),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn valid(found: &Found<'_>) -> Finding {
    let kind = "GraphValid";
    match found.checked {
        Ok(graph) => {
            let spec = graph.spec();
            let doubts = graph.warnings();
            let mut message = format!("{} vertices, {} edges", spec.vertices.len(), spec.edges.len());
            if !doubts.is_empty() {
                message.push_str(&format!("; doubtful: {}", listed(doubts)));
            }
            let reason = if doubts.is_empty() { "Valid" } else { "Doubtful" };
            Finding { kind, holds: Some(true), reason, message }
        }
        Err(problems) => Finding { kind, holds: Some(false), reason: "Invalid", message: listed(problems) },
    }
}

fn resolved(found: &Found<'_>) -> Finding {
    let kind = "ResolvedRefs";
    let Some(first) = found.missing.first() else {
        let message = "everything that it names is there".to_owned();
        return Finding { kind, holds: Some(true), reason: "Resolved", message };
    };
    let all: Vec<&str> = found.missing.iter().take(SHOWN).map(|missing| missing.message.as_str()).collect();
    Finding { kind, holds: Some(false), reason: first.reason, message: all.join("; ") }
}

fn standing(found: &Found<'_>, findings: &[Finding; 3], available: &Available) -> Standing {
    if let Some(message) = &found.misnamed {
        return Standing::Stalled { reason: "NameUnusable", message: message.clone() };
    }
    let [valid, resolved, _] = findings;
    if valid.holds == Some(false) {
        return Standing::Stalled { reason: valid.reason, message: valid.message.clone() };
    }
    if resolved.holds == Some(false) {
        // It comes by itself when what is named is created.
        return Standing::Reconciling { reason: resolved.reason, message: resolved.message.clone() };
    }
    found.placed.standing().unwrap_or_else(|| available.standing())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
    use serde_json::{Value, json};
    use superstep_graph::{FieldPath, validate};

    use super::*;

    /// A case: what is known of a graph that wants three workers.
    #[derive(Default)]
    struct Case {
        problems: Vec<Problem>,
        missing: Vec<Missing>,
        placed: Option<Placed>,
        set: Option<Value>,
        pods: Vec<Value>,
    }

    impl Case {
        fn check(self, expected: &Expect) {
            let spec = json!({"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]});
            let graph = validate(&serde_json::from_value(spec).unwrap()).unwrap();
            let set = self.set.map(|status| {
                Seen::written(json!({
                    "apiVersion": "apps/v1", "kind": "StatefulSet", "status": status,
                    "metadata": {"name": "triage-worker", "namespace": "team", "generation": 2},
                }))
            });
            let pods: Vec<Arc<Pod>> =
                self.pods.into_iter().map(|pod| Arc::new(serde_json::from_value(pod).unwrap())).collect();
            let found = Found {
                name: "triage",
                generation: Some(2),
                wanted: 3,
                checked: if self.problems.is_empty() { Ok(&graph) } else { Err(&self.problems) },
                misnamed: None,
                missing: &self.missing,
                placed: self.placed.as_ref().unwrap_or(&Placed::Done { is_changed: false }),
                set: set.as_ref(),
                pods: &pods,
                active: 1,
            };
            let status = status(&AgentGraphStatus::default(), &found, Timestamp::UNIX_EPOCH);
            let conditions = status.conditions.iter().map(|condition| {
                let Condition { type_, status, reason, message, .. } = condition;
                format!("{type_} {status} {reason}: {message}\n")
            });
            let replicas = status.replicas.unwrap();
            let told =
                format!("{}{:?} of {replicas}\n", conditions.collect::<String>(), status.ready_replicas);
            expected.assert_eq(&told);
        }
    }

    fn set(replicas: i32, ready: i32, observed: i64) -> Option<Value> {
        Some(json!({
            "replicas": replicas, "readyReplicas": ready, "updatedReplicas": replicas,
            "observedGeneration": observed,
        }))
    }

    #[test]
    fn workers_are_ready_when_all_are_and_are_of_this_generation() {
        Case { set: set(3, 3, 2), ..Case::default() }.check(&expect![[r#"
            Ready True Available: 3 of 3 workers are ready
            GraphValid True Valid: 1 vertices, 0 edges
            ResolvedRefs True Resolved: everything that it names is there
            WorkersAvailable True Available: 3 of 3 workers are ready
            Some(3) of 3
        "#]]);
        Case { set: set(3, 3, 1), ..Case::default() }.check(&expect![[r#"
            Ready False RollingOut: 3 of 3 workers are ready
            Reconciling True RollingOut: 3 of 3 workers are ready
            GraphValid True Valid: 1 vertices, 0 edges
            ResolvedRefs True Resolved: everything that it names is there
            WorkersAvailable False RollingOut: 3 of 3 workers are ready
            Some(3) of 3
        "#]]);
        let placed = Some(Placed::Done { is_changed: true });
        Case { set: set(3, 3, 2), placed, ..Case::default() }.check(&expect![[r#"
            Ready False RollingOut: 3 of 3 workers are ready
            Reconciling True RollingOut: 3 of 3 workers are ready
            GraphValid True Valid: 1 vertices, 0 edges
            ResolvedRefs True Resolved: everything that it names is there
            WorkersAvailable False RollingOut: 3 of 3 workers are ready
            Some(3) of 3
        "#]]);
    }

    #[test]
    fn a_pod_without_a_node_is_told_of_in_the_first_line() {
        let pod = json!({
            "metadata": {"name": "triage-worker-2"},
            "status": {"conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
            }]},
        });
        Case { set: set(3, 2, 2), pods: vec![pod], ..Case::default() }.check(&expect![[r#"
            Ready False Unschedulable: 2 of 3 workers are ready: pod triage-worker-2 has no node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; add a node that has it, lower what is asked for, or run fewer pods
            Reconciling True Unschedulable: 2 of 3 workers are ready: pod triage-worker-2 has no node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; add a node that has it, lower what is asked for, or run fewer pods
            GraphValid True Valid: 1 vertices, 0 edges
            ResolvedRefs True Resolved: everything that it names is there
            WorkersAvailable False Unschedulable: 2 of 3 workers are ready: pod triage-worker-2 has no node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; add a node that has it, lower what is asked for, or run fewer pods
            Some(2) of 3
        "#]]);
    }

    #[test]
    fn what_is_wrong_comes_before_what_is_on_its_way() {
        let missing = vec![Missing { reason: "ModelServerMissing", message: "it is not there".to_owned() }];
        let stuck = Some(Placed::Stuck { reason: "NameTaken", message: "it belongs to Helm".to_owned() });
        let path = FieldPath::default().field("vertices").index(0);
        let problems = vec![Problem::error(path, "it has no program").hint("give it one")];
        Case { placed: stuck, ..Case::default() }.check(&expect![[r#"
            Ready False NameTaken: it belongs to Helm
            Stalled True NameTaken: it belongs to Helm
            GraphValid True Valid: 1 vertices, 0 edges
            ResolvedRefs True Resolved: everything that it names is there
            WorkersAvailable False NotMade: StatefulSet triage-worker is not there
            Some(0) of 0
        "#]]);
        Case { missing: missing.clone(), placed: Some(Placed::Kept), ..Case::default() }.check(&expect![[
            r#"
                Ready False ModelServerMissing: it is not there
                Reconciling True ModelServerMissing: it is not there
                GraphValid True Valid: 1 vertices, 0 edges
                ResolvedRefs False ModelServerMissing: it is not there
                WorkersAvailable False NotMade: StatefulSet triage-worker is not there
                Some(0) of 0
            "#
        ]]);
        Case { problems, missing, placed: Some(Placed::Kept), set: set(3, 3, 2), ..Case::default() }.check(
            &expect![[r#"
                Ready False Invalid: spec.vertices[0]: it has no program (give it one)
                Stalled True Invalid: spec.vertices[0]: it has no program (give it one)
                GraphValid False Invalid: spec.vertices[0]: it has no program (give it one)
                ResolvedRefs False ModelServerMissing: it is not there
                WorkersAvailable True Available: 3 of 3 workers are ready
                Some(3) of 3
            "#]],
        );
    }
}
