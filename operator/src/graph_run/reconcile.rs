//! One look at a run: it is handed over, changed as its object wants, and told of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt as _};
use superstep_api::{GraphRunObject, GraphRunStatus, OperatingMode, RunPhase};
use superstep_graph::validate;
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::adopt::adopt;
use super::ending::{Rest, has_ended, is_overdue, rest};
use super::former::Former;
use super::mirror::mirror;
use super::place::place;
use super::proposals::tell_proposals;
use super::servers::{may_ask, unready};
use super::status::{cancelled, of_run, pending, refused, with_notes};
use super::submission::{name_of, submission};
use super::triggers::triggers;
use crate::agent_graph::{Namespace, dereference};
use crate::apply::{hold, say};
use crate::context::Context;
use crate::control::{Failure, chain, control, settled};
use crate::shutdown::Shutdown;
use crate::workers::{long, may_pass, short};

/// Keeps the object of a run until the run has ended.
const FINALIZER: &str = "superstep.dev/run";
/// How often a run is looked at that goes on.
const LOOK: Duration = Duration::from_secs(1);
/// So much earlier it may be.
const SLACK: Duration = Duration::from_millis(50);
/// How often a run is looked at that waits for something outside.
const WAIT: Duration = Duration::from_secs(5);

/// A run that is looked at.
struct Look<'a> {
    run: &'a GraphRunObject,
    context: &'a Context,
    namespace: String,
    before: GraphRunStatus,
    /// The name of the run in the store.
    name: String,
    at: Timestamp,
}

/// Runs the controller until the process is to end.
pub(crate) async fn run(context: Arc<Context>, shutdown: Shutdown) {
    let triggers = triggers(&context);
    tokio::select! {
        () = context.has_seen_all() => {}
        () = shutdown.clone().asked() => return,
    }
    let store = context.runs.store().clone();
    let one = |run, context| -> futures::future::BoxFuture<'static, _> { Box::pin(reconcile(run, context)) };
    control(Arc::clone(&context), store, triggers, shutdown, Arc::new(one)).await;
}

/// Looks at a run.
///
/// # Errors
/// The API server does not take or tell something, or there is no certificate for the workers.
async fn reconcile(run: Arc<GraphRunObject>, context: Arc<Context>) -> Result<Action, Failure> {
    let uid = run.uid().unwrap_or_default();
    let is_news = run.metadata.deletion_timestamp.is_some()
        || run.status.as_ref().and_then(|status| status.observed_generation) != run.metadata.generation;
    let now = Instant::now();
    if let Some(looked) = context.looked.get(&uid).filter(|_| !is_news)
        && let Some(rest) = LOOK.checked_sub(now.duration_since(looked))
        && rest > SLACK
    {
        // What the status says of a run makes it be looked at, too.
        return Ok(Action::requeue(rest));
    }
    context.looked.insert(uid, now);
    let look = Look {
        namespace: run.namespace().unwrap_or_default(),
        before: run.status.clone().unwrap_or_default(),
        name: name_of(&run),
        run: &run,
        context: &context,
        at: Timestamp::now(),
    };
    if let Some(asked) = &run.metadata.deletion_timestamp {
        return look.leave(asked.0).await;
    }
    if has_ended(&look.before) { look.ended().await } else { look.go_on().await }
}

