//! What a run is given.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use superstep_api::{Diagnostic, Source, diagnose, read_json, read_yaml};
use superstep_graph::Problem;

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// A file or stdin cannot be read.
    #[error("cannot read the input {name}: {error}")]
    Unreadable {
        /// The file.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// A file or stdin is not what it should be.
    #[error("cannot read the input: {}", .mistakes.iter().map(said).collect::<Vec<_>>().join("; "))]
    Malformed {
        /// What is wrong with it.
        mistakes: Vec<Diagnostic>,
    },
    /// Stdin is to be read as a file and as the input.
    #[error("stdin is read once: take it for -f or for --input, not for both")]
    StdinTwice,
    /// The argument is not JSON.
    #[error("the input is no JSON ({error}): write {{\"text\": \"…\"}}, or @FILE for a file, or - for stdin")]
    Argument {
        /// Why not.
        error: serde_json::Error,
    },
}

fn said(mistake: &Diagnostic) -> String {
    let place = mistake.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    format!("{place}{}", mistake.message)
}

/// A value that was given.
#[derive(Debug)]
pub(crate) struct Given {
    /// The value.
    pub(crate) value: Value,
    /// The text in which it is written, if that is a file of JSON or YAML.
    pub(crate) source: Option<Arc<Source>>,
}

impl Given {
    fn read(
        source: Source,
        reader: fn(&Arc<Source>) -> Result<Value, Vec<Diagnostic>>,
    ) -> Result<Self, InputError> {
        let source = Arc::new(source);
        let value = reader(&source).map_err(|mistakes| InputError::Malformed { mistakes })?;
        Ok(Self { value, source: Some(source) })
    }

    /// The problems of the value, whose paths begin at it, where it is written. None if that is no file.
    pub(crate) fn located(&self, problems: &[Problem]) -> Option<Vec<Diagnostic>> {
        let source = self.source.as_ref()?;
        Some(problems.iter().map(|problem| diagnose(source, problem)).collect())
    }
}

impl From<Value> for Given {
    fn from(value: Value) -> Self {
        Self { value, source: None }
    }
}

/// The input that `argument` names: `@FILE` is read as JSON or YAML by its ending, any other file is
/// a text and becomes `{"text": …}`; `-` reads `stdin`, as JSON where it begins with a bracket and
/// else as a text; anything else is JSON itself.
///
/// # Errors
/// It cannot be read, or is not what it should be.
pub(crate) fn read(argument: &str, stdin: &mut dyn Read) -> Result<Given, InputError> {
    let source = |name: &str, text: String| Source { name: name.to_owned(), text, named: true };
    if argument == "-" {
        let text = io::read_to_string(stdin);
        let text = text.map_err(|error| InputError::Unreadable { name: "<stdin>".to_owned(), error })?;
        return match text.trim_start().chars().next() {
            Some('{' | '[') => Given::read(source("<stdin>", text), read_json),
            _ => Ok(json!({ "text": text }).into()),
        };
    }
    let Some(name) = argument.strip_prefix('@') else {
        let value: Result<Value, _> = serde_json::from_str(argument);
        return value.map(Given::from).map_err(|error| InputError::Argument { error });
    };
    let text = std::fs::read_to_string(name)
        .map_err(|error| InputError::Unreadable { name: name.to_owned(), error })?;
    match Path::new(name).extension().and_then(std::ffi::OsStr::to_str) {
        Some("json") => Given::read(source(name, text), read_json),
        Some("yaml" | "yml") => Given::read(source(name, text), read_yaml),
        _ => Ok(json!({ "text": text }).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read_by_their_form() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            format!("@{}", path.display())
        };
        for (argument, stdin, expected) in [
            (file("a.json", "{\"a\": 1}"), "", json!({"a": 1})),
            (file("a.yaml", "a: yes\nb: [1]"), "", json!({"a": "yes", "b": [1]})),
            (file("a.txt", "Hello\n"), "", json!({"text": "Hello\n"})),
            ("{\"a\": null}".to_owned(), "", json!({"a": null})),
            ("-".to_owned(), " [1]", json!([1])),
            ("-".to_owned(), "Hello", json!({"text": "Hello"})),
        ] {
            assert_eq!(read(&argument, &mut stdin.as_bytes()).unwrap().value, expected, "{argument}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (argument, expected) in
            [("@none.txt", "none.txt"), ("Hello", "is no JSON"), ("-", "<stdin>:1:1: this is no JSON")]
        {
            let error = read(argument, &mut "{".as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
