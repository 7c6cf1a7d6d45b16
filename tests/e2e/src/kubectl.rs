//! kubectl, as a user calls it.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::objects::text;
use crate::process;

/// How often something is looked at that is waited for.
const LOOKS: Duration = Duration::from_millis(250);
/// How long an API server may have no time.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is said of one that had none, but may have done what was asked of it.
const BUSY: [&str; 6] = [
    "(ServiceUnavailable)",
    "(Timeout)",
    "(TooManyRequests)",
    "TLS handshake timeout",
    "context deadline exceeded",
    "etcdserver: ",
];

fn command(words: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.arg("--request-timeout=90s").args(words);
    command
}

/// What is done, and done again while the API server has no time: it may have been done then, which makes no difference.
fn again<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(error) if begun.elapsed() < PATIENCE && is_busy(&format!("{error:#}")) => sleep(LOOKS),
            ended => return ended,
        }
    }
}

fn is_busy(why: &str) -> bool {
    BUSY.iter().any(|said| why.contains(said))
}

/// What it prints.
pub(crate) fn run(words: &[&str]) -> Result<String> {
    process::capture(&mut command(words))
}

/// What it prints that reads these documents by `-f -`.
pub(crate) fn feed(words: &[&str], documents: &[Value]) -> Result<String> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
    process::feed(command(words).args(["-f", "-"]), &list.to_string())
}

/// `kubectl apply` in a namespace.
pub(crate) fn apply(namespace: &str, documents: &[Value]) -> Result<String> {
    again(|| feed(&["apply", "--namespace", namespace], documents))
}

/// `kubectl create` of one object, which is given back as it is then.
pub(crate) fn create(namespace: &str, document: &Value) -> Result<Value> {
    let words = ["create", "--namespace", namespace, "--output=json", "-f", "-"];
    let text = document.to_string();
    let told = match process::feed(&mut command(&words), &text) {
        // It may be there by now.
        Err(error) if is_busy(&format!("{error:#}")) => again(|| {
            process::feed(&mut command(&words), &text).or_else(|error| there(namespace, document, error))
        }),
        told => told,
    };
    serde_json::from_str(&told?).context("kubectl printed no JSON")
}

/// What `kubectl get` prints of an object that is said to exist already.
fn there(namespace: &str, document: &Value, error: anyhow::Error) -> Result<String> {
    if !format!("{error:#}").contains("(AlreadyExists)") {
        return Err(error);
    }
    let (kind, name) = (text(document, "/kind"), text(document, "/metadata/name"));
    run(&["get", "--namespace", namespace, "--output=json", kind, name])
}

/// The object of a manifest as it would be created in a namespace.
pub(crate) fn read(namespace: &str, file: &str) -> Result<Value> {
    let told =
        run(&["create", "--dry-run=client", "--namespace", namespace, "--output=json", "--filename", file])?;
    serde_json::from_str(&told).context("kubectl printed no JSON")
}

/// An object as it is, if it is there, with who has written which field.
pub(crate) fn get(namespace: &str, kind: &str, name: &str) -> Result<Option<Value>> {
    let words = ["get", "--namespace", namespace, kind, name, "--ignore-not-found", "--output=json"];
    let told = run(&[words.as_slice(), &["--show-managed-fields"]].concat())?;
    if told.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&told).map(Some).context("kubectl printed no JSON")
}

/// What `kubectl get` with these words lists.
pub(crate) fn list(words: &[&str]) -> Result<Vec<Value>> {
    let told = again(|| run(&[&["get", "--output=json"], words].concat()))?;
    let mut list: Value = serde_json::from_str(&told).context("kubectl printed no JSON")?;
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        Some(_) | None => bail!("kubectl printed no list"),
    }
}

/// Waits for what `look` finds. While it fails, it is tried again: an API server may be away.
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let why = match look() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if begun.elapsed() > patience {
            let seconds = patience.as_secs();
            return Err(match why {
                Some(error) => error.context(format!("not after {seconds} s: {what}")),
                None => anyhow::anyhow!("not after {seconds} s: {what}"),
            });
        }
        sleep(LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_not_tried_again() {
        for (why, expected) in [
            (
                "Error from server (Timeout): the server was unable to return a response in the time allotted",
                true,
            ),
            ("Error from server: etcdserver: request timed out", true),
            ("Error from server (Forbidden): graphruns is forbidden", false),
            ("The AgentGraph \"a\" is invalid: spec.limits.duration: Invalid value", false),
        ] {
            assert_eq!(is_busy(why), expected, "{why}");
        }
    }
}
