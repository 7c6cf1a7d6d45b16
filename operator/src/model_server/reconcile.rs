//! The controller of model servers: validate, build, apply, say how it stands.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::ApiResource;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use superstep_api::{Autoscaling, GraphRunObject, ModelServerObject, ModelServerSpec, ModelServerStatus};

use super::autoscaling::{Counted, InProgress, Scaled};
use super::build::{Plan, children, has_pods, workload};
use super::status::{Found, status};
use super::validate::check;
use crate::apply::say;
use crate::children::{Children, Of, Owner};
use crate::context::Context;
use crate::control::{Failure, control, settled};
use crate::lenient::Lenient;
use crate::names::{MODEL_SERVER, OfModelServer};
use crate::pace::Pace;
use crate::placed::{Placed, place};
use crate::pods::Pods;
use crate::shutdown::Shutdown;
use crate::watched::concerned;

/// What selects what belongs to model servers.
const SELECTOR: &str =
    "app.kubernetes.io/name=superstep,app.kubernetes.io/component=model-server,superstep.dev/model-server";
/// When something is looked at again that nobody tells of.
const UNTOLD: Duration = Duration::from_secs(30);
/// When those of a former server are looked at again.
const LEAVING: Duration = Duration::from_secs(5);
/// How many pods are asked for their load in a second at most.
const ASKED: u32 = 50;

type Reference = ObjectRef<Lenient<ModelServerObject>>;

/// What this controller follows beside what all do.
#[derive(Debug)]
struct Own {
    children: Arc<Children>,
    pods: Arc<Pods>,
    /// How often pods are asked for their load.
    pace: Pace,
}

impl Own {
    fn new() -> Self {
        let kinds = vec![
            ApiResource::erase::<ConfigMap>(&()),
            ApiResource::erase::<Service>(&()),
            ApiResource::erase::<NetworkPolicy>(&()),
            ApiResource::erase::<Deployment>(&()),
            ApiResource::erase::<StatefulSet>(&()),
        ];
        let pods = Pods::new(SELECTOR, MODEL_SERVER);
        let children = Arc::new(Children::new(SELECTOR, kinds));
        Self { children, pods: Arc::new(pods), pace: Pace::per_second(ASKED) }
    }

    async fn has_seen_all(&self, context: &Context) {
        tokio::join!(context.has_seen_all(), self.children.has_seen_all(), self.pods.has_seen_all());
    }
}

/// Runs the controller until the process is to end.
pub(crate) async fn run(context: Arc<Context>, shutdown: Shutdown) {
    let own = Arc::new(Own::new());
    let store = context.servers.store().clone();
    let named = |(namespace, name): &Of| Some(Reference::new(name).within(namespace));
    let itself = |server: &Arc<Lenient<ModelServerObject>>| Some(Reference::from_obj(server.as_ref()));
    let (known, progress) = (Arc::clone(&context), InProgress::default());
    let of_runs = move |run: &Arc<Lenient<GraphRunObject>>| woken(&known, &progress, run);
    let triggers = vec![
        concerned(context.servers.listen(), store.clone(), itself).boxed(),
        concerned(own.children.listen(), store.clone(), named).boxed(),
        concerned(own.pods.listen(), store.clone(), named).boxed(),
        concerned(context.runs.listen(), store.clone(), of_runs).boxed(),
    ];
    let follow_children = Arc::clone(&own.children).follow(Arc::clone(&context), shutdown.clone());
    let follow_pods = Arc::clone(&own.pods).follow(Arc::clone(&context), shutdown.clone());
    let work = async {
        tokio::select! {
            () = own.has_seen_all(&context) => {}
            () = shutdown.clone().asked() => return,
        }
        let shared = Arc::clone(&own);
        let one = move |server, context| -> futures::future::BoxFuture<'static, _> {
            Box::pin(reconcile(server, context, Arc::clone(&shared)))
        };
        control(Arc::clone(&context), store, triggers, shutdown.clone(), Arc::new(one)).await;
    };
    tokio::join!(follow_children, follow_pods, work);
}

