//! Documents of graphs that change while their runs go on.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use superstep_api::{AgentGraphObject, AgentGraphPatchObject, GraphRunObject};
use superstep_graph::{Adoption, GraphSpec, Mutation, ValidatedGraph, validate};
use superstep_proto::v1;

use crate::context::Context;
use crate::control::Failure;
use crate::effective::with_patches;
use crate::patches::for_later_runs;
use crate::workers::{may_pass, short};

/// What was looked at of the document of a run: its generation, and what the run had adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    generation: Option<i64>,
    base: Vec<u8>,
}

/// A document for a run.
#[derive(Clone, Debug, PartialEq)]
struct Document {
    /// The name under which the run knows it. Later generations have later names.
    name: String,
    spec: GraphSpec,
}

/// Hands the document of its graph to a run that goes on with an older one.
///
/// # Errors
/// There is no certificate for the workers, or the document cannot be written.
pub(super) async fn adopt(
    context: &Context,
    run: &GraphRunObject,
    name: &str,
    found: &v1::Run,
) -> Result<(), Failure> {
    let namespace = run.namespace().unwrap_or_default();
    let graph = &run.spec.graph_ref.name;
    // Nobody leads it at the moment, or it has ended.
    if found.base.is_empty() || found.phase() == v1::RunPhase::Ended {
        return Ok(());
    }
    let Some(object) = context.graphs.named(&namespace, graph) else { return Ok(()) };
    let compared = Compared { generation: object.metadata.generation, base: found.base.to_vec() };
    let uid = run.uid().unwrap_or_default();
    if context.compared.get(&uid).as_ref() == Some(&compared) {
        return Ok(());
    }
    let patches = for_later_runs(context.patches.all(), &namespace, graph);
    let Some(document) = document(&object, &patches, run, found) else {
        context.compared.insert(uid, compared);
        return Ok(());
    };
    let mutations = [Mutation::Adopt(Box::new(document.spec))];
    let request = v1::PatchRequest {
        run: name.to_owned(),
        name: document.name,
        mutations: serde_json::to_vec(&mutations).map_err(Failure::new)?.into(),
    };
    let mut runs = context.workers.runs(&namespace, graph).map_err(Failure::new)?;
    let generation = object.metadata.generation.unwrap_or_default();
    match runs.patch(short(request)).await {
        Ok(_) => {
            let note = format!("generation {generation} of AgentGraph \"{graph}\", at the next barrier");
            context.events.say(run, EventType::Normal, "Adopting", &note).await;
        }
        Err(status) if may_pass(&status) => return Ok(()),
        Err(status) => {
            let note = format!("generation {generation} of AgentGraph \"{graph}\": {}", status.message());
            context.events.say(run, EventType::Warning, "NotAdopted", &note).await;
        }
    }
    context.compared.insert(uid, compared);
    Ok(())
}

