//! What goes into a command and what comes out of it.

use std::io;

use serde_json::{Value, json};
use superstep_engine::Payload;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The most bytes of a command's standard error that are kept: the last ones.
const STDERR_KEPT: usize = 2_048;

/// The end of what a process writes to its standard error.
#[derive(Clone, Debug, Default)]
pub struct Tail(Vec<u8>);

impl Tail {
    /// Takes in what it wrote next.
    pub fn push(&mut self, written: &[u8]) {
        self.0.extend_from_slice(written);
        let excess = self.0.len().saturating_sub(STDERR_KEPT);
        self.0.drain(..excess);
    }

    /// The last whole lines, about two thousand bytes of them.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let is_cut = self.0.len() >= STDERR_KEPT;
        let whole =
            text.split_once('\n').filter(|(_, rest)| is_cut && !rest.is_empty()).map(|(_, rest)| rest);
        whole.unwrap_or(&text).trim().to_owned()
    }
}

/// What a command has written.
#[derive(Default)]
pub(super) struct Written {
    /// The most bytes of output that it may write.
    pub(super) limit: u64,
    pub(super) output: Vec<u8>,
    pub(super) stderr: Tail,
}

/// Why the transfer was given up.
pub(super) enum Cut {
    TooMuch,
    Pipe(io::Error),
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Pipe(error)
    }
}

impl Written {
    /// The output as JSON, or else as `{text: …}`; none if it is no text.
    pub(super) fn answer(self) -> Option<Payload> {
        let text = String::from_utf8(self.output).ok()?;
        Some(serde_json::from_str::<Value>(&text).map_or_else(
            |_| json!({ "text": text.strip_suffix('\n').unwrap_or(&text) }).into(),
            Payload::from,
        ))
    }
}

/// Writes `input` and closes the pipe. A command need not read it.
pub(super) async fn feed(mut pipe: impl AsyncWrite + Unpin, input: &Value) -> Result<(), Cut> {
    let mut sent = pipe.write_all(input.to_string().as_bytes()).await;
    if sent.is_ok() {
        sent = pipe.shutdown().await;
    }
    match sent {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads to the end, at most `limit` bytes.
pub(super) async fn collect(
    pipe: impl AsyncRead + Unpin,
    output: &mut Vec<u8>,
    limit: u64,
) -> Result<(), Cut> {
    pipe.take(limit.saturating_add(1)).read_to_end(output).await?;
    if output.len() as u64 > limit { Err(Cut::TooMuch) } else { Ok(()) }
}

/// Reads to the end, and keeps the last of it.
pub(super) async fn keep_tail(mut pipe: impl AsyncRead + Unpin, tail: &mut Tail) -> Result<(), Cut> {
    let mut piece = [0; 1_024];
    loop {
        let read = pipe.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        tail.push(&piece[..read]);
    }
}
