//! The part of a source that is shown with a mistake.

use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use superstep_api::Place;

/// Where a line has more bytes than this, a part of it is shown.
const LONGEST_LINE: usize = 400;

/// So many bytes of a long line are shown before a mistake, and as many from there on.
const AROUND: usize = 60;

/// The lines around a mistake; if one of them is very long, only what stands around the mistake in its own line.
pub(super) struct Window<'a> {
    place: &'a Place,
    /// The part of the line that is shown alone.
    cut: Option<Range<usize>>,
}

impl<'a> Window<'a> {
    /// What is shown of the text in which `place` lies.
    pub(super) fn of(place: &'a Place) -> Self {
        let text = place.source.text.as_str();
        let line = line(text, place.span.start);
        let above = line.start.checked_sub(1).map(|end| self::line(text, end));
        let below = (line.end < text.len()).then(|| self::line(text, line.end + 1));
        let is_long = [Some(&line), above.as_ref(), below.as_ref()].into_iter().flatten();
        let cut = is_long.map(Range::len).any(|length| length > LONGEST_LINE).then(|| {
            let start = text.ceil_char_boundary(place.span.start.saturating_sub(AROUND)).max(line.start);
            start..text.floor_char_boundary(place.span.start + AROUND).min(line.end).max(start)
        });
        Self { place, cut }
    }

    /// The bytes below which the caret stands.
    pub(super) fn marked(&self) -> Range<usize> {
        // A span over lines would draw a box around a whole block of text: its first line is enough.
        let Range { start, end } = self.place.span.clone();
        let length = self.place.source.text[start..end].find('\n').unwrap_or(end - start);
        start..(start + length).min(self.cut.as_ref().map_or(end, |cut| cut.end))
    }
}

/// The line of `text` with the byte `at`, without its end.
fn line(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    start..text[at..].find('\n').map_or(text.len(), |end| at + end)
}

impl SourceCode for Window<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = self.place.source.text.as_str();
        let name = self.place.source.name.clone();
        // Without lines around it, the place itself is asked for.
        let cut = self.cut.as_ref().filter(|_| before + after > 0);
        let (span, before, after) = match cut {
            Some(cut) => (SourceSpan::from(cut.clone()), 0, 0),
            None => (*span, before, after),
        };
        let read = text.read_span(&span, before, after)?;
        let (span, line, column, lines) = (*read.span(), read.line(), read.column(), read.line_count());
        let data = &text.as_bytes()[span.offset()..span.offset() + span.len()];
        Ok(Box::new(MietteSpanContents::new_named(name, data, span, line, column, lines)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use superstep_api::Source;

    use super::*;

    fn shown(text: &str, span: Range<usize>) -> (String, Range<usize>) {
        let source = Arc::new(Source { name: "a".to_owned(), text: text.to_owned(), named: true });
        let place = Place::new(&source, span);
        let window = Window::of(&place);
        let marked = window.marked();
        let read = window.read_span(&SourceSpan::from(marked.clone()), 1, 1).unwrap();
        (String::from_utf8(read.data().to_vec()).unwrap(), marked)
    }

    #[test]
    fn lines_are_shown_whole_unless_one_of_them_is_very_long() {
        assert_eq!(shown("a\nbcd\ne\nf", 3..4), ("a\nbcd\ne\n".to_owned(), 3..4));
        let long = "x".repeat(100_000);
        let (text, marked) = shown(&format!("a\n{long}é{long}\nb"), 100_002..150_000);
        assert_eq!(text, format!("{}é{}", "x".repeat(60), "x".repeat(58)));
        assert_eq!(marked, 100_002..100_062);
        let (text, marked) = shown(&format!("{long}\nbcd\n"), 100_002..100_003);
        assert_eq!((text.as_str(), marked), ("bcd", 100_002..100_003));
    }
}
