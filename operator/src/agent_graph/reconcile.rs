//! The controller of graphs: dereference, validate, build, apply, say how it stands.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::jiff::Timestamp;
use kube::core::ApiResource;
use kube::runtime::controller::Action;
use superstep_api::{AgentGraphObject, AgentGraphStatus, GraphRunObject};

use super::build::{Plan, children};
use super::dereference::{Namespace, Referenced, dereference};
use super::history::retain;
use super::needs::{Needs, needs};
use super::status::{Found, status};
use super::triggers::{is_active, triggers};
use super::validate::check;
use crate::apply::say;
use crate::children::{Children, Owner};
use crate::context::Context;
use crate::control::{Failure, control, settled, settled_for};
use crate::names::{GRAPH, OfGraph, misnamed};
use crate::placed::{Placed, place};
use crate::pods::Pods;
use crate::shutdown::Shutdown;

/// What selects what belongs to graphs.
const SELECTOR: &str =
    "app.kubernetes.io/name=superstep,app.kubernetes.io/component=worker,superstep.dev/graph";
/// When something is looked at again that nobody tells of.
const UNTOLD: Duration = Duration::from_secs(30);
/// When those of a former graph are looked at again.
const LEAVING: Duration = Duration::from_secs(5);

/// What this controller follows beside what all do.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) children: Arc<Children>,
    pub(super) pods: Arc<Pods>,
}

impl Own {
    fn new() -> Self {
        let kinds = vec![
            ApiResource::erase::<ServiceAccount>(&()),
            ApiResource::erase::<Role>(&()),
            ApiResource::erase::<RoleBinding>(&()),
            ApiResource::erase::<ConfigMap>(&()),
            ApiResource::erase::<Service>(&()),
            ApiResource::erase::<NetworkPolicy>(&()),
            ApiResource::erase::<PodDisruptionBudget>(&()),
            ApiResource::erase::<StatefulSet>(&()),
        ];
        Self {
            children: Arc::new(Children::new(SELECTOR, kinds)),
            pods: Arc::new(Pods::new(SELECTOR, GRAPH)),
        }
    }
}

/// Runs the controller until the process is to end.
pub(crate) async fn run(context: Arc<Context>, shutdown: Shutdown) {
    let own = Arc::new(Own::new());
    let triggers = triggers(&context, &own);
    let follow_children = Arc::clone(&own.children).follow(Arc::clone(&context), shutdown.clone());
    let follow_pods = Arc::clone(&own.pods).follow(Arc::clone(&context), shutdown.clone());
    let work = async {
        tokio::select! {
            _ = async { tokio::join!(context.has_seen_all(), own.children.has_seen_all(), own.pods.has_seen_all()) } => {}
            () = shutdown.clone().asked() => return,
        }
        let store = context.graphs.store().clone();
        let shared = Arc::clone(&own);
        let one = move |graph, context| -> futures::future::BoxFuture<'static, _> {
            Box::pin(reconcile(graph, context, Arc::clone(&shared)))
        };
        control(Arc::clone(&context), store, triggers, shutdown.clone(), Arc::new(one)).await;
    };
    tokio::join!(follow_children, follow_pods, work);
}

async fn reconcile(
    graph: Arc<AgentGraphObject>,
    context: Arc<Context>,
    own: Arc<Own>,
) -> Result<Action, Failure> {
    // What belongs to a graph that is deleted goes by its owner references.
    let Some(owner) = Owner::of(graph.as_ref()).filter(|_| graph.metadata.deletion_timestamp.is_none())
    else {
        return Ok(settled());
    };
    let known = Namespace { context: &context, namespace: &owner.namespace };
    let referenced = dereference(&known, &graph);
    let (mut needs, active) = (needs(&referenced), active(&context, &owner));
    needs.keep(&active);
    let checked = check(&graph, &referenced, &needs, &context.settings.store);
    let misnamed = misnamed("AgentGraph", &owner.name);
    let placed = if checked.is_ok() && misnamed.is_none() && referenced.missing.is_empty() {
        make(&graph, &context, &own, &owner, (&referenced, &needs)).await?
    } else {
        Placed::Kept
    };
    let set = own.children.seen("StatefulSet", &owner.namespace, &OfGraph(&owner.name).worker());
    let set = set.filter(|set| set.is_of(&owner));
    let found = Found {
        name: &owner.name,
        generation: graph.metadata.generation,
        wanted: graph.spec.workers.replicas,
        checked: checked.as_ref().map_err(Vec::as_slice),
        misnamed,
        missing: &referenced.missing,
        placed: &placed,
        set: set.as_deref(),
        pods: &own.pods.of(&owner.namespace, &owner.name),
        active: u32::try_from(active.len()).unwrap_or(u32::MAX),
    };
    let none = AgentGraphStatus::default();
    let before = graph.status.as_ref();
    let now = Timestamp::now();
    let after = status(before.unwrap_or(&none), &found, now);
    say(&context.client, graph.as_ref(), before, &after).await?;
    context.events.standing(graph.as_ref(), &before.unwrap_or(&none).conditions, &after.conditions).await;
    let next = retain(&graph, &context, &owner, now).await?;
    Ok(match placed {
        Placed::Kept | Placed::Done { .. } => next.map_or_else(settled, settled_for),
        Placed::Leaving { .. } => Action::requeue(LEAVING),
        Placed::Waits { .. } | Placed::Stuck { .. } => Action::requeue(UNTOLD),
    })
}

/// The runs of a graph that have not ended.
fn active(context: &Context, owner: &Owner) -> Vec<Arc<GraphRunObject>> {
    let runs = context.runs.all().filter(|run| {
        run.spec.graph_ref.name == owner.name
            && run.metadata.namespace.as_deref() == Some(&owner.namespace)
            && is_active(run.status.as_ref())
    });
    runs.collect()
}

/// Makes the children what they are to be, and deletes those that nobody wants.
async fn make(
    graph: &AgentGraphObject,
    context: &Context,
    own: &Own,
    owner: &Owner,
    (referenced, needs): (&Referenced, &Needs),
) -> Result<Placed, Failure> {
    let authorities = context.authorities.borrow().clone();
    if authorities.is_none() && context.settings.signer_address.is_some() {
        let message =
            "the operator has no authority that signs the certificates of workers; see its log".to_owned();
        return Ok(Placed::Waits { reason: "NoAuthority", message });
    }
    let Some(effective) = referenced.graphs.get(&owner.name) else { return Ok(Placed::Kept) };
    let plan = Plan {
        owner,
        workers: &graph.spec.workers,
        effective,
        needs,
        settings: &context.settings,
        authorities: authorities.as_deref(),
    };
    place(context, &own.children, owner, &children(&plan)).await
}
