//! Which kind of fault an answer with an error is.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::body::Told;
use super::wait;
use super::{Fault, FaultKind};

/// A pause that is longer is no matter of retries.
const MAX_WAIT: Duration = Duration::from_secs(10 * 60);

/// The fault of a response with a status that is no success.
pub(crate) fn of_response(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Fault {
    let mut told = Told::read(body);
    told.wait = wait::of_headers(headers, now).or(told.wait);
    if status.is_redirection() {
        let to = headers.get("location").and_then(|place| place.to_str().ok()).unwrap_or("elsewhere");
        told.message = format!("it redirects to {to}, and prompts follow no redirect: correct baseUrl");
    }
    judge(status.as_u16(), told)
}

/// The fault that an event in a stream tells, after a response that began well; none if it tells none.
pub(crate) fn of_stream(event: &Value) -> Option<Fault> {
    event.get("error").filter(|error| !error.is_null())?;
    let told = Told::of(event);
    let status = told.status.filter(|code| (400..600).contains(code)).unwrap_or_else(|| status_of(&told));
    Some(judge(status, told))
}

/// The status that an error would have had as a response of its own.
fn status_of(told: &Told) -> u16 {
    for (parts, status) in [
        (&["overloaded"][..], 529),
        (&["rate_limit", "resource_exhausted", "insufficient_quota"], 429),
        (&["authentication"], 401),
        (&["permission"], 403),
        (&["billing"], 402),
        (&["not_found"], 404),
        (&["invalid_request", "invalid_argument", "content_filter"], 400),
    ] {
        if told.has_code(parts) {
            return status;
        }
    }
    500
}

fn judge(status: u16, told: Told) -> Fault {
    let kind = kind(status, &told);
    let code = told.codes.first().filter(|code| !told.message.contains(code.as_str()));
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    let colon = if told.message.is_empty() { "" } else { ": " };
    let detail = format!("{status}{code}{colon}{}", told.message);
    Fault { wait: told.wait, ..Fault::new(kind, detail) }
}

fn kind(status: u16, told: &Told) -> FaultKind {
    let is_spent = told.has_code(&["insufficient_quota", "billing", "insufficient_balance", "payment"])
        || told.says(&["credit balance is too low", "insufficient balance"]);
    let is_day = told.has_code(&["perday", "per_day"]) || told.wait.is_some_and(|wait| wait > MAX_WAIT);
    let is_unknown = told.has_code(&["model_not_found", "invalid_model", "model_not_available"]);
    match status {
        401 => FaultKind::Credential,
        402 => FaultKind::Quota,
        403 if is_spent => FaultKind::Quota,
        403 if is_unknown => FaultKind::UnknownModel,
        403 => FaultKind::Forbidden,
        404 | 410 => FaultKind::UnknownModel,
        429 if is_day => FaultKind::Allowance,
        429 if is_spent => FaultKind::Quota,
        429 => FaultKind::RateLimited,
        408 | 409 | 425 => FaultKind::Server,
        400..=499 if told.has_code(&["api_key_invalid", "invalid_api_key"]) => FaultKind::Credential,
        400..=499 if is_unknown => FaultKind::UnknownModel,
        400..=499 if is_spent => FaultKind::Quota,
        400..=499 if told.has_code(&["content_filter", "content_policy"]) => FaultKind::Filtered,
        500.. if is_day => FaultKind::Allowance,
        500.. => FaultKind::Server,
        _ => FaultKind::Invalid,
    }
}
