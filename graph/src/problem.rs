//! What is wrong with a document, where, and what would be right.

use std::fmt;

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A member of an object.
    Field(String),
    /// An item of a list, from 0.
    Index(usize),
}

/// The place of a value in a document, for example `spec.vertices[2].join.of[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(pub Vec<Segment>);

impl FieldPath {
    /// The path one member deeper.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(Segment::Field(name.to_owned()));
        Self(segments)
    }

    /// The path one list item deeper.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut segments = self.0.clone();
        segments.push(Segment::Index(index));
        Self(segments)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if position == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The graph does not run.
    Error,
    /// The graph runs, but hardly as meant.
    Warning,
}

/// A place inside a text of a document, counted in lines and characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Within {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Something wrong at one place of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, from the root of the graph's `spec`.
    pub path: FieldPath,
    /// Where in the text at `path`, if a part of that text is meant.
    pub within: Option<Within>,
    /// Whether it stops the graph from running.
    pub severity: Severity,
    /// What is wrong, naming the object.
    pub message: String,
    /// What would be right, where that is known.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem that stops the graph from running.
    pub fn error(path: FieldPath, message: impl Into<String>) -> Self {
        Self { path, within: None, severity: Severity::Error, message: message.into(), hint: None }
    }

    /// A problem that does not.
    pub fn warning(path: FieldPath, message: impl Into<String>) -> Self {
        Self { path, within: None, severity: Severity::Warning, message: message.into(), hint: None }
    }

    /// The same problem, at this place of the text at its path.
    #[must_use]
    pub fn within(mut self, within: Within) -> Self {
        self.within = Some(within);
        self
    }

    /// What is wrong, with the place inside the text where there is one.
    pub fn text(&self) -> String {
        match self.within {
            Some(Within { line, column }) => format!("line {line}, column {column}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem, with the known name nearest to the unknown one as advice, if one is near.
    #[must_use]
    pub fn nearest<'a>(self, unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let best = known
            .into_iter()
            .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
            .min()
            .filter(|(distance, name)| *distance <= (name.len().max(unknown.len()) / 3).max(1));
        match best {
            Some((_, name)) => self.hint(format!("did you mean {name:?}?")),
            None => self,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.0.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.text())?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// All that is wrong with a graph that does not run; at least one is an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Problems(pub Vec<Problem>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_it_is_written() {
        let path = FieldPath::default().field("vertices").index(2).field("join").field("of").index(0);
        assert_eq!(path.to_string(), "vertices[2].join.of[0]");
    }

    #[test]
    fn a_problem_names_its_path_and_the_place_in_its_text_where_it_has_them() {
        let path = FieldPath::default().field("edges").index(0).field("when");
        let problem = Problem::error(path, "no root").within(Within { line: 2, column: 4 });
        assert_eq!(problem.hint("a").to_string(), "edges[0].when: line 2, column 4: no root (a)");
        assert_eq!(Problem::error(FieldPath::default(), "no object").to_string(), "no object");
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_near() {
        let problem = |unknown: &str| {
            Problem::error(FieldPath::default(), "x").nearest(unknown, ["judge", "draft"]).hint
        };
        assert_eq!(problem("juge").as_deref(), Some("did you mean \"judge\"?"));
        assert_eq!(problem("summarise"), None);
    }
}
