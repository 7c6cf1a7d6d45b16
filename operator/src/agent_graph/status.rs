//! The status of a graph, from what was found of it, its children and its pods.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use superstep_api::AgentGraphStatus;
use superstep_graph::{Problem, ValidatedGraph};

use super::dereference::Missing;
use crate::children::Seen;
use crate::conditions::{Finding, Standing, conditions};
use crate::names::OfGraph;
use crate::placed::Placed;
use crate::pods::trouble;

/// How many mistakes a condition tells of.
const MISTAKES: usize = 8;

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
    let available = available(found);
    let findings = [valid(found), resolved(found), available.finding()];
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

fn listed(problems: &[Problem]) -> String {
    let shown: Vec<String> =
        problems.iter().take(MISTAKES).map(|problem| format!("spec.{problem}")).collect();
    let more = problems.len().saturating_sub(MISTAKES);
    let rest = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{rest}", shown.join("; "))
}

fn resolved(found: &Found<'_>) -> Finding {
    let kind = "ResolvedRefs";
    let Some(first) = found.missing.first() else {
        let message = "everything that it names is there".to_owned();
        return Finding { kind, holds: Some(true), reason: "Resolved", message };
    };
    let all: Vec<&str> =
        found.missing.iter().take(MISTAKES).map(|missing| missing.message.as_str()).collect();
    Finding { kind, holds: Some(false), reason: first.reason, message: all.join("; ") }
}

/// How the workers are.
struct Workers {
    are_available: bool,
    reason: &'static str,
    message: String,
}

impl Workers {
    fn finding(&self) -> Finding {
        Finding {
            kind: "WorkersAvailable",
            holds: Some(self.are_available),
            reason: self.reason,
            message: self.message.clone(),
        }
    }
}

fn available(found: &Found<'_>) -> Workers {
    let worker = OfGraph(found.name).worker();
    let wanted = i32::try_from(found.wanted).unwrap_or(i32::MAX);
    let Some(set) = found.set else {
        let message = format!("StatefulSet {worker} has no pods");
        return Workers { are_available: false, reason: "NoWorkers", message };
    };
    let (all, ready, updated) =
        (set.count("replicas"), set.count("readyReplicas"), set.count("updatedReplicas"));
    // What the set says may be of an older spec.
    let observed = set.status().get("observedGeneration").and_then(serde_json::Value::as_i64);
    let is_current = observed == set.generation && !matches!(found.placed, Placed::Done { is_changed: true });
    if is_current && wanted == 0 {
        let message = format!("StatefulSet {worker} is scaled to no pods; kubectl scale gives it some");
        return Workers { are_available: all == 0, reason: "ScaledToZero", message };
    }
    let told = format!("{ready} of {wanted} workers are ready");
    if is_current && ready >= wanted && updated >= wanted && all == wanted {
        return Workers { are_available: true, reason: "Available", message: told };
    }
    match trouble(found.pods) {
        Some(trouble) => Workers {
            are_available: false,
            reason: trouble.reason,
            message: format!("{told}: {}", trouble.message),
        },
        None if is_current && all < wanted => {
            let message = format!(
                "{told}: StatefulSet {worker} has made {all} pods; see kubectl describe statefulset {worker}"
            );
            Workers { are_available: false, reason: "PodsMissing", message }
        }
        None => Workers { are_available: false, reason: "RollingOut", message: told },
    }
}

fn standing(found: &Found<'_>, findings: &[Finding; 3], available: &Workers) -> Standing {
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
    if let Some(standing) = found.placed.standing() {
        return standing;
    }
    let (reason, message) = (available.reason, available.message.clone());
    if available.are_available {
        Standing::Ready { reason, message }
    } else {
        Standing::Reconciling { reason, message }
    }
}
