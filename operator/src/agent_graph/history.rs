//! The objects of runs that have ended: those go that the retention of their graph lets go.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Error};
use superstep_api::{AgentGraphObject, GraphRunObject};
use superstep_graph::{DurationSpec, RetentionSpec};

use super::triggers::is_active;
use crate::children::Owner;
use crate::context::Context;
use crate::graph_run::former;

/// A run that has ended.
struct Ended<'a> {
    run: &'a GraphRunObject,
    at: Timestamp,
}

/// Deletes the objects that the retention of a graph lets go; in how long it lets the next one go by its age alone.
///
/// # Errors
/// The API server refuses it or cannot be reached.
pub(super) async fn retain(
    graph: &AgentGraphObject,
    context: &Context,
    owner: &Owner,
    now: Timestamp,
) -> Result<Option<Duration>, Error> {
    let Some(retention) = graph.spec.graph.retention else { return Ok(None) };
    let runs: Vec<_> = context
        .runs
        .all()
        .filter(|run| {
            run.spec.graph_ref.name == owner.name && run.namespace().as_deref() == Some(&owner.namespace)
        })
        .collect();
    let (gone, next) = lets_go(&runs.iter().map(AsRef::as_ref).collect::<Vec<_>>(), retention, now);
    let api = Api::<GraphRunObject>::namespaced(context.client.clone(), &owner.namespace);
    for run in gone {
        let this = Preconditions { uid: run.uid(), resource_version: None };
        let how = DeleteParams { preconditions: Some(this), ..DeleteParams::default() };
        match api.delete(&run.name_any(), &how).await {
            Ok(_) => tracing::info!(run = run.name_any(), graph = owner.name, "the graph does not keep it"),
            // It is gone already.
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(next)
}

/// The runs of a graph that are let go, and in how long the next one is. Those that another run begins with which has not
/// begun stay, and so do those that have not ended.
fn lets_go<'a>(
    runs: &[&'a GraphRunObject],
    retention: RetentionSpec,
    now: Timestamp,
) -> (Vec<&'a GraphRunObject>, Option<Duration>) {
    if retention.runs.is_none() && retention.age.is_none() {
        return (Vec::new(), None);
    }
    let begins = |run: &&GraphRunObject| {
        let status = run.status.as_ref();
        is_active(status) && status.is_none_or(|status| status.started_at.is_none())
    };
    let needed: BTreeSet<&str> = runs.iter().copied().filter(begins).filter_map(former).collect();
    let mut ended: Vec<Ended<'a>> = runs.iter().copied().filter_map(ended).collect();
    ended.sort_by_key(|ended| Reverse((ended.at, ended.run.name_any())));
    let newest = retention.runs.map_or(0, |runs| usize::try_from(runs).unwrap_or(usize::MAX));
    let least = retention.age.map_or(Duration::ZERO, DurationSpec::duration);
    let (mut gone, mut next) = (Vec::new(), None);
    for Ended { run, at } in ended.into_iter().skip(newest) {
        if needed.contains(run.name_any().as_str()) {
            continue;
        }
        // A clock that was set back makes no run old.
        let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
        match least.checked_sub(age).filter(|rest| !rest.is_zero()) {
            None => gone.push(run),
            Some(rest) => next = Some(next.map_or(rest, |next: Duration| next.min(rest))),
        }
    }
    (gone, next)
}

/// A run that has ended, if nobody deletes it already.
fn ended(run: &GraphRunObject) -> Option<Ended<'_>> {
    let status = run.status.as_ref().filter(|status| !is_active(Some(status)))?;
    let at = status.finished_at.as_ref()?.0;
    run.metadata.deletion_timestamp.is_none().then_some(Ended { run, at })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(name: &str, more: Value, status: Value) -> GraphRunObject {
        let mut spec = json!({"graphRef": {"name": "triage"}});
        if let Some(more) = more.as_object() {
            spec.as_object_mut().unwrap().extend(more.clone());
        }
        serde_json::from_value(json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun", "metadata": {"name": name},
            "spec": spec, "status": status,
        }))
        .unwrap()
    }

    fn ended(name: &str, minute: u32) -> GraphRunObject {
        let at = format!("2026-01-01T00:{minute:02}:00Z");
        run(name, json!(null), json!({"phase": "Succeeded", "finishedAt": at}))
    }

    /// What goes at half an hour past midnight, and when the next one does.
    fn gone(runs: &[GraphRunObject], retention: Value) -> (Vec<String>, Option<Duration>) {
        let retention = serde_json::from_value(retention).unwrap();
        let now = "2026-01-01T00:30:00Z".parse().unwrap();
        let (gone, next) = lets_go(&runs.iter().collect::<Vec<_>>(), retention, now);
        (gone.into_iter().map(ResourceExt::name_any).collect(), next)
    }

    fn minutes(count: u64) -> Option<Duration> {
        Some(Duration::from_secs(count * 60))
    }

    #[test]
    fn a_run_goes_when_every_limit_that_is_given_lets_it_go() {
        let going_on = run("going-on", json!(null), json!({"phase": "Running"}));
        let runs = [ended("b", 20), ended("a", 10), going_on, ended("d", 29), ended("c", 25)];
        for (retention, expected, next) in [
            (json!({"runs": 2}), &["b", "a"][..], None),
            (json!({"runs": 9}), &[], None),
            (json!({"age": "10m"}), &["b", "a"], minutes(5)),
            (json!({"runs": 3, "age": "5m"}), &["a"], None),
            (json!({"runs": 1, "age": "15m"}), &["a"], minutes(5)),
            (json!({"supersteps": 1}), &[], None),
        ] {
            assert_eq!(
                gone(&runs, retention.clone()),
                (expected.iter().map(ToString::to_string).collect(), next),
                "{retention}"
            );
        }
    }

    #[test]
    fn what_another_run_begins_with_stays_until_it_has_begun() {
        let next = |status| run("next", json!({"continueFrom": {"name": "a"}}), status);
        let fork = |status| run("fork", json!({"forkFrom": {"name": "b", "superstep": 1}}), status);
        let (waits, runs) =
            (json!({"phase": "Pending"}), json!({"phase": "Running", "startedAt": "2026-01-01T00:00:00Z"}));
        let all = |next, fork| [ended("a", 10), ended("b", 11), ended("c", 12), ended("d", 13), next, fork];
        let one = json!({"runs": 1});
        assert_eq!(gone(&all(next(waits.clone()), fork(waits)), one.clone()).0, ["c"]);
        assert_eq!(gone(&all(next(runs.clone()), fork(runs)), one).0, ["c", "b", "a"]);
    }
}
