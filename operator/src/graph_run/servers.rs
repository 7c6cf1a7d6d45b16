//! The model servers that a run asks over the network.

use std::collections::BTreeSet;

use superstep_api::{GraphRunObject, ModelServerObject};

use crate::agent_graph::{Namespace, Referenced, dereference};
use crate::context::Context;

/// The most that a status names; of a run that may ask more, its graph tells.
const MOST: usize = 1_000;

/// The first model server that the run asks over the network and that cannot answer, as far as is known.
pub(super) fn unready(context: &Context, namespace: &str, referenced: &Referenced) -> Option<String> {
    let asked = referenced.servers.iter().filter(|(_, server)| !server.in_worker);
    let mut names = asked.map(|(name, _)| name);
    names
        .find(|name| !context.servers.named(namespace, name).is_some_and(|server| is_ready(&server)))
        .cloned()
}

/// Whether a model server answers, as its generation asks for. One whose number of pods follows its load does if one pod
/// answers: that others come is no reason to wait, and that none is wanted is no answer.
fn is_ready(server: &ModelServerObject) -> bool {
    if server.spec.autoscaling.is_some() {
        let status = server.status.as_ref();
        let observed = status.and_then(|status| status.observed_generation);
        let ready = status.and_then(|status| status.ready_replicas);
        return observed == server.metadata.generation && ready.is_some_and(|ready| ready > 0);
    }
    let conditions = server.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.any(|condition| {
        condition.status == "True" && condition.observed_generation == server.metadata.generation
    })
}

/// The servers whose pods a run may ask that has just been handed to the workers. It keeps them whatever becomes of its graph:
/// with a changed document no models come. None if there is no graph, or if there are too many.
pub(super) fn may_ask(context: &Context, namespace: &str, run: &GraphRunObject) -> Option<Vec<String>> {
    let graph = context.graphs.named(namespace, &run.spec.graph_ref.name)?;
    let referenced = dereference(&Namespace { context, namespace }, &graph);
    let origin = run.spec.fork_from.as_ref().and_then(|from| context.runs.named(namespace, &from.name));
    names(&referenced, origin.as_deref())
}

/// A fork has the documents of its run, which may be older than those of the graph.
fn names(referenced: &Referenced, origin: Option<&GraphRunObject>) -> Option<Vec<String>> {
    let by_pods = referenced.servers.iter().filter(|(_, server)| {
        let engine = &server.spec.engine;
        !server.in_worker && engine.external.is_none() && engine.scripted.is_none()
    });
    let of_origin = origin.and_then(|run| run.status.as_ref()?.model_servers.as_ref());
    let all = by_pods.map(|(name, _)| name).chain(of_origin.into_iter().flatten());
    let all: BTreeSet<&String> = all.collect();
    (all.len() <= MOST).then(|| all.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::agent_graph::Server;

    #[test]
    fn a_run_may_ask_pods_alone_and_a_fork_those_of_its_run() {
        let server = |name: &str, engine: Value, in_worker| {
            let spec = serde_json::from_value(json!({"engine": engine})).unwrap();
            (name.to_owned(), Server { spec, in_worker })
        };
        let outside = json!({"external": {"provider": "OpenAI", "model": "m"}});
        let servers = BTreeMap::from([
            server("pods", json!({"candle": {}}), false),
            server("worker", json!({"candle": {}}), true),
            server("outside", outside, false),
        ]);
        let referenced = Referenced { servers, ..Referenced::default() };
        let origin: GraphRunObject = serde_json::from_value(json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun", "metadata": {"name": "r"},
            "spec": {"graphRef": {"name": "g"}}, "status": {"modelServers": ["former", "pods"]},
        }))
        .unwrap();
        assert_eq!(names(&referenced, None).unwrap(), ["pods"]);
        assert_eq!(names(&referenced, Some(&origin)).unwrap(), ["former", "pods"]);
        assert_eq!(names(&Referenced::default(), None).unwrap(), [""; 0]);
        let many = (0..=MOST).map(|number| server(&number.to_string(), json!({"candle": {}}), false));
        assert_eq!(names(&Referenced { servers: many.collect(), ..Referenced::default() }, None), None);
    }

    fn server(autoscaling: Value, ready: &str, replicas: i32, observed: i64) -> ModelServerObject {
        let condition = json!({
            "type": "Ready", "status": ready, "reason": "R", "message": "", "observedGeneration": observed,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let server = json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "ModelServer",
            "metadata": {"name": "m", "generation": 2},
            "spec": {"engine": {"candle": {}}, "autoscaling": autoscaling},
            "status": {"observedGeneration": observed, "readyReplicas": replicas, "conditions": [condition]},
        });
        serde_json::from_value(server).unwrap()
    }

    #[test]
    fn a_server_answers_when_a_pod_of_it_does() {
        let scaled = || json!({"minReplicas": 0, "maxReplicas": 2});
        for (autoscaling, ready, replicas, observed, expected) in [
            (Value::Null, "True", 1, 2, true),
            (Value::Null, "True", 1, 1, false),
            (Value::Null, "False", 1, 2, false),
            // It has no pods, as it is to be.
            (scaled(), "True", 0, 2, false),
            // A second one comes.
            (scaled(), "False", 1, 2, true),
            (scaled(), "True", 1, 1, false),
        ] {
            let server = server(autoscaling, ready, replicas, observed);
            assert_eq!(
                is_ready(&server),
                expected,
                "{:?} {ready} {replicas} {observed}",
                server.spec.autoscaling
            );
        }
    }
}
