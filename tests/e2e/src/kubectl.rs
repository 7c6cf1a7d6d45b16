//! kubectl, as a user calls it.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::process;

/// How often something is looked at that is waited for.
const LOOKS: Duration = Duration::from_millis(250);

fn command(words: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.arg("--request-timeout=20s").args(words);
    command
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
    feed(&["apply", "--namespace", namespace], documents)
}

/// `kubectl create` of one object, which is given back as it is then.
pub(crate) fn create(namespace: &str, document: &Value) -> Result<Value> {
    let words = ["create", "--namespace", namespace, "--output=json", "-f", "-"];
    let told = process::feed(&mut command(&words), &document.to_string())?;
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
    let told = run(&[&["get", "--output=json"], words].concat())?;
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
