//! What providers say about errors.

use std::time::Duration;

use serde_json::Value;

use super::wait;

/// An error as a provider tells it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// In words.
    pub(super) message: String,
    /// Its codes and types, in lower case, the most specific first.
    pub(super) codes: Vec<String>,
    /// A code that is a number: most often a status.
    pub(super) status: Option<u16>,
    /// How long the provider wants to be left alone.
    pub(super) wait: Option<Duration>,
}

impl Told {
    /// Reads the body of an error, or an event of a stream that is one. A body of another form is its own
    /// message.
    pub(super) fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        match serde_json::from_str::<Value>(&text) {
            Ok(Value::Array(items)) => items.first().map(Self::of).unwrap_or_default(),
            Ok(value) => Self::of(&value),
            Err(_) => Self { message: first_line(&text), ..Self::default() },
        }
    }

    /// Reads the error in `value`, which is the whole body.
    pub(super) fn of(value: &Value) -> Self {
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        if let Some(message) = error.as_str() {
            return Self { message: message.to_owned(), ..Self::default() };
        }
        let message = ["message", "detail"].iter().find_map(|name| error.get(*name));
        let message = match message {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => error.to_string(),
        };
        let mut codes: Vec<String> = ["code", "type", "status"]
            .iter()
            .filter_map(|name| error.get(*name)?.as_str())
            .map(str::to_ascii_lowercase)
            .collect();
        let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
        let mut pause = wait::of_message(&message);
        for detail in details {
            let delay = detail.get("retryDelay").and_then(Value::as_str);
            pause = delay.and_then(wait::of_text).or(pause);
            codes.extend(detail.get("reason").and_then(Value::as_str).map(str::to_ascii_lowercase));
            let violations = detail.get("violations").and_then(Value::as_array).into_iter().flatten();
            let quotas = violations.filter_map(|violation| violation.get("quotaId")?.as_str());
            codes.extend(quotas.map(str::to_ascii_lowercase));
        }
        let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        Self { message, codes, status, wait: pause }
    }

    /// Whether one of its codes has one of `parts` in it.
    pub(super) fn has_code(&self, parts: &[&str]) -> bool {
        self.codes.iter().any(|code| parts.iter().any(|part| code.contains(part)))
    }

    /// Whether its message has one of `parts` in it, in any case.
    pub(super) fn says(&self, parts: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        parts.iter().any(|part| message.contains(part))
    }
}

fn first_line(text: &str) -> String {
    let text = text.trim();
    if text.starts_with('<') {
        return "a page of HTML".to_owned();
    }
    text.lines().next().unwrap_or_default().to_owned()
}
