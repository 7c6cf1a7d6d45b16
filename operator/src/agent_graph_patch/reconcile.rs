//! One look at a patch.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use superstep_api::{
    AgentGraphObject, AgentGraphPatchObject, AgentGraphPatchStatus, GraphRunObject, PatchPhase,
};
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use tonic::Status;
use tonic::transport::Channel;

use super::judged::{Judged, judged, status_of, waiting};
use crate::apply::{own, say};
use crate::context::Context;
use crate::control::{Failure, control, settled};
use crate::effective::with_patches;
use crate::graph_run::{MIRRORED, has_ended, name_of};
use crate::lenient::Lenient;
use crate::patches::for_later_runs;
use crate::shutdown::Shutdown;
use crate::watched::concerned;
use crate::workers::{may_pass, short};

/// How often a patch is looked at that waits for a barrier.
const LOOK: Duration = Duration::from_secs(1);
/// How often a patch is looked at that waits for something outside.
const WAIT: Duration = Duration::from_secs(5);

/// A patch that is looked at.
struct Look<'a> {
    patch: &'a AgentGraphPatchObject,
    context: &'a Context,
    namespace: String,
    before: AgentGraphPatchStatus,
    at: Timestamp,
}

/// Runs the controller until the process is to end.
pub(crate) async fn run(context: Arc<Context>, shutdown: Shutdown) {
    let triggers = triggers(&context);
    tokio::select! {
        () = context.has_seen_all() => {}
        () = shutdown.clone().asked() => return,
    }
    let store = context.patches.store().clone();
    let one =
        |patch, context| -> futures::future::BoxFuture<'static, _> { Box::pin(reconcile(patch, context)) };
    control(Arc::clone(&context), store, triggers, shutdown, Arc::new(one)).await;
}

/// A patch by its name.
type Reference = ObjectRef<Lenient<AgentGraphPatchObject>>;

/// What makes a patch be looked at: itself, its run, and its graph and the other patches of that.
fn triggers(context: &Arc<Context>) -> Vec<BoxStream<'static, Reference>> {
    let store = || context.patches.store().clone();
    let (of_runs, of_graphs) = (Arc::clone(context), Arc::clone(context));
    let of_run = move |run: &Arc<Lenient<GraphRunObject>>| {
        let (namespace, name) = (run.namespace().unwrap_or_default(), run.name_any());
        naming(&of_runs, &namespace, |patch| patch.spec.run_ref.as_ref().is_some_and(|of| of.name == name))
    };
    let of_graph = move |graph: &Arc<Lenient<AgentGraphObject>>| {
        let (namespace, name) = (graph.namespace().unwrap_or_default(), graph.name_any());
        naming(&of_graphs, &namespace, |patch| patch.spec.graph_ref.name == name)
    };
    let known = Arc::clone(context);
    let of_patch = move |patch: &Arc<Lenient<AgentGraphPatchObject>>| {
        let namespace = patch.namespace().unwrap_or_default();
        let mut all = vec![reference(&namespace, &patch.name_any())];
        // Those that come after it are folded into another graph.
        if let Some(whole) = patch.0.as_ref().ok().filter(|patch| patch.spec.run_ref.is_none()) {
            let graph = whole.spec.graph_ref.name.clone();
            all.extend(naming(&known, &namespace, |other| {
                other.spec.run_ref.is_none() && other.spec.graph_ref.name == graph
            }));
        }
        all
    };
    vec![
        concerned(context.patches.listen(), store(), of_patch).boxed(),
        concerned(context.runs.listen(), store(), of_run).boxed(),
        concerned(context.graphs.listen(), store(), of_graph).boxed(),
    ]
}

/// The patches of a namespace that are so.
fn naming(
    context: &Context,
    namespace: &str,
    are_so: impl Fn(&AgentGraphPatchObject) -> bool,
) -> Vec<Reference> {
    let all = context.patches.all().filter(|patch| patch.namespace().as_deref() == Some(namespace));
    all.filter(|patch| are_so(patch)).map(|patch| reference(namespace, &patch.name_any())).collect()
}

fn reference(namespace: &str, name: &str) -> Reference {
    Reference::new(name).within(namespace)
}

/// Looks at a patch.
///
/// # Errors
/// The API server does not take or tell something, or there is no certificate for the workers.
async fn reconcile(patch: Arc<AgentGraphPatchObject>, context: Arc<Context>) -> Result<Action, Failure> {
    let is_mirrored = patch.labels().contains_key(MIRRORED);
    if patch.metadata.deletion_timestamp.is_some() || is_mirrored {
        // What a run did by itself was told when it was mirrored.
        return Ok(settled());
    }
    let look = Look {
        namespace: patch.namespace().unwrap_or_default(),
        before: patch.status.clone().unwrap_or_default(),
        patch: &patch,
        context: &context,
        at: Timestamp::now(),
    };
    if let Some(problem) = patch.spec.problems().first() {
        return look.wait((PatchPhase::Rejected, "Invalid"), problem.to_string(), settled()).await;
    }
    match &patch.spec.run_ref {
        Some(run) => look.for_run(&run.name).await,
        None => look.for_later_runs().await,
    }
}

