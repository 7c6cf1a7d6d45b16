//! The end of the channel of one who wants something of a run.

use std::io;

use superstep_engine::Record;
use superstep_store::{RunName, Store};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::ControlError;
use super::address::Note;
use super::line::Lines;
use super::protocol::{self, Reply, Request};
use super::socket::{self, Stream};

/// What came of asking whoever drives a run.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It has replied.
    Replied(Reply),
    /// It went away before it replied: whether it did what was asked, the log tells.
    Broken,
    /// Nobody listens.
    Nobody,
}

/// A connection to whoever drives a run.
#[derive(Debug)]
pub(crate) struct Connection {
    lines: Lines<ReadHalf<Stream>>,
    /// Kept, because letting it go says that one has heard enough.
    _writer: WriteHalf<Stream>,
}

impl Connection {
    /// Connects to whoever drives the run, and asks; none if nobody listens.
    pub(crate) async fn open(store: &Store<Record>, run: &RunName, request: &Request) -> Option<Self> {
        let note = Note::read(&store.folder_of(run)?)?;
        let stream = match socket::connect(&note.socket).await {
            Ok(stream) => stream,
            Err(error) => {
                // A process that was killed leaves its socket.
                tracing::debug!(%run, socket = %note.socket.display(), %error, "nobody listens");
                return None;
            }
        };
        let (reader, mut writer) = tokio::io::split(stream);
        match writer.write_all(&protocol::request_line(run.as_str(), request)).await {
            Ok(()) => {}
            // The reply may have been sent before the request was read: that too many are connected.
            Err(error) => tracing::debug!(%run, %error, "the request was not taken"),
        }
        Some(Self { lines: Lines::new(reader), _writer: writer })
    }

    /// The next reply; none when there are no more. Waiting for it may be given up and begun again.
    ///
    /// # Errors
    /// What came is no reply of this version.
    pub(crate) async fn next(&mut self) -> Result<Option<Reply>, ControlError> {
        match self.lines.next().await {
            Ok(Some(line)) => protocol::read_reply(line).map(Some),
            Ok(None) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(ControlError::Malformed { why: error.to_string() })
            }
            Err(error) => {
                tracing::debug!(%error, "whoever drives the run has gone away");
                Ok(None)
            }
        }
    }
}

/// Asks whoever drives a run for something that has one reply.
///
/// # Errors
/// What came is no reply of this version.
pub(crate) async fn ask(
    store: &Store<Record>,
    run: &RunName,
    request: &Request,
) -> Result<Asked, ControlError> {
    let Some(mut connection) = Connection::open(store, run, request).await else { return Ok(Asked::Nobody) };
    Ok(connection.next().await?.map_or(Asked::Broken, Asked::Replied))
}
