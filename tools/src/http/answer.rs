//! What a server answers.

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use superstep_engine::Payload;

/// The most bytes of the body of a refusal that its failure shows.
const SHOWN: u64 = 512;

/// Why the body of an answer was not read.
pub(super) enum BodyError {
    TooMuch,
    Lost(reqwest::Error),
}

/// What a status says of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// It was not taken up, and may be at another time.
    NotNow,
    /// It broke down, perhaps after it took effect.
    BrokeDown,
    Refused,
}

impl Verdict {
    pub(crate) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Done,
            408 | 425 | 429 | 503 => Self::NotNow,
            500..=599 => Self::BrokeDown,
            _ => Self::Refused,
        }
    }
}

/// Reads the body, which may have `limit` bytes, without ever keeping more.
pub(super) async fn read(mut response: Response, limit: u64) -> Result<Vec<u8>, BodyError> {
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(BodyError::TooMuch);
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(BodyError::Lost)? {
        body.extend_from_slice(&piece);
        if body.len() as u64 > limit {
            return Err(BodyError::TooMuch);
        }
    }
    Ok(body)
}

/// The beginning of a body, for people; empty if it cannot be read.
pub(super) async fn beginning(mut response: Response) -> String {
    let mut body = Vec::new();
    while (body.len() as u64) < SHOWN {
        match response.chunk().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, "the body of a refusal cannot be read");
                break;
            }
        }
    }
    body.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    String::from_utf8_lossy(&body).trim().to_owned()
}

/// The body as a payload: JSON if it says so, or if it says nothing and is JSON; else `{text: …}`.
pub(super) fn payload(content_type: Option<&str>, text: &str) -> Result<Payload, String> {
    let as_text = || Ok(json!({ "text": text }).into());
    if text.trim().is_empty() {
        return as_text();
    }
    let read = |text| serde_json::from_str::<Value>(text);
    match content_type {
        Some(kind) if is_json(kind) => read(text)
            .map(Payload::from)
            .map_err(|error| format!("it says that it is {kind}, but is no JSON: {error}")),
        Some(_) => as_text(),
        None => read(text).map(Payload::from).or_else(|_| as_text()),
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// The type of an answer's body.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    Some(String::from_utf8_lossy(headers.get(CONTENT_TYPE)?.as_bytes()).into_owned())
}

/// How long the server asks to be left alone, as it wrote it: seconds or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<&str> {
    headers.get(RETRY_AFTER)?.to_str().ok().filter(|text| text.len() <= 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_become_payloads() {
        for (kind, body, expected) in [
            (Some("application/json; charset=utf-8"), "{\"a\":1}", Some(json!({"a": 1}))),
            (Some("application/problem+JSON"), "[1]", Some(json!([1]))),
            (Some("application/json"), "<html>", None),
            (Some("application/json"), " ", Some(json!({"text": " "}))),
            (Some("text/plain"), "42", Some(json!({"text": "42"}))),
            (None, "42", Some(json!(42))),
            (None, "hello", Some(json!({"text": "hello"}))),
        ] {
            assert_eq!(
                payload(kind, body).ok().map(|payload| payload.value().clone()),
                expected,
                "{kind:?} {body}"
            );
        }
    }

    #[test]
    fn statuses_are_judged() {
        for (status, verdict) in [
            (204, Verdict::Done),
            (304, Verdict::Refused),
            (404, Verdict::Refused),
            (429, Verdict::NotNow),
            (408, Verdict::NotNow),
            (500, Verdict::BrokeDown),
            (503, Verdict::NotNow),
            (504, Verdict::BrokeDown),
        ] {
            assert_eq!(Verdict::of(StatusCode::from_u16(status).unwrap()), verdict, "{status}");
        }
    }
}
