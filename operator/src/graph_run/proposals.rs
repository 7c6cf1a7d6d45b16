//! What vertices of a run propose to change of their graph, as patches that people can read and follow: one for each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use superstep_api::{AgentGraphPatchObject, AgentGraphPatchStatus, GraphRunObject, PatchPhase};
use superstep_graph::{Mutation, Verdict};
use superstep_proto::v1;

use super::mirror::{MIRRORED, label};
use super::status::{cut, question_name};
use crate::agent_graph_patch::{Judged, judged, status_of, waiting};
use crate::apply::say;
use crate::context::Context;
use crate::control::Failure;
use crate::names::{GRAPH, MANAGER};
use crate::workers::{may_pass, short};

/// Names the question of a run that a patch was made of.
const PROPOSAL: &str = "superstep.dev/proposal";
/// How long a patch that the API server does not take is not written again.
const AGAIN: Duration = Duration::from_secs(60);
/// As much of the words of the API server is told as so many bytes.
const WHY: usize = 300;
/// Why a patch waits that nobody has decided on.
const PROPOSED: &str = "Proposed";

/// What one activation, or one element of one, proposes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Proposed {
    /// The name of its question.
    name: String,
    mutations: Vec<Mutation>,
}

impl Proposed {
    /// What a question proposes, if it proposes something.
    pub(super) fn of(question: &v1::Question) -> Option<Self> {
        use v1::payload::Form;

        let Form::Json(json) = question.ask.as_ref()?.form.as_ref()? else { return None };
        let ask: Value = serde_json::from_slice(json).ok()?;
        let mutations = serde_json::from_value(ask.get("proposal")?.clone()).ok()?;
        Some(Self { name: question_name(question.id.as_ref()?), mutations })
    }

    /// Who is told to have asked for it where it is judged: the activation without its element.
    fn requester(&self) -> &str {
        self.name.split(['[', '?']).next().unwrap_or_default()
    }

    /// The patch of a proposal, as an object.
    fn object(&self, run: &GraphRunObject) -> Value {
        let name = run.name_any();
        let digest = blake3::hash(self.name.as_bytes()).to_hex();
        let short = name[..name.len().min(220)].trim_end_matches(['-', '.']);
        json!({
            "apiVersion": AgentGraphPatchObject::api_version(&()),
            "kind": AgentGraphPatchObject::kind(&()),
            "metadata": {
                "name": format!("{short}-p{}", &digest[..10]),
                "namespace": run.namespace(),
                "labels": {GRAPH: label(&run.spec.graph_ref.name), MIRRORED: label(&name)},
                "annotations": {PROPOSAL: self.name},
                "ownerReferences": [run.owner_ref(&())],
            },
            "spec": {
                "graphRef": {"name": run.spec.graph_ref.name},
                "runRef": {"name": name},
                "reason": format!("proposed by {}", self.name),
                "mutations": self.mutations,
            },
        })
    }

    /// Says that the proposal has no patch, why, and what to do.
    fn without_patch(&self, run: &str, why: &str) -> String {
        let (name, why) = (&self.name, cut(why, WHY));
        format!(
            "proposal '{name}' has no patch, for the API server does not take it: {why}; kubectl superstep watch {run} \
             shows it, and kubectl superstep approve {run} '{name}' decides on it"
        )
    }

    /// What a patch proposes that was made of a proposal, if it waits.
    fn undecided(patch: &AgentGraphPatchObject) -> Option<Self> {
        let waits = patch.status.as_ref().is_none_or(|status| status.reason.as_deref() == Some(PROPOSED));
        let name = patch.annotations().get(PROPOSAL).filter(|_| waits)?;
        Some(Self { name: name.clone(), mutations: patch.spec.mutations.clone() })
    }

