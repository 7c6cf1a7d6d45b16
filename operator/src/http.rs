//! Health and metrics, over HTTP without encryption.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::context::Context;
use crate::lenient::Lenient;
use crate::metrics::Metrics;

/// How far the process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has not heard of the API server.
    Starts,
    /// Another process of the operator works; this one waits for its end.
    StandsBy,
    /// It works, and has not seen all objects.
    Lists,
    /// It works.
    Works,
}

/// What the server tells of.
#[derive(Clone)]
pub(crate) struct Health {
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// How far the process is.
    pub(crate) progress: watch::Receiver<Progress>,
    /// Whose objects are counted.
    pub(crate) contexts: Arc<[Arc<Context>]>,
}

/// Serves until `shutdown`.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    health: Health,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    match *health.progress.borrow() {
        Progress::Starts => (StatusCode::SERVICE_UNAVAILABLE, "the API server has not answered\n"),
        Progress::Lists => (StatusCode::SERVICE_UNAVAILABLE, "objects are being listed\n"),
        Progress::StandsBy => (StatusCode::OK, "another process works, this one stands by\n"),
        Progress::Works => (StatusCode::OK, "ok\n"),
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    health.metrics.forget_objects();
    for context in health.contexts.iter() {
        count(&health.metrics, "AgentGraph", &context.graphs.store().state(), |graph| {
            graph.status.as_ref().map(|status| status.conditions.as_slice())
        });
        count(&health.metrics, "AgentGraphPatch", &context.patches.store().state(), |patch| {
            patch.status.as_ref().map(|status| status.conditions.as_slice())
        });
        count(&health.metrics, "GraphRun", &context.runs.store().state(), |run| {
            run.status.as_ref().map(|status| status.conditions.as_slice())
        });
        count(&health.metrics, "ModelServer", &context.servers.store().state(), |server| {
            server.status.as_ref().map(|status| status.conditions.as_slice())
        });
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match health.metrics.text() {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn count<K: Resource + Clone>(
    metrics: &Metrics,
    kind: &str,
    objects: &[Arc<Lenient<K>>],
    conditions: impl Fn(&K) -> Option<&[Condition]>,
) {
    for object in objects {
        let of_object = object.0.as_ref().ok().and_then(|object| conditions(object));
        let ready = of_object.and_then(|all| all.iter().find(|condition| condition.type_ == "Ready"));
        metrics.object(kind, ready.map_or("Unknown", |ready| ready.status.as_str()));
    }
}
