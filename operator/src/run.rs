//! `superstep-operator run`: one process with everything that the operator does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::{BoxFuture, FutureExt as _, join_all};
use kube::Client;
use superstep_api::{AgentGraphObject, AgentGraphPatchObject, GraphRunObject, ModelServerObject};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::certificates::Certificates;
use crate::client::client;
use crate::context::{Context, Shared};
use crate::election::elected;
use crate::http::{Health, Progress, serve};
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::settings::Settings;
use crate::shutdown::{Ending, Shutdown, signalled};
use crate::workers::Workers;
use crate::{agent_graph, agent_graph_patch, graph_run, model_server};

/// The domain of services, as every cluster resolves it.
const SERVICES: &str = "svc";
/// How many statuses of runs and patches are written in a second at most.
const STATUSES: u32 = 50;

/// How often what is remembered of objects that are gone is forgotten.
const FORGETS: Duration = Duration::from_secs(600);

/// The controllers of one scope: a future for each kind, which ends some time after the process is to end.
fn controllers(context: &Arc<Context>, shutdown: &Shutdown) -> Vec<BoxFuture<'static, ()>> {
    vec![
        agent_graph::run(Arc::clone(context), shutdown.clone()).boxed(),
        model_server::run(Arc::clone(context), shutdown.clone()).boxed(),
        agent_graph_patch::run(Arc::clone(context), shutdown.clone()).boxed(),
        graph_run::run(Arc::clone(context), shutdown.clone()).boxed(),
        forget(Arc::clone(context), shutdown.clone()).boxed(),
    ]
}

/// Forgets from time to time what is remembered of objects that are gone.
async fn forget(context: Arc<Context>, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(FORGETS);
    let mut asked = std::pin::pin!(shutdown.asked());
    loop {
        tokio::select! {
            _ = ticks.tick() => context.forget(),
            () = &mut asked => return,
        }
    }
}

/// What is seen of the kinds of ours, which all controllers share.
fn followed(context: &Arc<Context>, shutdown: &Shutdown) -> Vec<BoxFuture<'static, ()>> {
    let metrics = &context.metrics;
    vec![
        Arc::clone(&context.graphs)
            .follow(context.api::<AgentGraphObject>(), Arc::clone(metrics), shutdown.clone())
            .boxed(),
        Arc::clone(&context.patches)
            .follow(context.api::<AgentGraphPatchObject>(), Arc::clone(metrics), shutdown.clone())
            .boxed(),
        Arc::clone(&context.runs)
            .follow(context.api::<GraphRunObject>(), Arc::clone(metrics), shutdown.clone())
            .boxed(),
        Arc::clone(&context.servers)
            .follow(context.api::<ModelServerObject>(), Arc::clone(metrics), shutdown.clone())
            .boxed(),
    ]
}

/// Works until a signal comes.
///
/// # Errors
/// The process cannot begin: no API server is known, or its port is taken.
pub(crate) fn run(settings: Settings) -> Result<()> {
    log(settings.log_json);
    // Several crates could choose differently.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("the process has a provider of cryptography already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_and_operate(settings))
}

fn log(as_json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if as_json { log.json().init() } else { log.init() }
}

async fn serve_and_operate(settings: Settings) -> Result<()> {
    let metrics = Arc::new(Metrics::new());
    let listener = TcpListener::bind(settings.health)
        .await
        .with_context(|| format!("cannot listen on {}", settings.health))?;
    let client = client(Arc::clone(&metrics)).await?;
    let certificates =
        Certificates::begin(&settings.signing, client.clone(), &settings.own_namespace).await?;
    let shared = Shared {
        client,
        settings: Arc::new(settings),
        metrics: Arc::clone(&metrics),
        authorities: certificates.authorities.clone(),
        workers: Arc::new(Workers::new(certificates.clients(), SERVICES)),
        pace: Arc::new(Pace::per_second(STATUSES)),
    };
    let contexts: Vec<Arc<Context>> =
        shared.settings.scopes().into_iter().map(|scope| Arc::new(Context::new(&shared, scope))).collect();
    let (progress, seen) = watch::channel(Progress::Starts);
    let health = Health { metrics, progress: seen, contexts: contexts.clone().into() };
    let (ending, shutdown) = Shutdown::new();
    let server = tokio::spawn(serve(listener, health, shutdown.clone().asked()));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the operator starts");
    tokio::spawn(end_by_signal(ending.clone()));
    let outcome = operate(&shared, &contexts, &progress, (&ending, &shutdown)).await;
    ending.end();
    server.await??;
    tracing::info!("the operator has ended");
    outcome
}

async fn end_by_signal(ending: Ending) {
    match signalled().await {
        Ok(signal) => tracing::info!(signal, "the operator is to end"),
        Err(error) => tracing::error!(%error, "signals cannot be waited for"),
    }
    ending.end();
}

/// Works when it is this process's turn, until it is to end.
///
/// # Errors
/// Another process has taken its lease.
async fn operate(
    shared: &Shared,
    contexts: &[Arc<Context>],
    progress: &watch::Sender<Progress>,
    (ending, shutdown): (&Ending, &Shutdown),
) -> Result<()> {
    if !answers(&shared.client, shutdown).await {
        return Ok(());
    }
    let settings = &shared.settings;
    let Some(lease) = &settings.lease else {
        control(shared, contexts, progress, shutdown).await;
        return Ok(());
    };
    progress.send_replace(Progress::StandsBy);
    let (client, own) = (shared.client.clone(), &settings.own_namespace);
    let Some(mut tenure) = elected(client, own, lease, &settings.name, shutdown.clone()).await else {
        return Ok(());
    };
    let mut work = std::pin::pin!(control(shared, contexts, progress, shutdown));
    let lost = tokio::select! {
        () = &mut work => None,
        other = tenure.lost() => Some(other),
    };
    let Some(other) = lost else {
        tenure.give_back().await;
        return Ok(());
    };
    // What has begun comes to its end, and nothing else begins.
    ending.end();
    work.await;
    bail!("process {other:?} has taken the lease {lease:?}")
}

/// Follows all objects and looks after them, until the process is to end.
async fn control(
    shared: &Shared,
    contexts: &[Arc<Context>],
    progress: &watch::Sender<Progress>,
    shutdown: &Shutdown,
) {
    progress.send_replace(Progress::Lists);
    shared.metrics.leads(true);
    let each = contexts
        .iter()
        .flat_map(|context| followed(context, shutdown).into_iter().chain(controllers(context, shutdown)));
    let seen = async {
        tokio::select! {
            _ = join_all(contexts.iter().map(|context| context.has_seen_all())) => {
                progress.send_replace(Progress::Works);
            }
            () = shutdown.clone().asked() => {}
        }
    };
    tokio::join!(join_all(each), seen);
    shared.metrics.leads(false);
}

/// Waits for the API server, which may start later than the operator; false if the process is to end before.
async fn answers(client: &Client, shutdown: &Shutdown) -> bool {
    let mut waits = kube::runtime::watcher::DefaultBackoff::default();
    loop {
        let error = match client.apiserver_version().await {
            Ok(version) => {
                tracing::info!(version = version.git_version, "the API server answers");
                return true;
            }
            Err(error) => error,
        };
        let wait = waits.next().unwrap_or(Duration::from_secs(30));
        tracing::warn!(%error, "the API server does not answer");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.clone().asked() => return false,
        }
    }
}
