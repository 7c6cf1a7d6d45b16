//! The paths of the server.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use superstep_runtime::Model;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::hall::{Hall, UNIT};
use crate::answer::json;
use crate::refusal::Refusal;
use crate::{chat, embeddings, listing, metrics, rerank, responses};

/// The most bytes of a request.
const MOST_BODY: usize = 16 << 20;
/// The longest that a request may take to come in.
const COMING_IN: Duration = Duration::from_secs(60);

pub(super) fn routes(hall: Arc<Hall>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/completions", post(completions))
        .route("/v1/responses", post(response))
        .route("/v1/embeddings", post(vectors))
        .route("/v1/rerank", post(ranking))
        .route("/v1/models", get(models))
        .route("/v1/models/{*name}", get(model))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .with_state(hall)
}

async fn chat_completions(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let answered = async {
        let desk = hall.desk()?;
        let (headers, body, room) = read(&hall, request).await?;
        chat::chat(desk, &headers, &body, room).await
    };
    counted(&hall, answered.await)
}

async fn response(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let answered = async {
        let desk = hall.desk()?;
        let (headers, body, room) = read(&hall, request).await?;
        responses::respond(desk, &headers, &body, room).await
    };
    counted(&hall, answered.await)
}

async fn ranking(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let answered = async {
        let desk = hall.desk()?;
        // The room is given back with the answer.
        let (_, body, _room) = read(&hall, request).await?;
        rerank::rerank(desk, &body).await
    };
    counted(&hall, answered.await)
}

async fn vectors(State(hall): State<Arc<Hall>>, request: Request) -> Response {
    let answered = async {
        let desk = hall.desk()?;
        // The room is given back with the answer.
        let (headers, body, _room) = read(&hall, request).await?;
        embeddings::embeddings(desk, &headers, &body).await
    };
    counted(&hall, answered.await)
}

/// A prompt without a conversation would go past the template that the model was trained with, which only the model
/// knows: it is refused rather than answered as something else.
async fn completions(State(hall): State<Arc<Hall>>) -> Response {
    let message = "this server has no text completions: send the prompt as a message to /v1/chat/completions";
    counted(&hall, Err(Refusal::no_path(message)))
}

async fn models(State(hall): State<Arc<Hall>>) -> Response {
    counted(&hall, hall.desk().map(|desk| json(StatusCode::OK, &listing::list(desk))))
}

async fn model(State(hall): State<Arc<Hall>>, Path(name): Path<String>) -> Response {
    let found = hall.desk().and_then(|desk| listing::one(desk, &name));
    counted(&hall, found.map(|model| json(StatusCode::OK, &model)))
}

/// Whether the process is of use, or can become so.
async fn livez(State(hall): State<Arc<Hall>>) -> Response {
    told(!hall.is_dead(), "the model has died")
}

/// Whether requests are answered.
async fn readyz(State(hall): State<Arc<Hall>>) -> Response {
    told(hall.is_ready(), "the model is being loaded, has died, or takes no new requests")
}

fn told(is_well: bool, otherwise: &'static str) -> Response {
    if is_well {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, otherwise).into_response()
    }
}

async fn figures(State(hall): State<Arc<Hall>>) -> Response {
    let in_use = |model: &Arc<dyn Model>| (!model.adapters().is_empty()).then(|| model.adapters_in_use());
    let offered = hall.desk().ok().map(|desk| metrics::Use {
        model: desk.offered.name(),
        gate: &desk.gate,
        has_cache: desk.offered.is_local && desk.offered.model.is_some(),
        adapters: desk.offered.model.as_ref().and_then(in_use),
        work: desk.offered.model.as_ref().and_then(|model| model.work()),
    });
    let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
    ([(header::CONTENT_TYPE, kind)], metrics::write(&hall.counts, offered)).into_response()
}

async fn no_path(request: Request) -> Refusal {
    Refusal::no_path(format!("there is no {} {}", request.method(), request.uri().path()))
}

async fn no_method() -> Refusal {
    Refusal::no_method()
}

/// Counts how a request went.
fn counted(hall: &Hall, answered: Result<Response, Refusal>) -> Response {
    match answered {
        Ok(response) => {
            hall.counts.answered.add(1);
            response
        }
        Err(refusal) => {
            hall.counts.refused.add(1);
            tracing::debug!(status = refusal.status.as_u16(), error = %refusal.body(), "a request was refused");
            refusal.into_response()
        }
    }
}

/// Reads a body, with room for it, which is kept as long as the body.
async fn read(hall: &Hall, request: Request) -> Result<(HeaderMap, Bytes, OwnedSemaphorePermit), Refusal> {
    let (head, body) = request.into_parts();
    let length = head.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    // Who does not say how long it is may send as much as anybody.
    let length = length.unwrap_or(MOST_BODY);
    if length > MOST_BODY {
        return Err(Refusal::too_large(MOST_BODY));
    }
    let units = u32::try_from(length.div_ceil(UNIT)).expect("a body is no longer than that");
    let room = Arc::clone(&hall.room).try_acquire_many_owned(units);
    let room = room.map_err(|_| Refusal::busy(Duration::from_secs(1)))?;
    let body = timeout(COMING_IN, to_bytes(Body::new(body), MOST_BODY)).await;
    let body = body.map_err(|_| Refusal::too_slow())?;
    let body = body.map_err(|_| Refusal::too_large(MOST_BODY))?;
    Ok((head.headers, body, room))
}
