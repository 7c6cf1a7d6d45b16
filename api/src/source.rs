//! Texts that were read, and places in them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text with the name under which it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as it was given, or a word in angle brackets.
    pub name: String,
    /// The text.
    pub text: String,
    /// Whether a user named this very file. In a folder, what is no resource is passed over.
    pub named: bool,
}

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A part of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The source.
    pub source: Arc<Source>,
    /// The bytes, at boundaries of characters.
    pub span: Range<usize>,
}

impl Place {
    /// The part of `source` at `span`, drawn in to the text and to boundaries of characters.
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let text = &source.text;
        let end = text.floor_char_boundary(span.end.min(text.len()));
        let start = text.floor_char_boundary(span.start.min(end));
        Self { source: Arc::clone(source), span: start..end }
    }

    /// Where it begins.
    pub fn position(&self) -> Position {
        let before = &self.source.text[..self.span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_spans_stay_inside_the_text() {
        let source =
            Arc::new(Source { name: "a.yaml".to_owned(), text: "é: 1\nü: é2".to_owned(), named: true });
        let at = |span: Range<usize>| Place::new(&source, span).to_string();
        assert_eq!(at(0..1), "a.yaml:1:1");
        assert_eq!(at(6..8), "a.yaml:2:1");
        assert_eq!(at(12..13), "a.yaml:2:5");
        assert_eq!(at(7..7), "a.yaml:2:1", "inside a character");
        assert_eq!(at(90..99), "a.yaml:2:6", "behind the end");
    }
}
