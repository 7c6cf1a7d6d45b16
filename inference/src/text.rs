//! Bytes of tokens to text that can be shown: whole characters, and nothing that may become a stop string.

/// The text of one output as it grows.
pub(crate) struct Text {
    stop: Vec<String>,
    /// Text that may be the beginning of a stop string.
    held: String,
    /// The bytes of an incomplete character.
    tail: Vec<u8>,
}

/// What a push gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) text: String,
    /// A stop string was reached.
    pub(crate) stopped: bool,
}

impl Text {
    pub(crate) fn new(stop: &[String]) -> Self {
        let stop = stop.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stop, held: String::new(), tail: Vec::new() }
    }

    /// Adds the bytes of a token and returns the text that it releases.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Released {
        self.tail.extend_from_slice(bytes);
        // What the next bytes cannot repair is replaced.
        let whole = self.tail.len() - incomplete(&self.tail);
        let bytes: Vec<u8> = self.tail.drain(..whole).collect();
        self.held.push_str(&String::from_utf8_lossy(&bytes));
        let found = self.stop.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = found {
            self.held.truncate(at);
            self.tail.clear();
            return Released { text: self.release(at), stopped: true };
        }
        let keep = self.stop.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        Released { text: self.release(self.held.len() - keep), stopped: false }
    }

    /// Releases what was held back, at the end of the output.
    pub(crate) fn finish(&mut self) -> String {
        let tail = std::mem::take(&mut self.tail);
        self.held.push_str(&String::from_utf8_lossy(&tail));
        self.release(self.held.len())
    }

    fn release(&mut self, len: usize) -> String {
        self.held.drain(..len).collect()
    }
}

/// How many bytes at the end may be the beginning of a character.
fn incomplete(bytes: &[u8]) -> usize {
    let invalid = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let is_cut = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
    if is_cut { invalid.len() } else { 0 }
}

/// The length of the longest end of `text` that `stop` begins with.
fn overlap(text: &str, stop: &str) -> usize {
    (1..stop.len().min(text.len() + 1))
        .rev()
        .find(|len| stop.is_char_boundary(*len) && text.ends_with(&stop[..*len]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(stop: &[&str], pushes: &[&[u8]]) -> (Vec<String>, bool) {
        let stop: Vec<_> = stop.iter().map(|stop| (*stop).to_owned()).collect();
        let mut text = Text::new(&stop);
        let mut parts = Vec::new();
        let mut stopped = false;
        for bytes in pushes {
            let released = text.push(bytes);
            parts.push(released.text);
            stopped |= released.stopped;
            if stopped {
                break;
            }
        }
        if !stopped {
            parts.push(text.finish());
        }
        (parts, stopped)
    }

    #[test]
    fn text_is_whole_and_ends_before_the_stop_string() {
        type Case<'a> = (&'a [&'a str], &'a [&'a [u8]], &'a str, bool);
        let table: [Case<'_>; 9] = [
            (&[], &[b"a", "ü".as_bytes()], "aü", false),
            (&[], &[&[0xC3], &[0xBC], b"b"], "üb", false),
            (&[], &[&[0xC3], b"b"], "\u{FFFD}b", false),
            (&[], &[&[b'a', 0xFF, 0xC3], &[0xBC, b'b']], "a\u{FFFD}üb", false),
            (&[], &[&[0xF0, 0x9F]], "\u{FFFD}", false),
            (&["END"], &[b"xE", b"N", b"Dy"], "x", true),
            (&["END"], &[b"xE", b"N", b"y"], "xENy", false),
            (&["\n\n", "b"], &[b"a\n", b"\nb"], "a", true),
            (&["", "ab"], &[b"a"], "a", false),
        ];
        for (stop, pushes, expected, stops) in table {
            let (parts, stopped) = stream(stop, pushes);
            assert_eq!((parts.concat().as_str(), stopped), (expected, stops), "{stop:?} {pushes:?}");
        }
    }

    #[test]
    fn nothing_that_may_stop_is_released() {
        let (parts, _) = stream(&["END"], &[b"xE", b"N", b"y"]);
        assert_eq!(parts, ["x", "", "ENy", ""]);
    }
}
