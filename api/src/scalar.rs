//! Places inside the text of a scalar, as it is written in its source.

use std::ops::Range;

use superstep_graph::Within;

/// The bytes of `source` that hold what stands at `within` of `text`, which is the value of a scalar that begins at the
/// byte `start`: a word, or one character. None where it cannot be told, as behind an escape.
///
/// Both are read side by side. Indentation, folding and what is chomped change white space only, and so any white
/// space of the one stands for any of the other.
pub(crate) fn place(source: &str, start: usize, text: &str, within: Within) -> Option<Range<usize>> {
    let offset = offset(text, within)?;
    let written = source.get(start..)?;
    let begins = [Some(0), quote(written), header(written)];
    let found = begins.into_iter().flatten().find_map(|begin| {
        let inside = beside(&written[begin..], &text[..offset])?;
        // Where the next character is another one too, the two have parted.
        let agrees = match text[offset..].chars().next() {
            Some(next) if !next.is_whitespace() => written[begin + inside..].starts_with(next),
            Some(_) | None => true,
        };
        agrees.then_some(begin + inside)
    });
    let at = start + found?;
    Some(at..at + word(&source[at..]))
}

/// The byte of `text` at a line and a column.
fn offset(text: &str, within: Within) -> Option<usize> {
    let (above, before) = (within.line.checked_sub(1)?, within.column.checked_sub(1)?);
    let start: usize = text.split_inclusive('\n').take(above).map(str::len).sum();
    let line = text.get(start..)?;
    Some(start + line.chars().take(before).map(char::len_utf8).sum::<usize>())
}

/// How much of a quoted scalar stands before its text.
fn quote(written: &str) -> Option<usize> {
    written.starts_with(['"', '\'']).then_some(1)
}

/// How much of a block scalar stands before its text.
fn header(written: &str) -> Option<usize> {
    written.starts_with(['|', '>']).then(|| written.find('\n'))?
}

/// The byte of `written` behind what `text` is the value of. None if they part.
fn beside(written: &str, text: &str) -> Option<usize> {
    // A block may be said to begin behind the blank lines at its head.
    let (mut rest, mut left) = (written.trim_start(), text.trim_start());
    while let Some(next) = left.chars().next() {
        if next.is_whitespace() {
            rest = Some(rest.trim_start()).filter(|trimmed| trimmed.len() < rest.len())?;
            left = left.trim_start();
        } else {
            rest = rest.strip_prefix(next)?;
            left = &left[next.len_utf8()..];
        }
    }
    Some(written.len() - rest.len())
}

/// The bytes of the word, or of the one character, at the head of a text; none at the end of a line.
fn word(text: &str) -> usize {
    let word = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let first = text.chars().next().filter(|letter| !letter.is_control()).map_or(0, char::len_utf8);
    word.max(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str, start: &str, text: &str, line: usize, column: usize) -> Option<String> {
        let begin = source.find(start).unwrap();
        let span = place(source, begin, text, Within { line, column })?;
        let before = &source[..span.start];
        let at =
            (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
        Some(format!("{}:{} {}", at.0, at.1, &source[span]))
    }

    #[test]
    fn a_place_in_a_text_is_found_in_each_way_to_write_it() {
        for (source, start, text, (line, column), expected) in [
            ("a: b + inptu.x", "b", "b + inptu.x", (1, 5), Some("1:8 inptu")),
            ("a: 'é + inptu'", "'", "é + inptu", (1, 5), Some("1:9 inptu")),
            ("a: \"b + inptu\\n\"", "\"", "b + inptu\n", (1, 5), Some("1:9 inptu")),
            ("a: \"b\\n + inptu\"", "\"", "b\n + inptu", (2, 4), None),
            ("a: '''b'' + inptu'", "'", "'b' + inptu", (1, 7), None),
            ("a: b\n  + inptu", "b", "b + inptu", (1, 5), Some("2:5 inptu")),
            ("a: |\n  b\n    inptu\n", "b", "b\n  inptu\n", (2, 3), Some("3:5 inptu")),
            ("a: |\n  b\n    inptu\n", "|", "b\n  inptu\n", (2, 3), Some("3:5 inptu")),
            ("a: |\r\n  b\r\n  inptu\r\n", "b", "b\ninptu\n", (2, 1), Some("3:3 inptu")),
            ("a: |\n\n  \"b\"\n  inptu\n", "\"", "\n\"b\"\ninptu\n", (3, 1), Some("4:3 inptu")),
            ("a: >-\n  b\n\n  c inptu\n", "b", "b\nc inptu", (2, 3), Some("4:5 inptu")),
            ("a: >-\n  b\n  inptu\n", "b", "b inptu", (1, 3), Some("3:3 inptu")),
            ("a: '{{ b '", "'", "{{ b ", (1, 6), Some("1:10 '")),
            ("a: '{{ x }} {{'", "'", "{{ x }} {{", (1, 11), Some("1:15 '")),
            ("a: b", "b", "other", (1, 3), None),
            ("a: b", "b", "b", (7, 9), Some("1:5 ")),
        ] {
            let place = found(source, start, text, line, column);
            assert_eq!(place.as_deref(), expected, "{source:?}");
        }
    }
}