    /// What became of it, if a barrier has judged it. What the elements of one activation ask for is told together.
    fn judged(&self, patches: &[v1::JudgedPatch]) -> Result<Option<Judged>, serde_json::Error> {
        let by_it = |patch: &&v1::JudgedPatch| !patch.from_outside && patch.requester == self.requester();
        let Some(patch) = patches.iter().find(by_it) else { return Ok(None) };
        let all = judged(patch)?;
        let told: Vec<Mutation> = patch
            .mutations
            .iter()
            .map(|judged| serde_json::from_slice(&judged.mutation))
            .collect::<Result<_, _>>()?;
        let verdict = |mutation: &Mutation| -> Option<Verdict> {
            let at = told.iter().position(|told| told == mutation)?;
            all.verdicts.get(at).cloned()
        };
        let verdicts = self.mutations.iter().filter_map(verdict).collect();
        Ok(Some(Judged { verdicts, ..all }))
    }
}

/// Makes patches of what vertices of a run propose, and says in those that were decided on what became of them. What it
/// gives is said in the status of the run: which proposals have no patch, and why.
///
/// # Errors
/// The API server cannot be reached.
pub(super) async fn tell_proposals(
    context: &Context,
    run: &GraphRunObject,
    name: &str,
    found: &v1::Run,
) -> Result<Vec<String>, Failure> {
    let open: Vec<Proposed> = found.questions.iter().filter_map(Proposed::of).collect();
    let namespace = run.namespace().unwrap_or_default();
    let of_run = |patch: &AgentGraphPatchObject| {
        patch.namespace().as_deref() == Some(&namespace)
            && patch.spec.run_ref.as_ref().is_some_and(|of| of.name == run.name_any())
            && patch.owner_references().iter().any(|owner| Some(&owner.uid) == run.metadata.uid.as_ref())
    };
    let mut decided = Vec::new();
    for patch in context.patches.all().filter(|patch| of_run(patch)) {
        let Some(proposed) = Proposed::undecided(&patch) else { continue };
        if !open.iter().any(|open| open.name == proposed.name) {
            decided.push((patch, proposed));
        }
    }
    let without = written(context, run, &open).await?;
    if decided.is_empty() {
        return Ok(without);
    }
    let mut runs = context.workers.runs(&namespace, &run.spec.graph_ref.name).map_err(Failure::new)?;
    let request = v1::MutationsRequest { run: name.to_owned(), from_superstep: 0 };
    let ended = found.phase() == v1::RunPhase::Ended;
    let asked = match runs.mutations(short(request)).await {
        Ok(response) => response.into_inner().patches,
        // Once its end is told nobody looks at the run again.
        Err(status) if ended && may_pass(&status) => return Err(Failure::new(status)),
        Err(status) => {
            tracing::info!(run = name, %status, "what became of proposals cannot be read yet");
            return Ok(without);
        }
    };
    for (patch, proposed) in decided {
        let before = patch.status.clone().unwrap_or_default();
        let (generation, at) = (patch.metadata.generation, Timestamp::now());
        let status = match proposed.judged(&asked).map_err(Failure::new)? {
            Some(judged) => status_of(&before, generation, &judged, at),
            None if ended => {
                let message = "the run ended before it was decided on".to_owned();
                waiting(&before, generation, (PatchPhase::Stale, "RunEnded"), message, at)
            }
            // The next barrier judges it.
            None => continue,
        };
        tell(context, &patch, &before, status).await?;
    }
    Ok(without)
}

/// The proposals of a run that have no patch, by name: when the API server did not take it, and what is said of that.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Unpatched(BTreeMap<String, (Instant, String)>);

impl Unpatched {
    /// That of a proposal, unless its patch is to be written again.
    fn known(&self, name: &str, now: Instant) -> Option<&(Instant, String)> {
        self.0.get(name).filter(|(at, _)| now.duration_since(*at) < AGAIN)
    }
}

