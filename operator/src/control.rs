//! A controller: objects that are to be looked at, one after another, a bounded number at a time.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::controller::{Action, Config, Error as ControlError, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::lenient::{Lenient, Malformed};
use crate::malformed;
use crate::shutdown::Shutdown;

/// How many objects of a kind are looked at together.
const TOGETHER: u16 = 16;

/// An object is looked at that often, whether or not something has changed. It costs no request.
const AT_LEAST: Duration = Duration::from_secs(600);

/// Why an object could not be reconciled.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(#[source] Box<dyn Error + Send + Sync>);

/// What looks at one object.
pub(crate) type Reconcile<K> =
    dyn Fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, Failure>> + Send + Sync;

impl Failure {
    /// The failure that `error` is.
    pub(crate) fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::new(error)
    }
}

/// Nothing more is to be done until something changes.
pub(crate) fn settled() -> Action {
    Action::requeue(AT_LEAST)
}

/// The same, until something is to be done at a time that is known.
pub(crate) fn settled_for(time: Duration) -> Action {
    Action::requeue(time.min(AT_LEAST))
}

/// Runs a controller until the process is to end, and lets what it has begun come to its end. `triggers` names what is
/// to be looked at.
pub(crate) async fn control<K>(
    context: Arc<Context>,
    store: Store<Lenient<K>>,
    triggers: Vec<BoxStream<'static, ObjectRef<Lenient<K>>>>,
    shutdown: Shutdown,
    reconcile: Arc<Reconcile<K>>,
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let queue = futures::stream::select_all(triggers).take_until(shutdown.asked()).map(Ok::<_, Infallible>);
    let one = move |object: Arc<Lenient<K>>, context: Arc<Context>| {
        look(object, context, Arc::clone(&reconcile)).boxed()
    };
    let failed = |object: Arc<Lenient<K>>, _: &Failure, context: Arc<Context>| {
        context.metrics.requeued(&K::kind(&()));
        Action::requeue(context.backoff.failed(&object.uid().unwrap_or_default()))
    };
    let config = Config::default().concurrency(TOGETHER);
    let mut done = std::pin::pin!(applier(one, failed, context, store, queue, config));
    while let Some(outcome) = done.next().await {
        match outcome {
            // An object that is gone needs nothing: what belonged to it goes by its owner references.
            Ok(_) | Err(ControlError::ObjectNotFound(_)) => {}
            Err(ControlError::ReconcilerFailed(failure, object)) => {
                tracing::warn!(object = %object, error = chain(&failure), "an object waits after a failure");
            }
            Err(error) => tracing::error!(kind = %K::kind(&()), %error, "a controller"),
        }
    }
}

/// Looks at one object, on a task of its own: a mistake in the program ends no other.
async fn look<K>(
    object: Arc<Lenient<K>>,
    context: Arc<Context>,
    reconcile: Arc<Reconcile<K>>,
) -> Result<Action, Failure>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let began = Instant::now();
    let uid = object.uid().unwrap_or_default();
    let shared = Arc::clone(&context);
    let task = tokio::spawn(async move {
        match &object.0 {
            Ok(whole) => reconcile(Arc::clone(whole), shared).await,
            Err(malformed) => say::<K>(malformed, &shared).await,
        }
    });
    let outcome = task.await.unwrap_or_else(|error| Err(Failure::new(error)));
    let told = if outcome.is_ok() { "ok" } else { "failed" };
    context.metrics.reconciled(&K::kind(&()), told, began.elapsed());
    if outcome.is_ok() {
        context.backoff.done(&uid);
    }
    outcome
}

async fn say<K>(malformed: &Malformed, context: &Context) -> Result<Action, Failure>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    malformed::say::<K>(context, malformed).await?;
    Ok(settled())
}

/// An error and what led to it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = source.source();
    }
    text
}
