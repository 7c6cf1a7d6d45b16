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
