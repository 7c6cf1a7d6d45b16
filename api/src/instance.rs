//! Values in texts that are no resources: the input of a run, its parameters.

use std::sync::Arc;

use serde_json::Value;
use superstep_graph::Problem;

use crate::diagnostic::Diagnostic;
use crate::document::documents;
use crate::set::read_document;
use crate::source::{Place, Source};

/// Reads a text as JSON.
///
/// # Errors
/// It is none, and where it stops to be.
pub fn read_json(source: &Arc<Source>) -> Result<Value, Vec<Diagnostic>> {
    serde_json::from_str(&source.text).map_err(|error| {
        let lines: usize =
            source.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        // A column of the parser is the number of bytes that it has read of the line.
        let at = lines + error.column().saturating_sub(1);
        let whole = error.to_string();
        let why = whole.split(" at line ").next().unwrap_or(&whole);
        vec![Diagnostic::error(Place::new(source, at..at + 1), format!("this is no JSON: {why}"))]
    })
}

/// Reads a text that is one document of YAML.
///
/// # Errors
/// Every mistake in it.
pub fn read_yaml(source: &Arc<Source>) -> Result<Value, Vec<Diagnostic>> {
    read_document(source)
}

/// A problem of the value that a text holds, whose path begins at the value, at its place in the text.
pub fn diagnose(source: &Arc<Source>, problem: &Problem) -> Diagnostic {
    match documents(source, &mut Vec::new()).first() {
        Some(document) => document.diagnose(&problem.path, problem),
        None => Diagnostic {
            place: None,
            severity: problem.severity,
            message: problem.text(),
            hint: problem.hint.clone(),
        },
    }
}
