//! Lines of limited length.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most bytes that a line may have. A patch of thousands of vertices fits.
pub(super) const LONGEST: usize = 8 << 20;

/// Reads lines. What was read of a line that is not whole yet stays where it is, so that waiting for the next
/// line may be given up and begun again.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// So many bytes of the buffer were given out as the line before.
    given: usize,
    /// So many bytes of the buffer are known to have no line break.
    searched: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), given: 0, searched: 0 }
    }

    /// The next line, with its line break; none at the end of what comes. A line that was begun and is not ended
    /// there is no line.
    ///
    /// # Errors
    /// Reading fails, or the line is longer than [`LONGEST`].
    pub(super) async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.drain(..std::mem::take(&mut self.given));
        loop {
            let unsearched = &self.buffer[self.searched..];
            if let Some(position) = unsearched.iter().position(|byte| *byte == b'\n') {
                self.given = self.searched + position + 1;
                self.searched = 0;
                return Ok(Some(&self.buffer[..self.given]));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LONGEST {
                let why = format!("a line is longer than {LONGEST} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            self.buffer.reserve(16 << 10);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn lines_come_whole_whatever_pieces_they_are_sent_in() {
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(reader);
        writer.write_all(b"one\ntw").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(&b"one\n"[..]));
        // Waiting that is given up loses nothing.
        assert!(lines.next().now_or_never().is_none());
        writer.write_all(b"o\n\nhalf").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(&b"two\n"[..]));
        assert_eq!(lines.next().await.unwrap(), Some(&b"\n"[..]));
        drop(writer);
        assert_eq!(lines.next().await.unwrap(), None, "half a line is none");
    }

    #[tokio::test]
    async fn a_line_that_does_not_end_is_given_up() {
        let mut lines = Lines::new(tokio::io::repeat(b'x'));
        assert_eq!(lines.next().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(lines.buffer.len() <= 2 * LONGEST);
    }
}
