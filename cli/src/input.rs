//! What a run is given.

use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};

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
    #[error("the input {name} is no {form}: {why}")]
    Malformed {
        /// The file.
        name: String,
        /// What it should be.
        form: &'static str,
        /// Why it is not.
        why: String,
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

/// The input that `argument` names: `@FILE` is read as JSON or YAML by its ending, any other file is
/// a text and becomes `{"text": …}`; `-` reads `stdin`, as JSON where it begins with a bracket and
/// else as a text; anything else is JSON itself.
///
/// # Errors
/// It cannot be read, or is not what it should be.
pub(crate) fn read(argument: &str, stdin: &mut dyn Read) -> Result<Value, InputError> {
    if argument == "-" {
        let text = io::read_to_string(stdin);
        let text = text.map_err(|error| InputError::Unreadable { name: "<stdin>".to_owned(), error })?;
        return match text.trim_start().chars().next() {
            Some('{' | '[') => json_of("<stdin>", &text),
            _ => Ok(json!({ "text": text })),
        };
    }
    let Some(name) = argument.strip_prefix('@') else {
        return serde_json::from_str(argument).map_err(|error| InputError::Argument { error });
    };
    let text = std::fs::read_to_string(name)
        .map_err(|error| InputError::Unreadable { name: name.to_owned(), error })?;
    match Path::new(name).extension().and_then(std::ffi::OsStr::to_str) {
        Some("json") => json_of(name, &text),
        Some("yaml" | "yml") => yaml_of(name, &text),
        _ => Ok(json!({ "text": text })),
    }
}

fn json_of(name: &str, text: &str) -> Result<Value, InputError> {
    let malformed = |error: serde_json::Error| InputError::Malformed {
        name: name.to_owned(),
        form: "JSON",
        why: error.to_string(),
    };
    serde_json::from_str(text).map_err(malformed)
}

fn yaml_of(name: &str, text: &str) -> Result<Value, InputError> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let malformed = |error: serde_saphyr::Error| InputError::Malformed {
        name: name.to_owned(),
        form: "YAML",
        why: error.to_string(),
    };
    serde_saphyr::from_str_with_options(text, options).map_err(malformed)
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
            assert_eq!(read(&argument, &mut stdin.as_bytes()).unwrap(), expected, "{argument}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (argument, expected) in
            [("@none.txt", "none.txt"), ("Hello", "is no JSON"), ("-", "<stdin> is no JSON")]
        {
            let error = read(argument, &mut "{".as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
