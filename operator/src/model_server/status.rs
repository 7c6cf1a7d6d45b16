//! The status of a model server, from what was found of it and its pods.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use superstep_api::{ModelServerSpec, ModelServerStatus};
use superstep_graph::Problem;

use super::autoscaling::Scaled;
use super::build::{has_pods, workload};
use super::fit::fit;
use crate::children::Seen;
use crate::conditions::{Finding, Standing, conditions};
use crate::mistakes::listed;
use crate::names::OfModelServer;
use crate::placed::Placed;
use crate::rollout::{Available, Rollout};

/// What is known of a model server.
pub(super) struct Found<'a> {
    /// Its namespace.
    pub(super) namespace: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// The version of its spec.
    pub(super) generation: Option<i64>,
    /// It, or what is wrong with it.
    pub(super) checked: Result<&'a ModelServerSpec, &'a [Problem]>,
    /// Why it can have no children under its name.
    pub(super) misnamed: Option<String>,
    /// What became of its children.
    pub(super) placed: &'a Placed,
    /// What makes its pods.
    pub(super) workload: Option<&'a Seen>,
    /// The pods.
    pub(super) pods: &'a [Arc<Pod>],
    /// How many there are to be, where the operator decides that.
    pub(super) scaled: Option<&'a Scaled>,
}

/// What is to be said of it.
pub(super) fn status(before: &ModelServerStatus, found: &Found<'_>, at: Timestamp) -> ModelServerStatus {
    let spec = found.checked.ok();
    let available = spec.map(|spec| available(found, spec));
    let mut findings = vec![valid(found)];
    findings.extend(available.iter().map(|available| available.finding("ServersAvailable")));
    findings.extend(found.scaled.map(|scaled| scaled.finding.clone()));
    findings.extend(spec.filter(|spec| spec.model.is_some()).map(|spec| {
        let fit = fit(spec);
        Finding { kind: "FitsDevice", holds: fit.fits, reason: fit.reason, message: fit.message }
    }));
    let standing = standing(found, available.as_ref());
    let pods = spec.filter(|spec| has_pods(spec));
    let names = OfModelServer(found.name);
    let selector: Vec<String> =
        names.selector().iter().map(|(label, value)| format!("{label}={value}")).collect();
    ModelServerStatus {
        observed_generation: found.generation,
        conditions: conditions(&before.conditions, found.generation, &standing, &findings, at),
        engine: spec.map(|spec| engine(spec).to_owned()),
        model: spec.and_then(model),
        url: pods
            .map(|_| names.url(found.namespace))
            .or_else(|| spec?.engine.external.as_ref()?.base_url.clone()),
        desired_replicas: found.scaled.map(|scaled| i32::try_from(scaled.replicas).unwrap_or(i32::MAX)),
        replicas: Some(found.workload.map_or(0, |seen| seen.count("replicas"))),
        ready_replicas: Some(found.workload.map_or(0, |seen| seen.count("readyReplicas"))),
        selector: pods.map(|_| selector.join(",")),
    }
}

fn engine(spec: &ModelServerSpec) -> &'static str {
    let engine = &spec.engine;
    if engine.candle.is_some() {
        "candle"
    } else if engine.scripted.is_some() {
        "scripted"
    } else if engine.external.is_some() {
        "external"
    } else {
        engine.container().map_or("none", |(name, _)| name)
    }
}

fn model(spec: &ModelServerSpec) -> Option<String> {
    let own = spec.model.as_ref().map(|model| model.name.clone());
    own.or_else(|| spec.engine.external.as_ref().map(|external| external.model.clone()))
}

fn valid(found: &Found<'_>) -> Finding {
    let kind = "SpecValid";
    match found.checked {
        Ok(spec) => {
            let message = format!("engine {} can serve it", engine(spec));
            Finding { kind, holds: Some(true), reason: "Valid", message }
        }
        Err(problems) => Finding { kind, holds: Some(false), reason: "Invalid", message: listed(problems) },
    }
}

fn available(found: &Found<'_>, spec: &ModelServerSpec) -> Available {
    let without = |reason, message: &str| Available { holds: true, reason, message: message.to_owned() };
    if let Some(external) = &spec.engine.external {
        let place = external.base_url.as_deref().unwrap_or("the address of its provider");
        let key = external
            .credential_ref
            .as_ref()
            .map_or_else(String::new, |key| format!("; workers send key {} of Secret {}", key.key, key.name));
        return without("External", &format!("it is served outside, at {place}{key}"));
    }
    if spec.engine.scripted.is_some() {
        return without("Scripted", "its answers are written down, and workers have them");
    }
    let name = OfModelServer(found.name).model();
    let rollout = Rollout {
        kind: workload(spec),
        name: &name,
        what: "servers",
        wanted: found.scaled.map_or(spec.replicas, |scaled| scaled.replicas),
        seen: found.workload,
        pods: found.pods,
        placed: found.placed,
    };
    let mut available = rollout.available();
    if let Some(scaled) = found.scaled
        && available.reason == "ScaledToZero"
    {
        available.message.clone_from(&scaled.finding.message);
    }
    available
}

fn standing(found: &Found<'_>, available: Option<&Available>) -> Standing {
    if let Err(problems) = found.checked {
        return Standing::Stalled { reason: "Invalid", message: listed(problems) };
    }
    if let Some(message) = &found.misnamed {
        return Standing::Stalled { reason: "NameUnusable", message: message.clone() };
    }
    found
        .placed
        .standing()
        .or_else(|| available.map(Available::standing))
        .unwrap_or_else(|| Standing::Reconciling { reason: "RollingOut", message: String::new() })
}