/// The servers that a run may wake, or let rest, that has begun or ended.
fn woken(context: &Context, progress: &InProgress, run: &Lenient<GraphRunObject>) -> Vec<Reference> {
    let is_there = context.runs.is_there(run);
    let Some(run) = run.0.as_ref().ok().filter(|run| progress.is_news(run, is_there)) else {
        return Vec::new();
    };
    let namespace = run.namespace().unwrap_or_default();
    let sleeps = |server: &ModelServerObject| {
        let autoscaling = server.spec.autoscaling.as_ref();
        autoscaling.is_some_and(Autoscaling::reaches_zero)
            && server.namespace().as_deref() == Some(&namespace)
    };
    let servers = context.servers.all().filter(|server| sleeps(server));
    servers.map(|server| Reference::new(&server.name_any()).within(&namespace)).collect()
}

async fn reconcile(
    server: Arc<ModelServerObject>,
    context: Arc<Context>,
    own: Arc<Own>,
) -> Result<Action, Failure> {
    // What belongs to a server that is deleted goes by its owner references.
    let Some(owner) = Owner::of(server.as_ref()).filter(|_| server.metadata.deletion_timestamp.is_none())
    else {
        return Ok(settled());
    };
    let checked = check(&server.spec);
    // Only pods have names that could be too long.
    let misnamed = checked.as_ref().ok().filter(|spec| has_pods(spec));
    let misnamed = misnamed.and_then(|_| crate::names::misnamed("ModelServer", &owner.name));
    let kind = checked.as_ref().map_or("Deployment", |spec: &ModelServerSpec| workload(spec));
    let workload = || {
        let seen = own.children.seen(kind, &owner.namespace, &OfModelServer(&owner.name).model());
        seen.filter(|seen| seen.is_of(&owner))
    };
    let pods = own.pods.of(&owner.namespace, &owner.name);
    let counted = checked.as_ref().ok().filter(|_| misnamed.is_none()).and_then(|spec| {
        Some(Counted {
            namespace: &owner.namespace,
            name: &owner.name,
            spec,
            autoscaling: spec.autoscaling.as_ref()?,
            before: context.scaled.get(&owner.uid),
            there: workload().and_then(|seen| seen.replicas()),
            pods: &pods,
        })
    });
    let (scaled, change) = match counted {
        Some(counted) => {
            let (scaled, change) = counted.look(&context, &own.pace).await;
            (Some(scaled), change)
        }
        None => (None, None),
    };
    let placed = match &checked {
        Ok(spec) if misnamed.is_none() => {
            let replicas = scaled.as_ref().map_or(spec.replicas, |scaled| scaled.replicas);
            let plan = Plan { owner: &owner, spec, settings: &context.settings, replicas };
            place(&context, &own.children, &owner, &children(&plan)).await?
        }
        Ok(_) | Err(_) => Placed::Kept,
    };
    remember(&context, &owner, scaled.as_ref());
    if let Some(change) = change {
        change.tell(&context, &server).await;
    }
    let seen = workload();
    let found = Found {
        namespace: &owner.namespace,
        name: &owner.name,
        generation: server.metadata.generation,
        checked: checked.as_ref().map_err(Vec::as_slice),
        misnamed,
        placed: &placed,
        workload: seen.as_deref(),
        pods: &pods,
        scaled: scaled.as_ref(),
    };
    let none = ModelServerStatus::default();
    let before = server.status.as_ref();
    let after = status(before.unwrap_or(&none), &found, Timestamp::now());
    say(&context.client, server.as_ref(), before, &after).await?;
    context.events.standing(server.as_ref(), &before.unwrap_or(&none).conditions, &after.conditions).await;
    Ok(match placed {
        Placed::Kept | Placed::Done { .. } => {
            scaled.map_or_else(settled, |scaled| Action::requeue(scaled.again()))
        }
        Placed::Leaving { .. } => Action::requeue(LEAVING),
        Placed::Waits { .. } | Placed::Stuck { .. } => Action::requeue(UNTOLD),
    })
}

/// Remembers what was decided and written. What was decided before is none of a server any more whose number is given.
fn remember(context: &Context, owner: &Owner, scaled: Option<&Scaled>) {
    match scaled {
        Some(scaled) => context.scaled.insert(owner.uid.clone(), scaled.clone()),
        None => context.scaled.keep(|uid| uid != owner.uid),
    }
}
