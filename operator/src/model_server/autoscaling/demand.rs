//! Whether runs are in progress that may ask a model server.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use kube::ResourceExt as _;
use superstep_api::{GraphRunObject, OperatingMode, RunPhase};

use crate::agent_graph::{Namespace, Referenced, dereference};
use crate::context::Context;

/// Whether a run in progress may ask the server by its pods. One that goes on has the servers that its status names, since its
/// graph may have others by now; of one that has not begun its graph tells, and it counts if all is there that it names but a
/// server that is ready.
pub(in crate::model_server) fn is_asked(context: &Context, namespace: &str, server: &str) -> bool {
    let mut graphs: BTreeMap<String, bool> = BTreeMap::new();
    let runs = context.runs.all().filter(|run| run.namespace().as_deref() == Some(namespace));
    for run in runs.filter(|run| is_in_progress(run)) {
        match told(&run, server) {
            Some(true) => return true,
            Some(false) => continue,
            None => {}
        }
        let has_begun = run.status.as_ref().is_some_and(|status| status.started_at.is_some());
        *graphs.entry(run.spec.graph_ref.name.clone()).or_default() |= has_begun;
    }
    let known = Namespace { context, namespace };
    graphs.iter().any(|(graph, has_begun)| {
        let graph = context.graphs.named(namespace, graph);
        graph.is_some_and(|graph| asks(&dereference(&known, &graph), server, *has_begun))
    })
}

/// Whether a run may ask a server, if it has said which it may.
fn told(run: &GraphRunObject, server: &str) -> Option<bool> {
    let servers = run.status.as_ref()?.model_servers.as_ref()?;
    Some(servers.iter().any(|name| name == server))
}

fn asks(referenced: &Referenced, server: &str, has_begun: bool) -> bool {
    let by_pods = referenced.servers.get(server).is_some_and(|server| !server.in_worker);
    by_pods && (has_begun || referenced.missing.is_empty())
}

/// Whether a run goes on, or is to begin: one that waits for people, or that was suspended, asks nothing.
fn is_in_progress(run: &GraphRunObject) -> bool {
    let goes_on = match run.status.as_ref().and_then(|status| status.phase) {
        None | Some(RunPhase::Pending | RunPhase::Running) => true,
        Some(
            RunPhase::Waiting
            | RunPhase::Suspended
            | RunPhase::Succeeded
            | RunPhase::Failed
            | RunPhase::Cancelled,
        ) => false,
    };
    let is_wanted = run.spec.operating_mode == OperatingMode::Running;
    goes_on && is_wanted && run.metadata.deletion_timestamp.is_none()
}

/// The runs that were in progress when they were seen last, by their uid.
#[derive(Debug, Default)]
pub(in crate::model_server) struct InProgress(Mutex<HashSet<String>>);

impl InProgress {
    /// Whether a run is in progress that was not, or the other way round. The many reports of one that goes on are no news. One
    /// that is not there any more is not in progress, whatever was last said of it.
    pub(in crate::model_server) fn is_news(&self, run: &GraphRunObject, is_there: bool) -> bool {
        let uid = run.uid().unwrap_or_default();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_there && is_in_progress(run) { known.insert(uid) } else { known.remove(&uid) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(phase: Option<&str>, mode: &str, deleted: Option<&str>) -> GraphRunObject {
        let status: Value = phase.map_or(Value::Null, |phase| json!({"phase": phase}));
        let run = json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun",
            "metadata": {"name": "r", "uid": "u", "deletionTimestamp": deleted},
            "spec": {"graphRef": {"name": "g"}, "operatingMode": mode}, "status": status,
        });
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_run_that_goes_on_or_is_to_begin_is_in_progress() {
        for (phase, mode, deleted, expected) in [
            (None, "Running", None, true),
            (Some("Pending"), "Running", None, true),
            (Some("Running"), "Running", None, true),
            (Some("Waiting"), "Running", None, false),
            (Some("Succeeded"), "Running", None, false),
            (Some("Running"), "Suspended", None, false),
            (Some("Running"), "Cancelled", None, false),
            (Some("Running"), "Running", Some("2026-01-01T00:00:00Z"), false),
        ] {
            assert_eq!(is_in_progress(&run(phase, mode, deleted)), expected, "{phase:?} {mode} {deleted:?}");
        }
    }

    #[test]
    fn a_run_keeps_to_the_servers_that_it_has_named() {
        let mut run = run(Some("Running"), "Running", None);
        assert_eq!(told(&run, "small"), None);
        run.status.as_mut().unwrap().model_servers = Some(vec!["small".to_owned()]);
        assert_eq!((told(&run, "small"), told(&run, "large")), (Some(true), Some(false)));
    }

    #[test]
    fn only_a_change_is_news() {
        let known = InProgress::default();
        let looks = ["Pending", "Running", "Running", "Waiting", "Waiting", "Running", "Succeeded"];
        let news = looks.map(|phase| known.is_news(&run(Some(phase), "Running", None), true));
        assert_eq!(news, [true, false, false, true, false, true, true]);
        let waits = run(None, "Running", None);
        assert_eq!([true, false, false].map(|is_there| known.is_news(&waits, is_there)), [true, true, false]);
        assert!(known.0.lock().unwrap().is_empty(), "what is gone is not remembered");
    }

    #[test]
    fn a_server_is_asked_by_its_pods_alone() {
        let server = |in_worker| {
            let spec = json!({"engine": {"candle": {}}});
            crate::agent_graph::Server { spec: serde_json::from_value(spec).unwrap(), in_worker }
        };
        let of = |in_worker| Referenced {
            servers: BTreeMap::from([("small".to_owned(), server(in_worker))]),
            ..Referenced::default()
        };
        assert!(asks(&of(false), "small", false));
        assert!(!asks(&of(true), "small", true));
        assert!(!asks(&of(false), "large", true));
    }
}
