//! What makes a run be looked at.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use superstep_api::{AgentGraphObject, GraphRunObject, ModelServerObject};

use crate::context::Context;
use crate::lenient::Lenient;
use crate::watched::concerned;

/// A run by its name.
type Reference = ObjectRef<Lenient<GraphRunObject>>;

/// The run itself, and, as long as no worker has it, what it waits for.
pub(super) fn triggers(context: &Arc<Context>) -> Vec<BoxStream<'static, Reference>> {
    let store = || context.runs.store().clone();
    let itself = |run: &Arc<Lenient<GraphRunObject>>| {
        Some(reference(&run.namespace().unwrap_or_default(), &run.name_any()))
    };
    let (graphs, servers) = (Arc::clone(context), Arc::clone(context));
    let of_graph = move |graph: &Arc<Lenient<AgentGraphObject>>| {
        waiting(&graphs, &graph.namespace().unwrap_or_default())
    };
    let of_server = move |server: &Arc<Lenient<ModelServerObject>>| {
        waiting(&servers, &server.namespace().unwrap_or_default())
    };
    vec![
        concerned(context.runs.listen(), store(), itself).boxed(),
        concerned(context.graphs.listen(), store(), of_graph).boxed(),
        concerned(context.servers.listen(), store(), of_server).boxed(),
    ]
}

/// The runs of a namespace that no worker has: a graph that comes may be inside of theirs.
fn waiting(context: &Context, namespace: &str) -> Vec<Reference> {
    let waits = |run: &GraphRunObject| {
        run.status.as_ref().is_none_or(|status| status.started_at.is_none() && status.finished_at.is_none())
    };
    let all = context.runs.all().filter(|run| run.namespace().as_deref() == Some(namespace));
    all.filter(|run| waits(run)).map(|run| reference(namespace, &run.name_any())).collect()
}

fn reference(namespace: &str, name: &str) -> Reference {
    Reference::new(name).within(namespace)
}
