//! How the number of pods follows what is asked of a model.

use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use superstep_graph::{DurationSpec, FieldPath, Problem};

use super::Engine;

/// The most pods that there can be.
const MOST: u32 = 1_000;
/// How long nobody has asked before the last pod goes, where nobody says.
const IDLE: Duration = Duration::from_secs(300);
/// How long fewer pods would do before some go, where nobody says.
const DOWN: Duration = Duration::from_secs(300);
/// How long a request waits for the first pod, where nobody says.
const START: Duration = Duration::from_secs(600);

/// How the operator chooses the number of pods. While it is given, `replicas` is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Autoscaling {
    /// The fewest pods; default 1. With 0 there are none while no run is in progress that may ask them.
    #[serde(default = "one")]
    pub min_replicas: u32,
    /// The most pods, at most 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: NonZeroU32,
    /// What each pod is given to do; pods come when there is more.
    #[serde(default)]
    pub target: ScalingTarget,
    /// How long fewer pods have to be enough before some go; default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_after: Option<DurationSpec>,
    /// With `minReplicas: 0`: how long nobody has asked, and no run been in progress, before the last pod goes;
    /// default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_after: Option<DurationSpec>,
    /// With `minReplicas: 0`: how long a request of a run that goes on waits for the first pod; default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_within: Option<DurationSpec>,
}

/// What a pod is given to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingTarget {
    /// Requests, those that it works on and those that wait for it; default 8.
    #[serde(default = "eight")]
    #[schemars(range(min = 1))]
    pub concurrency: NonZeroU32,
    /// Of those, the ones that wait. Default: they are not looked at by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub queue: Option<NonZeroU32>,
}

impl Default for ScalingTarget {
    fn default() -> Self {
        Self { concurrency: eight(), queue: None }
    }
}

fn one() -> u32 {
    1
}

fn eight() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(7)
}

impl Autoscaling {
    /// Whether there may be no pods at all.
    pub fn reaches_zero(&self) -> bool {
        self.min_replicas == 0
    }

    /// How long fewer pods have to be enough before some go.
    pub fn scale_down_after(&self) -> Duration {
        self.scale_down_after.map_or(DOWN, DurationSpec::duration)
    }

    /// How long nobody has asked before the last pod goes.
    pub fn idle_after(&self) -> Duration {
        self.idle_after.map_or(IDLE, DurationSpec::duration)
    }

    /// How long a request waits for the first pod.
    pub fn starts_within(&self) -> Duration {
        self.starts_within.map_or(START, DurationSpec::duration)
    }

    pub(super) fn check(&self, path: &FieldPath, engine: &Engine, problems: &mut Vec<Problem>) {
        let max = self.max_replicas.get();
        if engine.external.is_some() || engine.scripted.is_some() {
            let problem = Problem::error(path.clone(), "the engine has no pods whose number could follow");
            problems.push(problem.hint("leave autoscaling out"));
        }
        if max > MOST {
            let message = format!("{max} pods are more than an operator asks for their load");
            problems.push(
                Problem::error(path.field("maxReplicas"), message).hint(format!("give at most {MOST}")),
            );
        }
        if self.min_replicas > max {
            let message = format!("minReplicas {} is more than maxReplicas {max}", self.min_replicas);
            problems.push(Problem::error(path.field("minReplicas"), message).hint("lower it"));
        }
        if engine.ollama.is_some() && max > 1 {
            let message = "engine ollama does not tell its load, so that it has one pod or none";
            problems.push(Problem::error(path.field("maxReplicas"), message).hint("give 1"));
        }
        let of_zero = [("idleAfter", self.idle_after), ("startsWithin", self.starts_within)];
        for (name, _) in of_zero.iter().filter(|(_, given)| given.is_some() && !self.reaches_zero()) {
            let message = format!("{name} is for servers that may have no pods");
            problems
                .push(Problem::error(path.field(name), message).hint("give minReplicas: 0, or leave it out"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mistakes(autoscaling: Value, engine: Value) -> Vec<String> {
        let autoscaling: Autoscaling = serde_json::from_value(autoscaling).unwrap();
        let engine: Engine = serde_json::from_value(engine).unwrap();
        let mut problems = Vec::new();
        autoscaling.check(&FieldPath::default().field("autoscaling"), &engine, &mut problems);
        problems.iter().map(|problem| problem.path.to_string()).collect()
    }

    #[test]
    fn autoscaling_is_within_bounds_of_an_engine_with_pods() {
        let candle = || json!({"candle": {}});
        let ollama = || json!({"ollama": {"image": "i"}});
        let outside = || json!({"external": {"provider": "Ollama", "model": "m"}});
        for (autoscaling, engine, expected) in [
            (json!({"maxReplicas": 4}), candle(), vec![]),
            (json!({"minReplicas": 0, "maxReplicas": 1, "idleAfter": "1m"}), ollama(), vec![]),
            (json!({"minReplicas": 5, "maxReplicas": 4}), candle(), vec!["autoscaling.minReplicas"]),
            (json!({"maxReplicas": 1001}), candle(), vec!["autoscaling.maxReplicas"]),
            (json!({"maxReplicas": 2}), ollama(), vec!["autoscaling.maxReplicas"]),
            (json!({"maxReplicas": 2}), outside(), vec!["autoscaling"]),
            (json!({"maxReplicas": 2, "startsWithin": "1m"}), candle(), vec!["autoscaling.startsWithin"]),
        ] {
            assert_eq!(mistakes(autoscaling.clone(), engine), expected, "{autoscaling}");
        }
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let given: Autoscaling = serde_json::from_value(json!({"maxReplicas": 4})).unwrap();
        assert_eq!((given.min_replicas, given.target.concurrency.get(), given.target.queue), (1, 8, None));
        assert_eq!((given.scale_down_after(), given.starts_within()), (DOWN, START));
    }
}