/// Makes patches of those that are open; what is said of those that have none. A run is looked at each second, and what the API
/// server does not take it would be sent as often.
async fn written(context: &Context, run: &GraphRunObject, open: &[Proposed]) -> Result<Vec<String>, Failure> {
    let uid = run.uid().unwrap_or_default();
    let before = context.unpatched.get(&uid).unwrap_or_default();
    let mut after = Unpatched::default();
    for proposed in open {
        let told = match before.known(&proposed.name, Instant::now()) {
            Some(known) => Some(known.clone()),
            None => write(context, run, proposed).await?.map(|note| (Instant::now(), note)),
        };
        after.0.extend(told.map(|told| (proposed.name.clone(), told)));
    }
    let notes = after.0.values().map(|(_, note)| note.clone()).collect();
    if after != before {
        context.unpatched.insert(uid, after);
    }
    Ok(notes)
}

/// Makes the patch of a proposal, and says that it waits; why it has none, if the API server takes no such patch.
async fn write(
    context: &Context,
    run: &GraphRunObject,
    proposed: &Proposed,
) -> Result<Option<String>, Failure> {
    let object = proposed.object(run);
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let namespace = run.namespace().unwrap_or_default();
    let patch = match context.patches.named(&namespace, &name) {
        Some(patch) => (*patch).clone(),
        None => {
            let api = Api::<AgentGraphPatchObject>::namespaced(context.client.clone(), &namespace);
            let how = PatchParams::apply(MANAGER).force();
            match api.patch(&name, &how, &Patch::Apply(object)).await {
                Ok(patch) => patch,
                // What a model has written may be no patch at all, or longer than one may be. It can be decided on
                // all the same.
                Err(kube::Error::Api(answer)) if is_refused(answer.code, &answer.message) => {
                    return Ok(Some(proposed.without_patch(&run.name_any(), &answer.message)));
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    let before = patch.status.clone().unwrap_or_default();
    let run = run.name_any();
    let message = format!("it waits for a decision: kubectl superstep approve {run} '{}'", proposed.name);
    let generation = patch.metadata.generation;
    let phase = (PatchPhase::Pending, PROPOSED);
    let status = waiting(&before, generation, phase, message, Timestamp::now());
    tell(context, &patch, &before, status).await?;
    Ok(None)
}

/// Whether the API server will not take an object, however often it is asked: it is not valid, is forbidden, or is too
/// large for the server or for the store behind it, which says so with an error of its own.
fn is_refused(code: u16, message: &str) -> bool {
    match code {
        400 | 403 | 413 | 422 => true,
        500 => message.contains("request is too large") || message.contains("larger than max"),
        _ => false,
    }
}

/// Says how a patch stands, if that is something else than what is said there.
async fn tell(
    context: &Context,
    patch: &AgentGraphPatchObject,
    before: &AgentGraphPatchStatus,
    status: AgentGraphPatchStatus,
) -> Result<(), Failure> {
    if *before != status {
        context.pace.turn().await;
        say(&context.client, patch, Some(before), &status).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use superstep_graph::Refusal;

    use super::*;

    fn question(ask: &Value, element: Option<u32>) -> v1::Question {
        let activation = v1::ActivationId {
            vertex: "plan_it".to_owned(),
            superstep: 3,
            element,
            ..v1::ActivationId::default()
        };
        v1::Question {
            id: Some(v1::QuestionId { activation: Some(activation), number: 1 }),
            ask: Some(v1::Payload {
                form: Some(v1::payload::Form::Json(ask.to_string().into_bytes().into())),
            }),
        }
    }

    fn proposed() -> Proposed {
        let ask = json!({"proposal": [{"removeVertex": {"name": "b"}}, {"removeVertex": {"name": "c"}}]});
        Proposed::of(&question(&ask, Some(2))).unwrap()
    }

    fn run() -> GraphRunObject {
        serde_json::from_value(json!({
            "apiVersion": "superstep.dev/v1alpha1", "kind": "GraphRun",
            "metadata": {"name": "triage-x", "namespace": "team", "uid": "u"},
            "spec": {"graphRef": {"name": "triage"}},
        }))
        .unwrap()
    }

    #[test]
    fn a_proposal_without_a_patch_is_told_with_why_and_what_to_do() {
        let why = format!("spec.mutations[0].addVertex.prompt.template: Too long{}", ": x".repeat(500));
        let told = proposed().without_patch("run-1", &why);
        let name = &proposed().name;
        assert!(told.starts_with(&format!("proposal '{name}' has no patch")), "{told}");
        assert!(told.contains("template: Too long") && told.len() < 600, "{told}");
        assert!(told.contains("watch run-1") && told.contains(&format!("approve run-1 '{name}'")), "{told}");
    }

    #[test]
    fn what_was_not_taken_is_written_again_after_a_while() {
        let now = Instant::now();
        let before = Unpatched(BTreeMap::from([("a".to_owned(), (now, "why".to_owned()))]));
        assert_eq!(before.known("a", now + AGAIN / 2), Some(&(now, "why".to_owned())));
        assert_eq!((before.known("a", now + AGAIN), before.known("b", now)), (None, None));
    }

    #[test]
    fn what_the_server_will_never_take_is_told_apart_from_what_it_cannot_take_now() {
        let etcd = "etcdserver: request is too large";
        for (code, message, refused) in [
            (422, "invalid", true),
            (413, "Request entity too large: limit is 3145728", true),
            (400, "no mutation", true),
            (403, "denied by a policy", true),
            (500, etcd, true),
            (500, "rpc error: trying to send message larger than max (2097290 vs. 2097152)", true),
            (500, "etcdserver: leader changed", false),
            (503, "try later", false),
            (429, "too many requests", false),
            (409, "conflict", false),
        ] {
            assert_eq!(is_refused(code, message), refused, "{code} {message}");
        }
    }

    #[test]
    fn a_proposal_is_a_patch_of_its_own_that_says_so() {
        let object = proposed().object(&run());
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("triage-x-p") && !name.contains(['@', '_', '[']), "{name}");
        let mut read: AgentGraphPatchObject = serde_json::from_value(object).unwrap();
        assert!(read.spec.problems().is_empty());
        assert_eq!(Proposed::undecided(&read), Some(proposed()));
        let said = |phase, reason| {
            let before = AgentGraphPatchStatus::default();
            waiting(&before, Some(1), (phase, reason), String::new(), Timestamp::UNIX_EPOCH)
        };
        read.status = Some(said(PatchPhase::Pending, PROPOSED));
        assert_eq!(Proposed::undecided(&read), Some(proposed()));
        read.status = Some(said(PatchPhase::Stale, "RunEnded"));
        assert_eq!(Proposed::undecided(&read), None);
        let other = json!({"prompt": "Refund Ada?"});
        assert_eq!(Proposed::of(&question(&other, None)), None);
    }

    #[test]
    fn what_became_of_it_is_told_in_its_own_order() {
        let denied = Verdict::Refused(Refusal::Denied(Some("too dear".to_owned())));
        let mutation = |name: &str, verdict: &Verdict| v1::JudgedMutation {
            mutation: json!({"removeVertex": {"name": name}}).to_string().into_bytes().into(),
            verdict: serde_json::to_vec(verdict).unwrap().into(),
        };
        let patch = |requester: &str, from_outside| v1::JudgedPatch {
            requester: requester.to_owned(),
            from_outside,
            superstep: 5,
            mutations: vec![
                mutation("c", &denied),
                mutation("other", &Verdict::Collapsed),
                mutation("b", &Verdict::Applied),
            ],
            ..v1::JudgedPatch::default()
        };
        let told = |patches: &[v1::JudgedPatch]| proposed().judged(patches).unwrap();
        assert_eq!(told(&[patch("plan_it@2", false), patch("plan_it@3", true)]), None);
        let judged = told(&[patch("plan_it@3", false)]).unwrap();
        assert_eq!((judged.verdicts, judged.superstep), (vec![Verdict::Applied, denied], Some(5)));
    }
}
