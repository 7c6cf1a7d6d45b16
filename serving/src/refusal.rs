//! Why a request is not answered, in OpenAI's form.

use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use superstep_engine::{Failure, FailureClass};

use crate::answer::json;

/// A request that is not answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// OpenAI's `type`.
    kind: &'static str,
    code: Option<&'static str>,
    /// The field that is wrong.
    param: Option<String>,
    message: String,
    /// When it may be tried again.
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, code: None, param: None, message: message.into(), retry_after: None }
    }

    /// The request cannot be answered as it is.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A field of the request is wrong.
    pub(crate) fn of_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(field.into()), ..Self::invalid(message) }
    }

    /// A field of the request means something that this server cannot do.
    pub(crate) fn unsupported(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Some("unsupported_parameter"), ..Self::of_field(field, message) }
    }

    /// A field that nobody knows.
    pub(crate) fn unknown(field: String) -> Self {
        let message = format!("this server does not know the field {field:?}: leave it out");
        Self { code: Some("unknown_parameter"), ..Self::of_field(field, message) }
    }

    /// The body is larger than is read.
    pub(crate) fn too_large(most: usize) -> Self {
        let message = format!("a request has at most {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    }

    /// The body did not come in.
    pub(crate) fn too_slow() -> Self {
        let message = "the request took too long to come in";
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", message)
    }

    /// There is no such path.
    pub(crate) fn no_path(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    /// The path has another method.
    pub(crate) fn no_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "the path has another method")
    }

    /// The model is not the one that is served.
    pub(crate) fn no_model(asked: &str, served: &str) -> Self {
        let message = format!("the model {asked:?} does not exist here: this server has {served:?}");
        let param = Some("model".to_owned());
        Self { code: Some("model_not_found"), param, ..Self::no_path(message) }
    }

    /// The model that is served has no such adapter.
    pub(crate) fn no_adapter(asked: &str, served: &str) -> Self {
        let message = format!("the model {served:?} has no adapter {asked:?} here");
        let param = Some("model".to_owned());
        Self { code: Some("model_not_found"), param, ..Self::no_path(message) }
    }

    /// The model does not do what is asked.
    pub(crate) fn other_model(served: &str, what: &str) -> Self {
        Self::of_field("model", format!("the model {served:?} does not {what}"))
    }

    /// The queue is full.
    pub(crate) fn busy(retry_after: Duration) -> Self {
        let message = "the server has as many requests waiting as it takes";
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        Self { code: Some("queue_full"), retry_after: Some(retry_after), ..refusal }
    }

    /// The server cannot answer, and may be able to later.
    pub(crate) fn unavailable(message: impl Into<String>, retry_after: Duration) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        Self { retry_after: Some(retry_after), ..refusal }
    }

    /// What the model said.
    pub(crate) fn failed(failure: &Failure) -> Self {
        match failure.class {
            FailureClass::Transient | FailureClass::Timeout => {
                Self::unavailable(&failure.message, failure.retry_after.unwrap_or(Duration::from_secs(1)))
            }
            FailureClass::Permanent
            | FailureClass::Incomplete
            | FailureClass::Frame
            | FailureClass::Limit => Self::invalid(&failure.message),
        }
    }

    /// The body of the answer; in a stream it is an event.
    pub(crate) fn body(&self) -> Value {
        serde_json::json!({"error": {
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self.body());
        if let Some(pause) = self.retry_after {
            // Whole seconds, and never none: a client that came back at once would only be refused again.
            let seconds = pause.as_secs_f64().ceil().max(1.0);
            let value = HeaderValue::from_str(&format!("{seconds:.0}")).expect("digits are a header");
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        response
    }
}