/// The document with which a run is to go on, if that is another one than what it has. A run has, of the patches
/// that are for later runs, those that were there when it began. A fork has the graph of its run.
fn document(
    graph: &AgentGraphObject,
    patches: &[Arc<AgentGraphPatchObject>],
    run: &GraphRunObject,
    found: &v1::Run,
) -> Option<Document> {
    let is_pinned = graph.spec.graph.mutations.adopt == Adoption::Pinned || run.spec.fork_from.is_some();
    if is_pinned || graph.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let with = |count: usize| with_patches(&graph.spec.graph, &patches[..count]).spec;
    // Clocks differ: which patches it began with is told by what it has, if the document is the same.
    let is_same = |count| {
        let document = ValidatedGraph::after_mutation(with(count));
        let began = document.with_parameters(&run.spec.parameters);
        [document, began].iter().any(|graph| graph.revision().bytes()[..] == found.base)
    };
    if (0..=patches.len()).any(is_same) {
        return None;
    }
    let begun = Timestamp::from_second(i64::try_from(found.started_at).unwrap_or(i64::MAX)).ok()?;
    let older = |patch: &&Arc<AgentGraphPatchObject>| {
        patch.metadata.creation_timestamp.as_ref().is_some_and(|Time(created)| *created <= begun)
    };
    let spec = with(patches.iter().take_while(older).count());
    // What is wrong with it is told in its status.
    let revision = validate(&spec).ok()?.revision().to_string();
    let generation = graph.metadata.generation.unwrap_or_default();
    Some(Document { name: format!("document-{generation:010}-{}", &revision[..8]), spec })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use superstep_api::ForkFrom;

    use super::*;

    fn graph(value: &Value, generation: i64) -> AgentGraphObject {
        serde_json::from_value(json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph",
            "metadata": {"name": "triage", "namespace": "team", "generation": generation},
            "spec": {"entry": ["a"], "vertices": [{"name": "a", "value": value, "function": {"cel": "1"}}],
                "parameters": {"schema": {"type": "object"}, "default": {"tone": "formal"}}},
        }))
        .unwrap()
    }

    fn patch(name: &str, created: &str) -> Arc<AgentGraphPatchObject> {
        let object = json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraphPatch",
            "metadata": {"name": name, "namespace": "team", "creationTimestamp": created},
            "spec": {"graphRef": {"name": "triage"},
                "mutations": [{"addVertex": {"name": name, "function": {"cel": "2"}}}]},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn run() -> GraphRunObject {
        serde_json::from_value(json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun",
            "metadata": {"name": "one", "namespace": "team", "uid": "u"},
            "spec": {"graphRef": {"name": "triage"}, "parameters": {"tone": "warm"}},
        }))
        .unwrap()
    }

    /// A run that began with a graph, 100 seconds after 1970.
    fn began_with(graph: &AgentGraphObject, patches: &[Arc<AgentGraphPatchObject>]) -> v1::Run {
        let spec = with_patches(&graph.spec.graph, patches).spec;
        let began = ValidatedGraph::after_mutation(spec).with_parameters(&run().spec.parameters);
        v1::Run { base: began.revision().bytes().to_vec().into(), started_at: 100, ..v1::Run::default() }
    }

    #[test]
    fn a_run_has_the_document_with_the_patches_that_were_there() {
        let patches = [patch("early", "1970-01-01T00:01:00Z"), patch("late", "1970-01-01T00:02:00Z")];
        let (first, second) = (graph(&json!(1), 1), graph(&json!(2), 2));
        let found = began_with(&first, &patches[..1]);
        assert_eq!(document(&first, &patches, &run(), &found), None, "a later patch is not for it");
        let changed = document(&second, &patches, &run(), &found).unwrap();
        let names: Vec<&str> = changed.spec.vertices.iter().map(|vertex| vertex.name.as_str()).collect();
        assert_eq!(names, ["a", "early"]);
        assert!(changed.name.starts_with("document-0000000002-"), "{}", changed.name);
        let adopted = ValidatedGraph::after_mutation(changed.spec).revision();
        let found = v1::Run { base: adopted.bytes().to_vec().into(), ..found };
        assert_eq!(document(&second, &patches, &run(), &found), None, "it has adopted it");
    }

    #[test]
    fn what_is_not_valid_and_what_pins_its_runs_is_not_handed_on() {
        let found = began_with(&graph(&json!(1), 1), &[]);
        let mut broken = graph(&json!(2), 2);
        broken.spec.graph.entry = vec!["nobody".into()];
        assert_eq!(document(&broken, &[], &run(), &found), None);
        let mut pinned = graph(&json!(2), 2);
        pinned.spec.graph.mutations.adopt = Adoption::Pinned;
        assert_eq!(document(&pinned, &[], &run(), &found), None);
        let changed = graph(&json!(2), 2);
        assert!(document(&changed, &[], &run(), &found).is_some());
        let mut fork = run();
        fork.spec.fork_from = Some(ForkFrom { name: "other".to_owned(), superstep: 1 });
        assert_eq!(document(&changed, &[], &fork, &found), None);
    }
}