impl Look<'_> {
    /// The object of a run that has ended.
    async fn ended(&self) -> Result<Action, Failure> {
        hold(&self.context.client, self.run, FINALIZER, false).await?;
        let ttl = self.run.spec.ttl_after_finished.map(superstep_graph::DurationSpec::duration);
        match rest(&self.before, ttl, self.at) {
            Rest::Stays => Ok(settled()),
            Rest::Goes(Duration::ZERO) => {
                let this = Preconditions { uid: self.run.uid(), resource_version: None };
                let how = DeleteParams { preconditions: Some(this), ..DeleteParams::default() };
                let api = Api::<GraphRunObject>::namespaced(self.context.client.clone(), &self.namespace);
                api.delete(&self.run.name_any(), &how).await?;
                Ok(settled())
            }
            Rest::Goes(later) => Ok(Action::requeue(later)),
        }
    }

    /// A run that has not ended, as far as is known.
    async fn go_on(&self) -> Result<Action, Failure> {
        let asked = v1::GetRequest { run: self.name.clone() };
        match async { self.runs()?.get(short(asked)).await }.await {
            Ok(found) => {
                let found = found.into_inner().run.unwrap_or_default();
                self.see(found).await
            }
            Err(status) if status.code() == Code::NotFound && self.before.started_at.is_none() => {
                self.hand_over().await
            }
            Err(status) if status.code() == Code::NotFound => {
                let message = format!("the store has no run \"{}\" any more", self.name);
                self.say(refused(&self.before, self.run.metadata.generation, "Lost", message, self.at))
                    .await?;
                Ok(settled())
            }
            Err(status) => self.unreached(&status).await,
        }
    }

    /// The workers of its graph. Those to whom no connection can be had, as while the operator has no certificate, are
    /// as good as away, so that the status says why the run waits.
    fn runs(&self) -> Result<RunsClient<Channel>, Status> {
        let runs = self.context.workers.runs(&self.namespace, &self.run.spec.graph_ref.name);
        runs.map_err(|error| Status::unavailable(chain(&error)))
    }

    /// The workers do not say how the run stands.
    async fn unreached(&self, status: &Status) -> Result<Action, Failure> {
        let name = &self.run.spec.graph_ref.name;
        let Some(graph) = self.context.graphs.named(&self.namespace, name) else {
            return self.wait("GraphNotFound", format!("AgentGraph \"{name}\" is not there")).await;
        };
        if self.before.started_at.is_some() {
            // It goes on without anybody watching; what is known of it stays.
            return Ok(Action::requeue(WAIT));
        }
        let conditions = graph.status.iter().flat_map(|status| &status.conditions);
        let mut unready = conditions.filter(|told| told.type_ == "Ready" && told.status != "True");
        if let Some(told) = unready.next() {
            let message = format!("AgentGraph \"{name}\" is not ready: {}", told.message);
            return self.wait("GraphNotReady", message).await;
        }
        let message = format!("the workers of the graph do not answer: {}", status.message());
        self.wait("WorkersUnavailable", message).await
    }

    async fn wait(&self, reason: &'static str, message: String) -> Result<Action, Failure> {
        self.say(pending(&self.before, self.run.metadata.generation, reason, message, self.at)).await?;
        Ok(Action::requeue(WAIT))
    }

    /// Hands the run to the workers.
    async fn hand_over(&self) -> Result<Action, Failure> {
        let generation = self.run.metadata.generation;
        match self.run.spec.operating_mode {
            OperatingMode::Cancelled => {
                self.say(cancelled(&self.before, generation, self.at)).await?;
                return Ok(settled());
            }
            OperatingMode::Suspended => {
                let message = "it is handed to the workers when operatingMode is Running".to_owned();
                return self.wait("OperatingMode", message).await;
            }
            OperatingMode::Running => {}
        }
        let graph = &self.run.spec.graph_ref.name;
        let Some(object) = self.context.graphs.named(&self.namespace, graph) else {
            let message = format!("AgentGraph \"{graph}\" is not there");
            return self.wait("GraphNotFound", message).await;
        };
        let known = Namespace { context: self.context, namespace: &self.namespace };
        let referenced = dereference(&known, &object);
        if let Some(missing) = referenced.missing.first() {
            return self.wait(missing.reason, missing.message.clone()).await;
        }
        if let Err(problems) = validate(&object.spec.graph) {
            let problems: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
            return self.wait("GraphInvalid", problems.join("; ")).await;
        }
        if let Some(server) = unready(self.context, &self.namespace, &referenced) {
            let message = format!("ModelServer \"{server}\" is not ready: see its conditions");
            return self.wait("ModelServerNotReady", message).await;
        }
        let named = |name: &str| Some(name_of(&*self.context.runs.named(&self.namespace, name)?));
        let former = match Former::of(self.run, named) {
            Ok(former) => former,
            Err(name) => {
                return self.wait("RunNotFound", format!("GraphRun \"{name}\" is not there")).await;
            }
        };
        hold(&self.context.client, self.run, FINALIZER, true).await?;
        let request = submission(self.run, &referenced, former);
        match async { self.runs()?.submit(long(request)).await }.await {
            Ok(_) => {
                self.context.events.say(self.run, EventType::Normal, "Submitted", &self.name).await;
                Ok(Action::requeue(LOOK / 4))
            }
            Err(status) if may_pass(&status) => {
                let message = format!("the workers do not take it yet: {}", status.message());
                self.wait("WorkersUnavailable", message).await
            }
            Err(status) => {
                let message = status.message().to_owned();
                self.say(refused(&self.before, generation, "Refused", message, self.at)).await?;
                hold(&self.context.client, self.run, FINALIZER, false).await?;
                Ok(settled())
            }
        }
    }

    /// Does to a run what its object wants, and tells of it.
    async fn see(&self, found: v1::Run) -> Result<Action, Failure> {
        let graph = &self.run.spec.graph_ref.name;
        let mut runs = self.context.workers.runs(&self.namespace, graph).map_err(Failure::new)?;
        let goes_on = found.phase() != v1::RunPhase::Ended;
        let run = self.name.clone();
        let asked = match (self.run.spec.operating_mode, found.suspended) {
            (OperatingMode::Cancelled, _) if goes_on => {
                runs.cancel(short(v1::CancelRequest { run })).await.map(drop)
            }
            (OperatingMode::Suspended, false) if goes_on => {
                runs.suspend(short(v1::SuspendRequest { run, suspended: true })).await.map(drop)
            }
            (OperatingMode::Running, true) if goes_on => {
                runs.suspend(short(v1::SuspendRequest { run, suspended: false })).await.map(drop)
            }
            (OperatingMode::Cancelled | OperatingMode::Suspended | OperatingMode::Running, _) => Ok(()),
        };
        if let Err(status) = asked {
            tracing::info!(run = self.name, %status, "a run does not take its operating mode yet");
        }
        let place = place(self.context, &self.namespace, graph, &self.name);
        let mut status = of_run(&self.before, self.run.metadata.generation, &found, &place, self.at);
        if goes_on && status.model_servers.is_none() {
            status.model_servers = may_ask(self.context, &self.namespace, self.run);
        }
        mirror(self.context, self.run, &self.name, &found).await?;
        let without_patch = tell_proposals(self.context, self.run, &self.name, &found).await?;
        let status = with_notes(status, &without_patch);
        adopt(self.context, self.run, &self.name, &found).await?;
        let (ended, said) = (has_ended(&status), status.message.clone());
        self.say(status).await?;
        self.warn(said.as_deref(), &without_patch).await;
        if !ended {
            return Ok(Action::requeue(LOOK));
        }
        hold(&self.context.client, self.run, FINALIZER, false).await?;
        Ok(settled())
    }

    /// The object is to go: its run is cancelled before.
    async fn leave(&self, asked: Timestamp) -> Result<Action, Failure> {
        let let_go = async || hold(&self.context.client, self.run, FINALIZER, false).await;
        let graph = &self.run.spec.graph_ref.name;
        let nobody = !self.context.graphs.has(&self.namespace, graph);
        if has_ended(&self.before) || nobody || !self.run.finalizers().iter().any(|name| name == FINALIZER) {
            let_go().await?;
            return Ok(settled());
        }
        let asked_to_end = v1::CancelRequest { run: self.name.clone() };
        match async { self.runs()?.cancel(short(asked_to_end)).await }.await {
            Ok(_) => let_go().await?,
            Err(status) if !may_pass(&status) => let_go().await?,
            Err(status) if is_overdue(asked, self.at) => {
                let note =
                    format!("the run was not cancelled, as its workers do not answer: {}", status.message());
                self.context.events.say(self.run, EventType::Warning, "NotCancelled", &note).await;
                let_go().await?;
            }
            Err(_) => return Ok(Action::requeue(WAIT)),
        }
        Ok(settled())
    }

    /// Warns of proposals that have no patch, once: when the status says so that did not before.
    async fn warn(&self, said: Option<&str>, without_patch: &[String]) {
        let before = self.before.message.as_deref();
        if before == said {
            return;
        }
        for note in without_patch.iter().filter(|note| !before.is_some_and(|before| before.contains(*note))) {
            self.context.events.say(self.run, EventType::Warning, "ProposalHasNoPatch", note).await;
        }
    }

    /// Says how the run stands, at most so often.
    async fn say(&self, status: GraphRunStatus) -> Result<(), Failure> {
        if self.before == status {
            return Ok(());
        }
        self.context.pace.turn().await;
        say(&self.context.client, self.run, Some(&self.before), &status).await?;
        if self.before.phase != status.phase && status.phase != Some(RunPhase::Pending) {
            self.context.events.standing(self.run, &self.before.conditions, &status.conditions).await;
        }
        Ok(())
    }
}
