//! From the bytes of a response to the pieces that a dialect reads.

use crate::fault::{Fault, FaultKind};

/// How a response is cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// It is one piece.
    Whole,
    /// Server-sent events (the HTML standard, section 9.2): the data of each event is a piece.
    Events,
    /// Each line is a piece.
    Lines,
}

/// Cuts bytes, which come in chunks of any size, into pieces.
#[derive(Debug)]
pub(crate) struct Frames {
    framing: Framing,
    /// The most bytes of one piece.
    limit: usize,
    /// The line that is not complete.
    line: Vec<u8>,
    /// The data of the event that is not complete.
    data: Option<Vec<u8>>,
    /// Whether the last byte was a carriage return: a line feed after it belongs to it.
    after_return: bool,
}

impl Frames {
    pub(crate) fn new(framing: Framing, limit: usize) -> Self {
        Self { framing, limit, line: Vec::new(), data: None, after_return: false }
    }

    /// The pieces that `chunk` completes.
    ///
    /// # Errors
    /// A piece is larger than the limit.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let mut pieces = Vec::new();
        if self.framing == Framing::Whole {
            self.line.extend_from_slice(chunk);
        } else {
            for byte in chunk {
                self.take(*byte, &mut pieces);
            }
        }
        let held = self.line.len() + self.data.as_ref().map_or(0, Vec::len);
        if held > self.limit {
            return Err(Fault::new(
                FaultKind::TooLarge,
                format!("more than {} bytes in one piece", self.limit),
            ));
        }
        Ok(pieces)
    }

    /// The piece that the end of the response completes. An event without its empty line is none.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        let rest = std::mem::take(&mut self.line);
        match self.framing {
            Framing::Whole => Some(rest),
            Framing::Lines => (!rest.trim_ascii().is_empty()).then_some(rest),
            Framing::Events => None,
        }
    }

    fn take(&mut self, byte: u8, pieces: &mut Vec<Vec<u8>>) {
        let follows_return = std::mem::take(&mut self.after_return);
        match byte {
            b'\n' if follows_return => {}
            b'\n' | b'\r' => {
                self.after_return = byte == b'\r';
                let line = std::mem::take(&mut self.line);
                pieces.extend(self.end_line(line));
            }
            _ => self.line.push(byte),
        }
    }

    fn end_line(&mut self, line: Vec<u8>) -> Option<Vec<u8>> {
        if self.framing == Framing::Lines {
            return (!line.trim_ascii().is_empty()).then_some(line);
        }
        if line.is_empty() {
            return self.data.take();
        }
        // Names and numbers of events repeat what their data says.
        let value = line.strip_prefix(b"data:")?;
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &mut self.data {
            None => self.data = Some(value.to_vec()),
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(framing: Framing, chunks: &[&[u8]]) -> Vec<String> {
        let mut frames = Frames::new(framing, 1000);
        let mut pieces: Vec<Vec<u8>> = chunks.iter().flat_map(|chunk| frames.push(chunk).unwrap()).collect();
        pieces.extend(frames.finish());
        pieces.into_iter().map(|piece| String::from_utf8(piece).unwrap()).collect()
    }

    const STREAM: &str = ": ping\r\nevent: a\r\ndata: {\"ü\": 1}\r\n\r\ndata:two\ndata: lines\n\nid: 7\n\ndata: x\r\rdata: cut";

    #[test]
    fn events_end_with_an_empty_line() {
        let expected = vec!["{\"ü\": 1}", "two\nlines", "x"];
        assert_eq!(pieces(Framing::Events, &[STREAM.as_bytes()]), expected);
    }

    #[test]
    fn lines_and_wholes_end_with_the_response() {
        assert_eq!(
            pieces(Framing::Lines, &[b"{\"a\":1}\n\n{\"b\"", b":2}\n{}"]),
            ["{\"a\":1}", "{\"b\":2}", "{}"]
        );
        assert_eq!(pieces(Framing::Whole, &[b"{\n", b"}"]), ["{\n}"]);
    }

    #[test]
    fn a_piece_without_end_is_refused() {
        for framing in [Framing::Events, Framing::Lines, Framing::Whole] {
            let mut frames = Frames::new(framing, 100);
            let endless = b"data: x".repeat(10);
            assert!(frames.push(&endless).is_ok());
            assert_eq!(frames.push(&endless).unwrap_err().kind, FaultKind::TooLarge, "{framing:?}");
        }
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_does_not_matter(cuts in proptest::collection::vec(0..STREAM.len(), 0..20)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([STREAM.len()]).collect();
            let chunks: Vec<&[u8]> =
                bounds.windows(2).map(|pair| &STREAM.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(pieces(Framing::Events, &chunks), pieces(Framing::Events, &[STREAM.as_bytes()]));
        }
    }
}
