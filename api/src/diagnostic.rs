//! One mistake in a file, and what would be right.

use std::fmt;

use superstep_graph::Severity;

use crate::source::Place;

/// One thing that is wrong or doubtful in the files of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where; none if it concerns no text, for example a file that cannot be read.
    pub place: Option<Place>,
    /// Whether nothing can run because of it.
    pub severity: Severity,
    /// What is wrong, naming the object.
    pub message: String,
    /// What would be right, where that is known.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A mistake at `place`.
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self { place: Some(place), severity: Severity::Error, message: message.into(), hint: None }
    }

    /// A mistake that lies in no text.
    pub fn error_without_place(message: impl Into<String>) -> Self {
        Self { place: None, severity: Severity::Error, message: message.into(), hint: None }
    }

    /// Something doubtful at `place`.
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    /// The same with advice, if there is any.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Whether nothing can run because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// The known name nearest to `unknown`, if one is near; letters differ less by case than by kind.
pub(crate) fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = unknown.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase()), name))
        .min()
        .filter(|(distance, name)| *distance <= (name.len().max(unknown.len()) / 3).max(1))
        .map(|(_, name)| name)
}

/// `did you mean …?` for the name nearest to `unknown`.
pub(crate) fn did_you_mean<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(unknown, known).map(|name| format!("did you mean {name:?}?"))
}
