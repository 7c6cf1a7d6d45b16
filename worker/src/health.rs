//! What a worker says of itself over plain HTTP, to those who show no certificate: probes and whoever collects metrics.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::vitals::Vitals;

/// The form of `/metrics`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/livez`, `/readyz` and `/metrics`, from before the worker starts until this is dropped. Nothing of runs is told there, and
/// nothing can be asked for.
pub struct Health {
    address: SocketAddr,
    vitals: watch::Sender<Option<Vitals>>,
    serving: JoinHandle<()>,
}

/// Why a worker cannot say how it is.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for probes")]
pub struct HealthError {
    /// Where.
    address: SocketAddr,
    /// Why.
    source: io::Error,
}

impl Health {
    /// Says of a worker that has not started that it lives and is not ready.
    ///
    /// # Errors
    /// It cannot listen there.
    pub async fn listen(address: SocketAddr) -> Result<Self, HealthError> {
        let failed = |source| HealthError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (vitals, seen) = watch::channel(None);
        let router = Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(seen);
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "nobody hears any more how the worker is");
            }
        });
        Ok(Self { address, vitals, serving })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says from now on how the worker is that has these.
    pub fn show(&self, vitals: Vitals) {
        self.vitals.send_replace(Some(vitals));
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Seen = State<watch::Receiver<Option<Vitals>>>;

async fn ready(State(vitals): Seen) -> (StatusCode, String) {
    let why = match &*vitals.borrow() {
        None => Some("the worker has not started: it waits for its certificate, or for its store"),
        Some(vitals) => vitals.unready(),
    };
    match why {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(vitals): Seen) -> impl IntoResponse {
    let mut registry = Registry::with_prefix("superstep_worker");
    if let Some(vitals) = &*vitals.borrow() {
        registry.register_collector(Box::new(vitals.clone()));
    }
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => Ok(([(CONTENT_TYPE, OPEN_METRICS)], text)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}
