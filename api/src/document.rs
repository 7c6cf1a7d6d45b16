//! The YAML documents of a text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, Options, budget, options};
use superstep_graph::{FieldPath, Problem};

use crate::diagnostic::Diagnostic;
use crate::node::{Kind, Node, bytes};
use crate::scalar;
use crate::source::{Place, Source};

/// One document of a source, as a tree.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The text that it is part of.
    pub(crate) source: Arc<Source>,
    /// The tree, with spans in bytes of the source.
    pub(crate) root: Node,
    /// The objects in which something was made up to be able to read on.
    pub(crate) made_up: Vec<FieldPath>,
}

impl Document {
    /// The place of `span`.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        Place::new(&self.source, span)
    }

    /// The part of the document at `path`, as a document of its own.
    pub(crate) fn part(&self, path: &FieldPath) -> Option<Self> {
        let root = self.root.find(path)?.clone();
        Some(Self { source: Arc::clone(&self.source), root, made_up: Vec::new() })
    }

    /// The place of `path`, or of the part of it that the document has.
    pub(crate) fn locate(&self, path: &FieldPath) -> Place {
        self.place(self.root.locate(path))
    }

    /// Whether what is found at `path` may only follow from what was made up.
    pub(crate) fn is_doubtful(&self, path: &FieldPath) -> bool {
        self.made_up.iter().any(|object| path.0.starts_with(&object.0))
    }

    /// The problem at its place, where `path` is the way to it from the root. Where the place inside a text cannot be
    /// told, it is in the message.
    pub(crate) fn diagnose(&self, path: &FieldPath, problem: &Problem) -> Diagnostic {
        let inside = problem.within.and_then(|within| {
            let node = self.root.find(path)?;
            scalar::place(&self.source.text, node.span.start, node.text()?, within)
        });
        let (place, message) = match inside {
            Some(span) => (self.place(span), problem.message.clone()),
            None => (self.locate(path), problem.text()),
        };
        Diagnostic { place: Some(place), severity: problem.severity, message, hint: problem.hint.clone() }
    }
}

/// Every document of `source` that is well formed; what is not, or names a member twice, is
/// reported. Empty documents are left out.
pub(crate) fn documents(source: &Arc<Source>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Document> {
    let mut found = Vec::new();
    for part in parts(&source.text) {
        match serde_saphyr::from_str_with_options::<Node>(&source.text[part.clone()], policy()) {
            Ok(mut root) => {
                shift(&mut root, part.start);
                remove_repeated(source, &mut root, diagnostics);
                found.push(Document { source: Arc::clone(source), root, made_up: Vec::new() });
            }
            Err(error) => diagnostics.push(syntax(source, part, &error)),
        }
    }
    found
}

/// Strict YAML 1.2: only `true` and `false` are booleans, nothing is merged, and aliases expand to
/// no more than a bounded number of nodes. A document may have ten million nodes.
fn policy() -> Options {
    options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
        budget: budget! {
            max_events: 40_000_000,
            max_nodes: 10_000_000,
            max_total_scalar_bytes: 512 * 1024 * 1024,
        },
    }
}

/// The text of each document. A line that begins with `---` begins a document wherever it stands,
/// so that a mistake in one document does not hide those of the others.
fn parts(text: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if offset > 0 && is_marker(line, "---") {
            starts.push(offset);
        }
        offset += line.len();
    }
    starts.push(text.len());
    let has_content = |part: &Range<usize>| text[part.clone()].lines().any(|line| !is_blank(line));
    starts.windows(2).map(|pair| pair[0]..pair[1]).filter(has_content).collect()
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}');
    let rest = if is_marker(line, "---") || is_marker(line, "...") { &line[3..] } else { line };
    let rest = rest.trim();
    rest.is_empty() || rest.starts_with('#')
}

fn shift(node: &mut Node, by: usize) {
    let move_on = |span: &mut Range<usize>| *span = span.start + by..span.end + by;
    move_on(&mut node.span);
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Kind::Object(members) => {
            for member in members {
                move_on(&mut member.span);
                shift(&mut member.value, by);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Signed(_) | Kind::Unsigned(_) | Kind::Float(_) | Kind::Text(_) => {
        }
    }
}

/// Reports the members that an object has twice, and keeps the first of them.
fn remove_repeated(source: &Arc<Source>, node: &mut Node, diagnostics: &mut Vec<Diagnostic>) {
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| remove_repeated(source, item, diagnostics)),
        Kind::Object(members) => {
            let mut first_of: BTreeMap<String, Range<usize>> = BTreeMap::new();
            members.retain(|member| {
                let Some(first) = first_of.get(&member.name) else {
                    first_of.insert(member.name.clone(), member.span.clone());
                    return true;
                };
                let message = format!("field {:?} is given twice", member.name);
                let hint = format!(
                    "it stands in line {} already",
                    Place::new(source, first.clone()).position().line
                );
                diagnostics
                    .push(Diagnostic::error(Place::new(source, member.span.clone()), message).hint(hint));
                false
            });
            members.iter_mut().for_each(|member| remove_repeated(source, &mut member.value, diagnostics));
        }
        Kind::Null | Kind::Bool(_) | Kind::Signed(_) | Kind::Unsigned(_) | Kind::Float(_) | Kind::Text(_) => {
        }
    }
}

fn syntax(source: &Arc<Source>, part: Range<usize>, error: &serde_saphyr::Error) -> Diagnostic {
    let text = &source.text[part.clone()];
    let span = error.location().map_or(0..0, |location| match location.span().byte_offset() {
        Some(_) => bytes(location),
        None => line_and_column(text, location),
    });
    let message = error_text(error);
    let span = if message.contains("tab") { tab(text, span) } else { span };
    let place = Place::new(source, part.start + span.start..part.start + span.end);
    let line = source.text.lines().nth(place.position().line - 1).unwrap_or_default();
    let hint = if line.contains(": {{") || line.contains("- {{") {
        Some("put a text that begins with {{ in quotes".to_owned())
    } else if line.trim_start_matches(' ').starts_with('\t') {
        Some("indent with spaces: YAML takes no tabs".to_owned())
    } else {
        None
    };
    Diagnostic::error(place, message).hint(hint)
}

/// The tab that is meant where a parser has stopped at `span`: behind a text it is told of at the end of the line
/// before.
fn tab(text: &str, span: Range<usize>) -> Range<usize> {
    let rest = text.get(span.start..).unwrap_or_default();
    let Some(below) = rest.find('\n').map(|end| span.start + end + 1) else { return span };
    let indented = |start: usize| {
        let line = &text[start..];
        line[..line.len() - line.trim_start_matches([' ', '\t']).len()].find('\t').map(|at| start + at)
    };
    let own = text[..span.start].rfind('\n').map_or(0, |end| end + 1);
    match (indented(own), indented(below)) {
        (None, Some(tab)) => tab..tab + 1,
        (Some(_), _) | (None, None) => span,
    }
}

/// The byte at a line and a column, for errors that know no more.
fn line_and_column(text: &str, location: Location) -> Range<usize> {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let (above, before) = (count(location.line()), count(location.column()));
    let start: usize = text.split_inclusive('\n').take(above).map(str::len).sum();
    let start = start + text[start..].chars().take(before).map(char::len_utf8).sum::<usize>();
    start..start
}

/// The parser's message without the position, which the place tells.
fn error_text(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let bare = first.split(" at line ").next().unwrap_or(first);
    match bare.trim_start_matches("error: ") {
        "expected string scalar" => "the name of a field is no text".to_owned(),
        text => text.to_owned(),
    }
}
