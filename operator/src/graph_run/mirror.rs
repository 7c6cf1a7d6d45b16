//! What a run changed of its graph by itself, as patches that people can read: one for each superstep.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use superstep_api::{AgentGraphPatchObject, AgentGraphPatchStatus, GraphRunObject};
use superstep_graph::Mutation;
use superstep_proto::v1;

use crate::agent_graph_patch::{Judged, judged, status_of};
use crate::apply::say;
use crate::context::Context;
use crate::control::Failure;
use crate::names::{GRAPH, MANAGER};
use crate::workers::{may_pass, short};

/// Names the run on patches that the run asked for itself.
pub(crate) const MIRRORED: &str = "superstep.dev/mirrored-from";

/// How much of a run was mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mirrored {
    /// Mutations applied, as the run counts them.
    applied: u64,
    /// The superstep from which on nothing was mirrored.
    superstep: u64,
    /// Whether it was looked at after the end.
    ended: bool,
}

/// Makes patches of what a run asked for itself since it was looked at before.
///
/// # Errors
/// The API server does not take them.
pub(super) async fn mirror(
    context: &Context,
    run: &GraphRunObject,
    name: &str,
    found: &v1::Run,
) -> Result<(), Failure> {
    let uid = run.uid().unwrap_or_default();
    let before = context.mirrored.get(&uid).unwrap_or_default();
    let totals = found.totals.unwrap_or_default();
    let ended = found.phase() == v1::RunPhase::Ended;
    if totals.mutations == before.applied && (before.ended || !ended) {
        return Ok(());
    }
    let namespace = run.namespace().unwrap_or_default();
    let mut runs = context.workers.runs(&namespace, &run.spec.graph_ref.name).map_err(Failure::new)?;
    let request = v1::MutationsRequest { run: name.to_owned(), from_superstep: before.superstep };
    let asked = match runs.mutations(short(request)).await {
        Ok(response) => response.into_inner().patches,
        // Once its end is told nobody looks at the run again.
        Err(status) if ended && may_pass(&status) => return Err(Failure::new(status)),
        Err(status) => {
            tracing::info!(run = name, %status, "what a run changed cannot be read yet");
            return Ok(());
        }
    };
    for one in of_supersteps(&asked).map_err(Failure::new)? {
        write(context, run, &one).await?;
    }
    // The last superstep may have been judged after `found` was told.
    let superstep = asked.iter().map(|patch| patch.superstep).max().unwrap_or(before.superstep);
    context.mirrored.insert(uid, Mirrored { applied: totals.mutations, superstep, ended });
    Ok(())
}

/// What was asked for in one frame and judged at one barrier.
#[derive(Debug, PartialEq)]
struct OfSuperstep {
    superstep: u64,
    frame: u32,
    requesters: Vec<String>,
    mutations: Vec<Mutation>,
    judged: Judged,
}

/// What the run asked for itself, by superstep and frame.
fn of_supersteps(patches: &[v1::JudgedPatch]) -> Result<Vec<OfSuperstep>, serde_json::Error> {
    let mut all: BTreeMap<(u64, u32), OfSuperstep> = BTreeMap::new();
    for patch in patches.iter().filter(|patch| !patch.from_outside) {
        let verdicts = judged(patch)?;
        let mutations: Vec<Mutation> = patch
            .mutations
            .iter()
            .map(|judged| serde_json::from_slice(&judged.mutation))
            .collect::<Result<_, _>>()?;
        let requester = patch.requester.clone();
        match all.entry((patch.superstep, patch.frame)) {
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(OfSuperstep {
                    superstep: patch.superstep,
                    frame: patch.frame,
                    requesters: vec![requester],
                    mutations,
                    judged: verdicts,
                });
            }
            std::collections::btree_map::Entry::Occupied(mut there) => {
                let there = there.get_mut();
                there.requesters.push(requester);
                there.mutations.extend(mutations);
                there.judged.verdicts.extend(verdicts.verdicts);
            }
        }
    }
    Ok(all.into_values().collect())
}

/// The patch of a superstep, as an object.
fn object(run: &GraphRunObject, one: &OfSuperstep) -> Value {
    let name = run.name_any();
    let frame = if one.frame == 0 { String::new() } else { format!("-f{}", one.frame) };
    let short = &name[..name.len().min(220)];
    json!({
        "apiVersion": AgentGraphPatchObject::api_version(&()),
        "kind": AgentGraphPatchObject::kind(&()),
        "metadata": {
            "name": format!("{}-s{}{frame}", short.trim_end_matches(['-', '.']), one.superstep),
            "namespace": run.namespace(),
            "labels": {GRAPH: label(&run.spec.graph_ref.name), MIRRORED: label(&name)},
            "ownerReferences": [run.owner_ref(&())],
        },
        "spec": {
            "graphRef": {"name": run.spec.graph_ref.name},
            "runRef": {"name": name},
            "reason": format!("asked for by {}", one.requesters.join(", ")),
            "mutations": one.mutations,
        },
    })
}

/// As much of a name as a label takes.
pub(super) fn label(name: &str) -> &str {
    name[..name.len().min(63)].trim_end_matches(['-', '.'])
}

async fn write(context: &Context, run: &GraphRunObject, one: &OfSuperstep) -> Result<(), Failure> {
    let object = object(run, one);
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let namespace = run.namespace().unwrap_or_default();
    let api = Api::<AgentGraphPatchObject>::namespaced(context.client.clone(), &namespace);
    let how = PatchParams::apply(MANAGER).force();
    let patch = match context.patches.named(&namespace, &name) {
        Some(patch) => (*patch).clone(),
        None => api.patch(&name, &how, &Patch::Apply(object)).await?,
    };
    let before = patch.status.clone().unwrap_or_default();
    let status = status_of(&before, patch.metadata.generation, &one.judged, Timestamp::now());
    let status = AgentGraphPatchStatus { ordinal: None, ..status };
    say(&context.client, &patch, patch.status.as_ref(), &status).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use superstep_graph::Verdict;

    use super::*;

    fn asked(requester: &str, superstep: u64, from_outside: bool) -> v1::JudgedPatch {
        v1::JudgedPatch {
            requester: requester.to_owned(),
            from_outside,
            superstep,
            mutations: vec![v1::JudgedMutation {
                mutation: br#"{"removeVertex":{"name":"a"}}"#.to_vec().into(),
                verdict: br#""Applied""#.to_vec().into(),
            }],
            ..v1::JudgedPatch::default()
        }
    }

    #[test]
    fn what_vertices_asked_for_is_one_patch_for_each_superstep() {
        let patches = [
            asked("watch@0", 0, false),
            asked("person", 0, true),
            asked("plan@0", 0, false),
            asked("plan@1", 1, false),
        ];
        let all = of_supersteps(&patches).unwrap();
        let told: Vec<_> =
            all.iter().map(|one| (one.superstep, one.requesters.join(" "), one.mutations.len())).collect();
        assert_eq!(told, [(0, "watch@0 plan@0".to_owned(), 2), (1, "plan@1".to_owned(), 1)]);
        assert_eq!(all[0].judged.verdicts, [Verdict::Applied, Verdict::Applied]);
        let run: GraphRunObject = serde_json::from_value(json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun",
            "metadata": {"name": "triage-x", "namespace": "team", "uid": "u"},
            "spec": {"graphRef": {"name": "triage"}},
        }))
        .unwrap();
        let object = object(&run, &all[0]);
        assert_eq!(object["metadata"]["name"], "triage-x-s0");
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "u");
        let read: AgentGraphPatchObject = serde_json::from_value(object).unwrap();
        assert!(read.spec.problems().is_empty());
    }
}
