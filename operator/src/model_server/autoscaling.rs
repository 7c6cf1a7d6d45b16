//! How many replicas a model server has whose number follows what is asked of it.

mod decide;
mod demand;
mod load;
mod sight;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::events::EventType;
use superstep_api::{Autoscaling, ModelServerObject, ModelServerSpec};

use self::decide::{Bounds, Decision, History, Sight, decide};
pub(super) use self::demand::{InProgress, is_asked};
use self::load::loads;
use self::sight::{is_loading, is_ready};
use crate::conditions::Finding;
use crate::context::Context;
use crate::pace::Pace;

/// How often replicas are asked for their load.
const LOOK: Duration = Duration::from_secs(5);
/// So much earlier it may be.
const SLACK: Duration = Duration::from_millis(200);
/// How often a server without replicas is looked at that nobody tells of.
const REST: Duration = Duration::from_secs(30);

/// What was decided for a server, and what the next decision needs.
#[derive(Clone, Debug)]
pub(crate) struct Scaled {
    /// How many replicas it is to have.
    pub(super) replicas: u32,
    /// What is to be said of that.
    pub(super) finding: Finding,
    history: History,
    looked: Instant,
}

/// What people are told when the number changes.
pub(super) struct Change {
    reason: &'static str,
    note: String,
}

/// A server whose replicas are counted.
pub(super) struct Counted<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) spec: &'a ModelServerSpec,
    pub(super) autoscaling: &'a Autoscaling,
    /// What was decided last.
    pub(super) before: Option<Scaled>,
    /// How many replicas what makes its pods was last told to have; none if it is not there.
    pub(super) there: Option<u32>,
    pub(super) pods: &'a [Arc<Pod>],
}

impl Counted<'_> {
    /// How many replicas it is to have. Nobody is asked more often than [`LOOK`] says.
    pub(super) async fn look(self, context: &Context, pace: &Pace) -> (Scaled, Option<Change>) {
        let now = Instant::now();
        let current = self.before.as_ref().map(|before| before.replicas).or(self.there);
        let current = current.unwrap_or(self.autoscaling.min_replicas);
        if let Some(before) = &self.before
            && current > 0
            && before.replicas <= self.autoscaling.max_replicas.get()
            && before.replicas >= self.autoscaling.min_replicas
            && now.duration_since(before.looked) + SLACK < LOOK
        {
            return (before.clone(), None);
        }
        let ready: Vec<&Pod> = self.pods.iter().map(Arc::as_ref).filter(|pod| is_ready(pod)).collect();
        let loads = loads(&self.spec.engine, &ready, pace).await;
        let of_zero = self.autoscaling.reaches_zero();
        let sight = Sight {
            current,
            ready: count(ready.len()),
            loading: count(self.pods.iter().filter(|pod| is_loading(pod)).count()),
            told: loads.told,
            running: loads.running,
            waiting: loads.waiting,
            is_asked: of_zero && is_asked(context, self.namespace, self.name),
        };
        // What asking takes is no time in which nobody asked.
        let now = Instant::now();
        let mut history = self.before.map_or_else(|| History::new(now), |before| before.history);
        let decision = decide(&Bounds::of(self.autoscaling), &sight, &mut history, now);
        let change = (decision.replicas != current).then(|| change(&sight, decision, self.autoscaling));
        let finding = finding(decision, self.autoscaling, loads.silent.as_deref());
        (Scaled { replicas: decision.replicas, finding, history, looked: now }, change)
    }
}

impl Scaled {
    /// When it is to be looked at again.
    pub(super) fn again(&self) -> Duration {
        if self.replicas == 0 { REST } else { LOOK.saturating_sub(self.looked.elapsed()) }
    }
}

impl Change {
    /// Tells people.
    pub(super) async fn tell(&self, context: &Context, server: &ModelServerObject) {
        context.events.say(server, EventType::Normal, self.reason, &self.note).await;
    }
}

fn count(pods: usize) -> u32 {
    u32::try_from(pods).unwrap_or(u32::MAX)
}

fn change(sight: &Sight, decision: Decision, autoscaling: &Autoscaling) -> Change {
    let (from, to) = (sight.current, decision.replicas);
    let asked = format!("{} requests are worked on, {} wait", sight.running, sight.waiting);
    let (reason, why) = match (from, to) {
        (0, _) if sight.is_asked => ("ScaledUp", "a run is in progress that may ask it".to_owned()),
        (_, 0) => {
            let idle = autoscaling.idle_after().as_secs();
            ("ScaledToZero", format!("nobody has asked it for {idle} s, and no run is in progress that may"))
        }
        (from, to) if to > from => ("ScaledUp", asked),
        _ => ("ScaledDown", asked),
    };
    Change { reason, note: format!("from {from} to {to} replicas: {why}") }
}

/// What is said of the number. It names nothing that changes at each look.
fn finding(decision: Decision, autoscaling: &Autoscaling, silent: Option<&str>) -> Finding {
    let (min, max) = (autoscaling.min_replicas, autoscaling.max_replicas);
    let said = |holds, reason, message| Finding { kind: "Autoscaled", holds: Some(holds), reason, message };
    if let Some(silent) = silent {
        let message = format!("{silent}; it counts as busy, so that nothing is scaled down meanwhile");
        return said(false, "LoadUnknown", message);
    }
    if decision.replicas == 0 {
        let message = "no run is in progress that may ask it; the next one starts it".to_owned();
        return said(true, "ScaledToZero", message);
    }
    if decision.is_limited {
        let message = format!("what is asked of it is more than maxReplicas, {max}, are to be given");
        return said(true, "AtMaximum", message);
    }
    said(true, "WithinBounds", format!("between {min} and {max} replicas, as many as are asked for"))
}

#[cfg(test)]
mod tests {
    use superstep_api::ModelServerSpec;

    use super::*;

    fn autoscaling() -> Autoscaling {
        let spec = serde_json::json!({"engine": {"candle": {}}, "autoscaling": {"minReplicas": 0, "maxReplicas": 4}});
        serde_json::from_value::<ModelServerSpec>(spec).unwrap().autoscaling.unwrap()
    }

    #[test]
    fn what_is_said_tells_the_reason() {
        let bounds = autoscaling();
        let of = |replicas, is_limited| Decision { replicas, is_limited };
        assert_eq!(finding(of(0, false), &bounds, None).reason, "ScaledToZero");
        assert_eq!(finding(of(4, true), &bounds, None).reason, "AtMaximum");
        assert_eq!(finding(of(2, false), &bounds, None).reason, "WithinBounds");
        let silent = finding(of(4, true), &bounds, Some("pod a does not tell its load"));
        assert_eq!((silent.reason, silent.holds), ("LoadUnknown", Some(false)));
    }

    #[test]
    fn people_are_told_from_what_to_what_and_why() {
        let sight = |current, is_asked| Sight {
            current,
            ready: current,
            loading: 0,
            told: current,
            running: 9.0,
            waiting: 0.0,
            is_asked,
        };
        let told = |from, to, is_asked| {
            change(&sight(from, is_asked), Decision { replicas: to, is_limited: false }, &autoscaling())
        };
        assert_eq!(told(0, 1, true).note, "from 0 to 1 replicas: a run is in progress that may ask it");
        assert_eq!(told(1, 2, true).note, "from 1 to 2 replicas: 9 requests are worked on, 0 wait");
        assert_eq!((told(2, 1, true).reason, told(1, 0, false).reason), ("ScaledDown", "ScaledToZero"));
    }
}