impl Look<'_> {
    /// Folds the patch into what later runs have.
    async fn for_later_runs(&self) -> Result<Action, Failure> {
        let name = &self.patch.spec.graph_ref.name;
        let Some(graph) = self.context.graphs.named(&self.namespace, name) else {
            let message = format!("AgentGraph \"{name}\" is not there");
            return self.wait((PatchPhase::Pending, "GraphNotFound"), message, Action::requeue(WAIT)).await;
        };
        let patches = for_later_runs(self.context.patches.all(), &self.namespace, name);
        let folded = with_patches(&graph.spec.graph, &patches);
        let place = patches.iter().position(|patch| patch.uid() == self.patch.uid());
        let Some((place, folded)) = place.and_then(|place| Some((place, folded.folded.get(place)?))) else {
            return Ok(Action::requeue(LOOK));
        };
        let judged = Judged {
            verdicts: folded.verdicts.clone(),
            superstep: None,
            revision: folded.revision.to_string(),
        };
        let status = status_of(&self.before, self.patch.metadata.generation, &judged, self.at);
        self.say(AgentGraphPatchStatus { ordinal: Some(place as u64), ..status }).await?;
        Ok(settled())
    }

    /// Hands the patch to its run, and waits for what becomes of it.
    async fn for_run(&self, run: &str) -> Result<Action, Failure> {
        let done =
            matches!(self.before.phase, Some(PatchPhase::Applied | PatchPhase::Rejected | PatchPhase::Stale));
        if done && self.before.observed_generation == self.patch.metadata.generation {
            return Ok(settled());
        }
        let Some(run) = self.context.runs.named(&self.namespace, run) else {
            let message = format!("GraphRun \"{run}\" is not there");
            return self.wait((PatchPhase::Pending, "RunNotFound"), message, Action::requeue(WAIT)).await;
        };
        if run.spec.graph_ref != self.patch.spec.graph_ref {
            let (graph, other) = (&run.spec.graph_ref.name, &self.patch.spec.graph_ref.name);
            let message = format!("the run is of graph \"{graph}\", and the patch for \"{other}\"");
            return self.wait((PatchPhase::Rejected, "OtherGraph"), message, settled()).await;
        }
        own(&self.context.client, self.patch, &*run).await?;
        self.hand_over(&run).await
    }

    async fn hand_over(&self, run: &GraphRunObject) -> Result<Action, Failure> {
        let stands = run.status.clone().unwrap_or_default();
        if stands.started_at.is_none() && !has_ended(&stands) {
            let message = "the run has not begun".to_owned();
            return self.wait((PatchPhase::Pending, "RunPending"), message, Action::requeue(WAIT)).await;
        }
        let mut runs =
            self.context.workers.runs(&self.namespace, &run.spec.graph_ref.name).map_err(Failure::new)?;
        let name = name_of(run);
        if self.before.phase != Some(PatchPhase::Accepted) && !has_ended(&stands) {
            let request = v1::PatchRequest {
                run: name.clone(),
                name: self.patch.name_any(),
                mutations: serde_json::to_vec(&self.patch.spec.mutations).map_err(Failure::new)?.into(),
            };
            if let Err(status) = runs.patch(short(request)).await {
                return self.not_taken(runs, &name, &status).await;
            }
            let message = "it waits for the next barrier".to_owned();
            return self.wait((PatchPhase::Accepted, "Accepted"), message, Action::requeue(LOOK)).await;
        }
        let request = v1::MutationsRequest { run: name.clone(), from_superstep: 0 };
        match runs.mutations(short(request)).await {
            Ok(response) => self.see(&response.into_inner().patches, has_ended(&stands)).await,
            Err(status) if may_pass(&status) => Ok(Action::requeue(WAIT)),
            Err(status) => self.not_taken(runs, &name, &status).await,
        }
    }

    /// The run does not take the patch.
    async fn not_taken(
        &self,
        mut runs: RunsClient<Channel>,
        name: &str,
        status: &Status,
    ) -> Result<Action, Failure> {
        let message = status.message().to_owned();
        if may_pass(status) {
            return self
                .wait((PatchPhase::Pending, "WorkersUnavailable"), message, Action::requeue(WAIT))
                .await;
        }
        // The status of the run may be older than its end.
        let asked = runs.get(short(v1::GetRequest { run: name.to_owned() })).await;
        let found = asked.ok().and_then(|found| found.into_inner().run);
        let phase = if found.is_some_and(|run| run.phase() == v1::RunPhase::Ended) {
            (PatchPhase::Stale, "RunEnded")
        } else {
            (PatchPhase::Rejected, "Refused")
        };
        self.wait(phase, message, settled()).await
    }

    async fn see(&self, patches: &[v1::JudgedPatch], ended: bool) -> Result<Action, Failure> {
        let name = self.patch.name_any();
        match patches.iter().find(|patch| patch.from_outside && patch.requester == name) {
            Some(patch) => {
                let judged = judged(patch).map_err(Failure::new)?;
                self.say(status_of(&self.before, self.patch.metadata.generation, &judged, self.at)).await?;
                Ok(settled())
            }
            None if ended => {
                let message = "the run ended before a barrier judged it".to_owned();
                self.wait((PatchPhase::Stale, "RunEnded"), message, settled()).await
            }
            None => Ok(Action::requeue(LOOK)),
        }
    }

    async fn wait(
        &self,
        phase: (PatchPhase, &'static str),
        message: String,
        then: Action,
    ) -> Result<Action, Failure> {
        self.say(waiting(&self.before, self.patch.metadata.generation, phase, message, self.at)).await?;
        Ok(then)
    }

    async fn say(&self, status: AgentGraphPatchStatus) -> Result<(), Failure> {
        if self.before != status {
            self.context.pace.turn().await;
            say(&self.context.client, self.patch, Some(&self.before), &status).await?;
            self.context.events.standing(self.patch, &self.before.conditions, &status.conditions).await;
        }
        Ok(())
    }
}
