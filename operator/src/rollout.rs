//! How far the pods of an object are.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use crate::children::Seen;
use crate::conditions::{Finding, Standing};
use crate::placed::Placed;
use crate::pods::trouble;

/// What makes pods, and what they are.
pub(crate) struct Rollout<'a> {
    /// The kind of what makes them.
    pub(crate) kind: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// What they are, such as `workers`.
    pub(crate) what: &'static str,
    /// How many there are to be.
    pub(crate) wanted: u32,
    /// What makes them, as it was seen.
    pub(crate) seen: Option<&'a Seen>,
    /// They.
    pub(crate) pods: &'a [Arc<Pod>],
    /// What became of all children.
    pub(crate) placed: &'a Placed,
}

/// How the pods are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Available {
    /// Whether all are ready and as they are to be.
    pub(crate) holds: bool,
    /// Why, in one word.
    pub(crate) reason: &'static str,
    /// In a sentence.
    pub(crate) message: String,
}

impl Available {
    /// The same as a condition.
    pub(crate) fn finding(&self, kind: &'static str) -> Finding {
        Finding { kind, holds: Some(self.holds), reason: self.reason, message: self.message.clone() }
    }

    /// How an object stands that needs nothing but its pods.
    pub(crate) fn standing(&self) -> Standing {
        let (reason, message) = (self.reason, self.message.clone());
        if self.holds {
            Standing::Ready { reason, message }
        } else {
            Standing::Reconciling { reason, message }
        }
    }
}

impl Rollout<'_> {
    /// How they are.
    pub(crate) fn available(&self) -> Available {
        let (kind, name, what) = (self.kind, self.name, self.what);
        let wanted = i32::try_from(self.wanted).unwrap_or(i32::MAX);
        let not = |reason, message| Available { holds: false, reason, message };
        let Some(seen) = self.seen else {
            return not("NotMade", format!("{kind} {name} is not there"));
        };
        let (all, ready, updated) =
            (seen.count("replicas"), seen.count("readyReplicas"), seen.count("updatedReplicas"));
        // What it says may be of an older spec.
        let observed = seen.status().get("observedGeneration").and_then(Value::as_i64);
        let is_current =
            observed == seen.generation && !matches!(self.placed, Placed::Done { is_changed: true });
        if is_current && wanted == 0 && all == 0 {
            let message = format!("{kind} {name} is scaled to no pods; kubectl scale gives it some");
            return Available { holds: true, reason: "ScaledToZero", message };
        }
        let told = format!("{ready} of {wanted} {what} are ready");
        if is_current && ready >= wanted && updated >= wanted && all == wanted {
            return Available { holds: true, reason: "Available", message: told };
        }
        match (trouble(self.pods), failure(seen)) {
            (Some(trouble), _) => not(trouble.reason, format!("{told}: {}", trouble.message)),
            (None, Some(why)) => not("PodsRefused", format!("{told}: {kind} {name} cannot make pods: {why}")),
            (None, None) if is_current && all < wanted => {
                let see = format!("see kubectl describe {} {name}", kind.to_lowercase());
                not("PodsMissing", format!("{told}: {kind} {name} has made {all}; {see}"))
            }
            (None, None) => not("RollingOut", told),
        }
    }
}

/// Why a Deployment cannot make pods, if it says so; a StatefulSet never does.
fn failure(seen: &Seen) -> Option<String> {
    let status = seen.status();
    let mut conditions = status.get("conditions")?.as_array()?.iter();
    let failed = conditions
        .find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True")?;
    failed["message"].as_str().map(str::to_owned)
}
