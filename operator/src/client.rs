//! The way to the API server, on which requests are counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower_layer::Layer;
use tower_service::Service;

use crate::metrics::Metrics;

/// The API server of the cluster that the process is in, or that `KUBECONFIG` names.
///
/// # Errors
/// Nothing says where it is.
pub(crate) async fn client(metrics: Arc<Metrics>) -> Result<Client> {
    let config = Config::infer().await.context("no API server is known: set KUBECONFIG, or run in a pod")?;
    let builder = ClientBuilder::try_from(config).context("the way to the API server is not usable")?;
    Ok(builder.with_layer(&Counting(metrics)).build())
}

/// Counts requests.
#[derive(Clone)]
struct Counting(Arc<Metrics>);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: Arc::clone(&self.0) }
    }
}

/// A service whose requests are counted.
struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

type Request = axum::http::Request<Body>;
type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<S, B> Service<Request> for Counted<S>
where
    S: Service<Request, Response = axum::http::Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answer<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let verb = verb(&request);
        let answer = self.inner.call(request);
        let metrics = Arc::clone(&self.metrics);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map(|answer| answer.status().as_str().to_owned());
            metrics.called(verb, &code.unwrap_or_else(|_| "none".to_owned()));
            answer
        })
    }
}

/// What the request asks for, as rules of access name it.
fn verb(request: &Request) -> &'static str {
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    match request.method().as_str() {
        "GET" if is_watch => "watch",
        "GET" => "get",
        "POST" => "create",
        "PATCH" => "patch",
        "PUT" => "update",
        "DELETE" => "delete",
        _ => "other",
    }
}
