//! Names, payloads, failures, usage.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use superstep_engine::{
    ActivationId, Failure, FailureClass, FrameId, LimitKind, Payload, QuestionId, RunStatus, Totals, Usage,
};
use superstep_proto::v1;

use crate::{WireError, required};

/// A value as bytes that only this version reads.
pub(crate) fn packed<T: Serialize>(value: &T) -> Bytes {
    // Everything that is packed stands in records too, and is checked where it is made.
    postcard::to_stdvec(value).map(Bytes::from).expect("what a record may hold can be encoded")
}

pub(crate) fn unpacked<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, WireError> {
    postcard::from_bytes(bytes).map_err(|source| WireError::Bytes { what, source })
}

pub(crate) fn json<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).map(Bytes::from).expect("documents and payloads are JSON")
}

pub(crate) fn json_of<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, WireError> {
    serde_json::from_slice(bytes).map_err(|source| WireError::Json { what, source })
}

/// A payload, whole.
#[must_use]
pub fn payload(payload: &Payload) -> v1::Payload {
    v1::Payload { form: Some(crate::messages::json(payload)) }
}

/// # Errors
/// It is not there, no JSON, or kept elsewhere.
pub fn payload_of(payload: Option<v1::Payload>) -> Result<Payload, WireError> {
    match required(payload.and_then(|payload| payload.form), "a payload")? {
        v1::payload::Form::Json(text) => {
            let text = str::from_utf8(&text)
                .map_err(|_| WireError::Value { what: "a payload", value: "other than text".to_owned() })?;
            Payload::from_json(text).map_err(|source| WireError::Json { what: "a payload", source })
        }
        v1::payload::Form::Blob(_) => Err(WireError::NotFetched),
    }
}

pub(crate) fn optional(payload: Option<v1::Payload>) -> Result<Option<Payload>, WireError> {
    payload.map(|some| payload_of(Some(some))).transpose()
}

/// The name of an activation.
#[must_use]
pub fn activation(id: &ActivationId) -> v1::ActivationId {
    v1::ActivationId {
        frame: id.frame.0,
        vertex: id.vertex.as_str().to_owned(),
        incarnation: id.incarnation,
        superstep: id.superstep,
        element: id.element,
    }
}

/// # Errors
/// It is not there.
pub fn activation_of(id: Option<v1::ActivationId>) -> Result<ActivationId, WireError> {
    let id = required(id, "an activation")?;
    Ok(ActivationId {
        frame: FrameId(id.frame),
        vertex: id.vertex.as_str().into(),
        incarnation: id.incarnation,
        superstep: id.superstep,
        element: id.element,
    })
}

/// The name of a question.
#[must_use]
pub fn question(id: &QuestionId) -> v1::QuestionId {
    v1::QuestionId { activation: Some(activation(&id.activation)), number: id.number }
}

/// # Errors
/// It is not there, or names no activation.
pub fn question_of(id: Option<v1::QuestionId>) -> Result<QuestionId, WireError> {
    let id = required(id, "a question")?;
    Ok(QuestionId { activation: activation_of(id.activation)?, number: id.number })
}

/// Why something failed. How long whoever failed asks to be left alone stays with the partition, which knows.
#[must_use]
pub fn failure(failure: &Failure) -> v1::Failure {
    let class = match failure.class {
        FailureClass::Transient => v1::FailureClass::Transient,
        FailureClass::Timeout => v1::FailureClass::Timeout,
        FailureClass::Permanent => v1::FailureClass::Permanent,
        FailureClass::Incomplete => v1::FailureClass::Incomplete,
        FailureClass::Frame => v1::FailureClass::Frame,
        FailureClass::Limit => v1::FailureClass::Limit,
    };
    v1::Failure { class: class.into(), message: failure.message.clone() }
}

/// # Errors
/// Its class is none.
pub fn failure_of(failure: v1::Failure) -> Result<Failure, WireError> {
    let class = match failure.class() {
        v1::FailureClass::Transient => FailureClass::Transient,
        v1::FailureClass::Timeout => FailureClass::Timeout,
        v1::FailureClass::Permanent => FailureClass::Permanent,
        v1::FailureClass::Incomplete => FailureClass::Incomplete,
        v1::FailureClass::Frame => FailureClass::Frame,
        v1::FailureClass::Limit => FailureClass::Limit,
        v1::FailureClass::Unspecified => {
            return Err(WireError::Value {
                what: "the class of a failure",
                value: failure.class.to_string(),
            });
        }
    };
    Ok(Failure::new(class, failure.message))
}

/// What was used.
#[must_use]
pub fn usage(usage: Usage) -> v1::Usage {
    v1::Usage {
        calls: usage.calls,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        cost: usage.cost,
    }
}

/// What was used; nothing if it is not there.
#[must_use]
pub fn usage_of(usage: Option<v1::Usage>) -> Usage {
    usage.map_or_else(Usage::default, |usage| Usage {
        calls: usage.calls,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        cost: usage.cost,
    })
}

/// How a run ended.
#[must_use]
pub fn status(status: &RunStatus) -> v1::RunStatus {
    use v1::run_status::{Cancelled, Failed, Status, Succeeded};
    let status = match status {
        RunStatus::Succeeded => Status::Succeeded(Succeeded {}),
        RunStatus::Failed { activation: id, failure: why } => {
            Status::Failed(Failed { activation: Some(activation(id)), failure: Some(failure(why)) })
        }
        RunStatus::LimitReached(limit) => Status::LimitReached(limit.field().to_owned()),
        RunStatus::Cancelled => Status::Cancelled(Cancelled {}),
    };
    v1::RunStatus { status: Some(status) }
}

/// # Errors
/// It is not there, or says nothing.
pub fn status_of(status: Option<v1::RunStatus>) -> Result<RunStatus, WireError> {
    use v1::run_status::Status;
    Ok(match required(status.and_then(|status| status.status), "a status")? {
        Status::Succeeded(_) => RunStatus::Succeeded,
        Status::Failed(failed) => RunStatus::Failed {
            activation: activation_of(failed.activation)?,
            failure: failure_of(required(failed.failure, "why a run failed")?)?,
        },
        Status::LimitReached(field) => RunStatus::LimitReached(limit_of(&field)?),
        Status::Cancelled(_) => RunStatus::Cancelled,
    })
}

pub(crate) fn limit_of(field: &str) -> Result<LimitKind, WireError> {
    LimitKind::ALL
        .into_iter()
        .find(|limit| limit.field() == field)
        .ok_or_else(|| WireError::Value { what: "a limit", value: field.to_owned() })
}

/// What a run used in all.
#[must_use]
pub fn totals(totals: &Totals) -> v1::Totals {
    v1::Totals {
        supersteps: totals.supersteps,
        activations: totals.activations,
        mutations: totals.mutations,
        usage: Some(usage(totals.usage)),
        elapsed_micros: totals.elapsed,
    }
}

/// What a run used in all; nothing if it is not there.
#[must_use]
pub fn totals_of(totals: Option<v1::Totals>) -> Totals {
    totals.map_or_else(Totals::default, |totals| Totals {
        supersteps: totals.supersteps,
        activations: totals.activations,
        mutations: totals.mutations,
        usage: usage_of(totals.usage),
        elapsed: totals.elapsed_micros,
    })
}
