//! What makes a graph be looked at: whatever it consists of, names, or has.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource as _, ResourceExt as _};
use superstep_api::{
    AgentGraphObject, AgentGraphPatchObject, GraphRunObject, GraphRunStatus, ModelServerObject, RunPhase,
};
use superstep_graph::{Mutation, VertexSpec};
use tokio_stream::wrappers::WatchStream;

use super::reconcile::Own;
use crate::children::Of;
use crate::context::Context;
use crate::lenient::Lenient;
use crate::watched::{Touched, concerned};

/// A graph by its name.
pub(super) type Reference = ObjectRef<Lenient<AgentGraphObject>>;

/// All of it.
pub(super) fn triggers(context: &Arc<Context>, own: &Own) -> Vec<BoxStream<'static, Reference>> {
    let store = || context.graphs.store().clone();
    let named = |(namespace, name): &Of| Some(reference(namespace, name));
    let known = Arc::clone(context);
    let of_graphs = move |graph: &Arc<Lenient<AgentGraphObject>>| {
        let namespace = graph.namespace().unwrap_or_default();
        above(&known, &namespace, BTreeSet::from([graph.name_any()]))
    };
    let known = Arc::clone(context);
    let of_servers = move |server: &Arc<Lenient<ModelServerObject>>| {
        let namespace = server.namespace().unwrap_or_default();
        let asking = asking(&known, &namespace, &server.name_any());
        above(&known, &namespace, asking)
    };
    let known = Arc::clone(context);
    let of_patches = move |patch: &Arc<Lenient<AgentGraphPatchObject>>| {
        let whole = patch.0.as_ref().ok().filter(|patch| patch.spec.run_ref.is_none());
        let graph = whole.map(|patch| patch.spec.graph_ref.name.clone());
        above(&known, &patch.namespace().unwrap_or_default(), graph.into_iter().collect())
    };
    let activity = Mutex::new(HashSet::new());
    let known = Arc::clone(context);
    let of_runs =
        move |run: &Arc<Lenient<GraphRunObject>>| begun_or_ended(&activity, run, known.runs.is_there(run));
    let authorities = WatchStream::from_changes(context.authorities.clone()).map(|_| Touched::<Of>::All);
    vec![
        concerned(context.graphs.listen(), store(), of_graphs).boxed(),
        concerned(context.servers.listen(), store(), of_servers).boxed(),
        concerned(context.patches.listen(), store(), of_patches).boxed(),
        concerned(context.runs.listen(), store(), of_runs).boxed(),
        concerned(own.children.listen(), store(), named).boxed(),
        concerned(own.pods.listen(), store(), named).boxed(),
        concerned(authorities, store(), named).boxed(),
    ]
}

fn reference(namespace: &str, name: &str) -> Reference {
    Reference::new(name).within(namespace)
}

/// These graphs, and those that have one of them inside.
fn above(context: &Context, namespace: &str, mut names: BTreeSet<String>) -> Vec<Reference> {
    let patches: Vec<_> =
        context.patches.all().filter(|patch| patch.namespace().as_deref() == Some(namespace)).collect();
    let graphs: Vec<_> =
        context.graphs.all().filter(|graph| graph.namespace().as_deref() == Some(namespace)).collect();
    loop {
        let mut more: BTreeSet<String> = BTreeSet::new();
        for graph in graphs.iter().filter(|graph| !names.contains(&graph.name_any())) {
            if graph.spec.graph.vertices.iter().any(|vertex| opens(vertex, &names)) {
                more.insert(graph.name_any());
            }
        }
        for patch in patches.iter().filter(|patch| !names.contains(&patch.spec.graph_ref.name)) {
            let mut added = patch.spec.mutations.iter();
            if added.any(|mutation| matches!(mutation, Mutation::AddVertex(vertex) if opens(vertex, &names)))
            {
                more.insert(patch.spec.graph_ref.name.clone());
            }
        }
        if more.is_empty() {
            return names.iter().map(|name| reference(namespace, name)).collect();
        }
        names.append(&mut more);
    }
}

fn opens(vertex: &VertexSpec, names: &BTreeSet<String>) -> bool {
    vertex.graph.as_ref().is_some_and(|program| names.contains(&program.reference.name))
        || vertex.capabilities.graphs.iter().any(|name| names.contains(name))
}

/// The graphs that name a model server.
fn asking(context: &Context, namespace: &str, server: &str) -> BTreeSet<String> {
    let asks = |graph: &AgentGraphObject| {
        let mut models = graph.spec.graph.models.iter();
        models.any(|model| model.model_server_ref.as_ref().is_some_and(|named| named.name == server))
    };
    let all = context.graphs.all().filter(|graph| graph.namespace().as_deref() == Some(namespace));
    all.filter(|graph| asks(graph)).map(|graph| graph.name_any()).collect()
}

/// Whether a run has not ended.
pub(super) fn is_active(status: Option<&GraphRunStatus>) -> bool {
    match status.and_then(|status| status.phase) {
        Some(RunPhase::Succeeded | RunPhase::Failed | RunPhase::Cancelled) => false,
        Some(RunPhase::Pending | RunPhase::Running | RunPhase::Waiting | RunPhase::Suspended) | None => true,
    }
}

/// The graph of a run that has begun, ended or gone; the many reports of one that goes on concern nobody.
fn begun_or_ended(
    activity: &Mutex<HashSet<String>>,
    run: &Lenient<GraphRunObject>,
    is_there: bool,
) -> Option<Reference> {
    let whole = run.0.as_ref().ok()?;
    let uid = run.uid().unwrap_or_default();
    let is_leaving = run.meta().deletion_timestamp.is_some();
    let mut known = activity.lock().unwrap_or_else(PoisonError::into_inner);
    let is_active = is_there && !is_leaving && is_active(whole.status.as_ref());
    let is_news = if is_active { known.insert(uid) } else { known.remove(&uid) };
    let graph = reference(&run.namespace().unwrap_or_default(), &whole.spec.graph_ref.name);
    (is_news || is_leaving).then_some(graph)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_graph_hears_of_runs_that_begin_end_or_go() {
        let run = |phase: Value| -> Lenient<GraphRunObject> {
            let metadata = json!({"name": "r", "namespace": "n", "uid": "u"});
            let run = json!({
                "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun", "metadata": metadata,
                "spec": {"graphRef": {"name": "g"}}, "status": {"phase": phase},
            });
            serde_json::from_value(run).unwrap()
        };
        let activity = Mutex::default();
        let news = [
            ("Pending", true),
            ("Running", true),
            ("Succeeded", true),
            ("Pending", true),
            ("Pending", false),
        ];
        let news = news.map(|(phase, is_there)| {
            begun_or_ended(&activity, &run(json!(phase)), is_there).map(|graph| graph.name)
        });
        let graph = || Some("g".to_owned());
        assert_eq!(news, [graph(), None, graph(), graph(), graph()]);
        assert!(activity.lock().unwrap().is_empty());
    }
}
